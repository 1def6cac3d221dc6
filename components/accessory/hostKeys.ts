import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { Problem } from "../../common/problem.ts";
import { knownHostName } from "../../common/ssh/knownHosts.ts";

/**
 * The public key that a server must show: the given one, else the one in `~/.ssh/known_hosts`.
 * @param setting how messages name the given keys
 * @throws Problem when neither is there, or it is of a type that cannot be checked
 */
export function hostKeyOf(
  host: string,
  port: number,
  given: string | undefined,
  setting: string,
): string {
  return checkedHostKey(host, given ?? knownHostKey(host, port, setting), setting);
}

function knownHostKey(host: string, port: number, setting: string): string {
  const name = knownHostName(host, port);
  const file = join(homedir(), ".ssh", "known_hosts");
  const lines = existsSync(file) ? lookUp(name, file) : [];
  const line =
    lines.find((l) => l.includes(" ssh-ed25519 ")) ??
    lines.find((l) => !l.includes(" ssh-rsa ")) ??
    lines[0];
  if (line === undefined) {
    throw new Problem(
      `${setting}: the host key of ${name} is not known. Log in once with ssh so that it stands in ${file}, or give it as ${setting} (ssh-keyscan -p ${port} ${host} prints it; compare it with the server's).`,
    );
  }
  return line.split(" ").slice(1, 3).join(" ");
}

/** ssh-keygen rather than reading the file: its names may be hashed. */
function lookUp(name: string, file: string): string[] {
  try {
    const out = execFileSync("ssh-keygen", ["-F", name, "-f", file], { encoding: "utf8" });
    return out.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  } catch (error) {
    // Exit code 1 is its way to say "not found".
    if ((error as { status?: number }).status === 1) return [];
    throw error;
  }
}

/** The command provider asks for RSA host keys only with SHA-1 signatures, which servers since OpenSSH 8.8 refuse. */
function checkedHostKey(host: string, hostKey: string, setting: string): string {
  if (hostKey.trim().startsWith("ssh-rsa ")) {
    throw new Problem(
      `${setting}: the host key of ${host} is of type ssh-rsa, which cannot be checked here. Give the server's ssh-ed25519 or ecdsa key (ssh-keyscan -t ed25519 ${host} prints it; compare it with the server's).`,
    );
  }
  return hostKey;
}
