import type { SshHop } from "../../common/contracts/stackOutputs.ts";
import { Problem } from "../../common/problem.ts";
import { runOnHost } from "../../common/ssh/client.ts";

/** A server with its key, as plain values in a dynamic resource's inputs. */
interface Target extends SshHop {
  /** OpenSSH private key. */
  readonly privateKey?: string;
  /** The program was given the key; else it is that of whoever ran it. */
  readonly keyIsGiven?: true;
  readonly proxy?: BastionTarget | undefined;
}

/** A host and how to reach it; without a key by the SSH agent. */
export type SshTarget = Target;

/** A bastion; without a key it takes that of the host. */
export type BastionTarget = Target;

export interface ScriptResult {
  readonly code: number;
  readonly stdout: string;
  /** The last 64 KiB. */
  readonly stderr: string;
}

/**
 * Whether both are reached the same way. The private key counts only where the program was given it: a colleague's own
 * opens the same door, and is no change.
 */
export function sameAccess(olds: SshTarget, news: SshTarget): boolean {
  return JSON.stringify(compared(olds, news)) === JSON.stringify(compared(news, news));
}

function compared(target: Target, news: Target | undefined): Target {
  const { proxy } = target;
  return {
    ...target,
    ...(!news?.keyIsGiven && { privateKey: undefined }),
    ...(proxy && { proxy: compared(proxy, news?.proxy) }),
  } as Target;
}

/**
 * Runs a shell script on the host of a dynamic resource.
 * @param script a line for the remote user's shell; no secret may be in it
 * @param stdin what the script reads; secrets go here
 * @param minutes how long it may take
 * @throws AccessRefused when the host is another one than expected, or refuses the key
 * @throws Problem when it cannot be reached, or takes longer
 */
export async function runScript(
  { privateKey, proxy, host, port, user, hostKey }: SshTarget,
  script: string,
  stdin: string | Uint8Array = "",
  minutes = 5,
): Promise<ScriptResult> {
  const lines: string[] = [];
  try {
    const route = { host: { host, port, user, hostKey }, proxy, privateKey };
    const { code, stderr } = await runOnHost(route, script, {
      // What is declared decides alone, so that each machine, and the refresh of a colleague, comes the same way.
      configuration: "none",
      interrupted: `interrupted. What was started on ${host} may still be running; run pulumi up again.`,
      input: stdin,
      minutes,
      onLine: (line) => lines.push(line),
    });
    return { code, stdout: lines.join("\n"), stderr };
  } catch (error) {
    // Pulumi's host of dynamic resources would print it below the sentence.
    if (error instanceof Problem) error.stack = "";
    throw error;
  }
}
