import type { SshHop } from "../../common/contracts/stackOutputs.ts";
import { Problem, problemWithoutStack } from "../../common/problem.ts";
import { runOnHost } from "../../common/ssh/client.ts";

/** A host and how to reach it, as plain values in a dynamic resource's inputs. */
export interface SshTarget extends SshHop {
  /** OpenSSH private key; absent: the SSH agent. */
  readonly privateKey?: string;
  readonly proxy?: SshHop;
}

export interface ScriptResult {
  readonly code: number;
  readonly stdout: string;
  /** The last 64 KiB. */
  readonly stderr: string;
}

/**
 * Runs a shell script on the host of a dynamic resource.
 * @param script a line for the remote user's shell; no secret may be in it
 * @param stdin what the script reads; secrets go here
 * @param minutes how long it may take
 * @throws Problem when the host cannot be reached, is another one than expected, refuses the key, or takes longer
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
    throw error instanceof Problem ? problemWithoutStack(error.message) : error;
  }
}
