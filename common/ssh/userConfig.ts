import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { Problem } from "../problem.ts";
import { optionPath } from "./command.ts";

/** Files of settings that count: the user's own and the machine's, none, or these by their absolute paths. */
export type ConfigFiles = "user" | "none" | readonly string[];

/** What OpenSSH's configuration says about a host; undefined where it says nothing of this one. */
export interface HostSettings {
  /** Where the host really is: its HostName, else the name itself. */
  readonly hostName: string;
  readonly user?: string;
  readonly port?: number;
  /** As written: `[user@]host[:port]`, several with commas between them. */
  readonly proxyJump?: string;
  readonly proxyCommand?: string;
  /** The name under which its key stands in known_hosts. */
  readonly hostKeyAlias?: string;
  readonly knownHostsFiles: readonly string[];
  readonly identityFiles: readonly string[];
  /** Who logs in by all that is said, also of every host, and without a word the user of this machine. */
  readonly loginName: string;
}

/** A name that no block of a configuration is about (RFC 6761, section 6.4). */
const ANY_HOST = "any-host.invalid";

/**
 * Asks OpenSSH itself (`ssh -G`), which knows its own rules: patterns, `Match`, `Include`, the first value that counts.
 * User, port and files are taken only where they differ from those of any host: a default of OpenSSH's, or of `Host *`,
 * is none of Kamal's, whose own are root and 22.
 * @throws Problem when the configuration cannot be read
 */
export function hostSettings(host: string, files: ConfigFiles = "user"): HostSettings {
  const said = ask(host, files);
  const general = ask(ANY_HOST, files);
  const own = (option: string) => {
    const values = said.get(option) ?? [];
    return values.join("\n") === (general.get(option) ?? []).join("\n") ? [] : values;
  };
  const single = (name: keyof HostSettings, value: string | undefined) =>
    value === undefined || value === "none" ? {} : { [name]: value };
  const [port] = own("port");
  return {
    hostName: said.get("hostname")?.[0] ?? host,
    ...single("user", own("user")[0]),
    ...(port !== undefined && { port: Number(port) }),
    ...single("proxyJump", said.get("proxyjump")?.[0]),
    ...single("proxyCommand", said.get("proxycommand")?.[0]),
    ...single("hostKeyAlias", own("hostkeyalias")[0]),
    knownHostsFiles: own("userknownhostsfile").flatMap(pathsIn).map(expandHome),
    identityFiles: own("identityfile").map(expandHome),
    loginName: said.get("user")?.[0] ?? "root",
  };
}

/** Values by option, in lower case, as `ssh -G` prints them. */
function ask(host: string, files: ConfigFiles): ReadonlyMap<string, string[]> {
  const values = new Map<string, string[]>();
  for (const line of runSsh(host, files).split("\n")) {
    const [, option = "", value = ""] = /^(\S+) (.*)$/.exec(line) ?? [];
    if (option !== "") values.set(option, [...(values.get(option) ?? []), value]);
  }
  return values;
}

function runSsh(host: string, files: ConfigFiles): string {
  const folder = mkdtempSync(join(tmpdir(), "kamal-postgres-backup-"));
  try {
    const list = join(folder, "config");
    if (typeof files !== "string") {
      writeFileSync(list, files.map((file) => `Include ${optionPath(file)}\n`).join(""));
    }
    const configuration = files === "user" ? [] : ["-F", files === "none" ? "none" : list];
    return execFileSync("ssh", [...configuration, "-G", "--", host], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 15_000,
    });
  } catch (error) {
    const { code, stderr } = error as NodeJS.ErrnoException & { stderr?: string };
    if (code === "ENOENT") return "";
    const reason = stderr?.trim().split("\n").at(-1) || (error as Error).message;
    throw new Problem(
      `ssh cannot read its configuration for ${host}: ${reason}. Correct it until \`ssh -G ${host}\` prints it.`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Printed without quotes, so that a blank within a path is told by what follows it. */
function pathsIn(list: string): string[] {
  return list.split(/ (?=[/~])/);
}

function expandHome(path: string): string {
  return path.replace(/^~(?=\/)/, () => homedir()).replace(/%d(?=\/)/, () => homedir());
}
