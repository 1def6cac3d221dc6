import { runScript, type ScriptResult, type SshTarget } from "../pulumi/hostScript.ts";

/** How the server in a container of the host is reached. */
export interface ServerAccess {
  /** Container of the server. */
  readonly container: string;
  readonly target: SshTarget;
  /** Login of the superuser. Secret. */
  readonly login: ServerLogin;
}

export interface ServerLogin {
  readonly user: string;
  readonly port: number;
  readonly password: string;
}

/**
 * Over the container's loopback, where the official image asks for no password and another may; `docker exec` has none to give.
 * The login comes on standard input, which the shell reads byte by byte, so that the rest is left to what follows.
 */
const PROLOGUE = `set -eu
IFS= read -r PGUSER; IFS= read -r PGPORT; IFS= read -r PGPASSWORD
export PGUSER PGPORT PGPASSWORD PGHOST=127.0.0.1 PGDATABASE=postgres PGCONNECT_TIMEOUT=10
sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
`;

/**
 * Runs a shell script in the server's container, as its user postgres.
 * @param script in which \`sql\` is psql with the superuser's login; constant text, printed when it fails
 * @param input what the script reads on standard input; secrets go here
 */
export function runInServer(
  { container, target, login }: ServerAccess,
  script: string,
  input: string,
): Promise<ScriptResult> {
  const command = `docker exec -i -u postgres ${quoted(container)} sh -c ${quoted(PROLOGUE + script)}`;
  const lines = [login.user, String(login.port), login.password];
  return runScript(target, command, `${lines.join("\n")}\n${input}`);
}

/** One word of the shell. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** What PostgreSQL and Docker say, in one line. */
export function lastWords({ stderr, code }: ScriptResult): string {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  const error = lines.find((line) => /ERROR:|FATAL:|rror response|No such|unable to/.test(line));
  return (error ?? lines.at(-1) ?? `exit code ${code}`)
    .replace(/^.*?(?:ERROR|FATAL): +/, "")
    .replace(/[.\s]+$/, "");
}
