import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { Problem } from "../../common/problem.ts";
import { knownHostName, knownKeys } from "../../common/ssh/knownHosts.ts";
import { readKamalConfig } from "../../kamal/configuration/config.ts";
import { databaseAccessory } from "../../kamal/configuration/database.ts";
import { HostConnection } from "../session/hostConnection.ts";
import { type Finding, fail, skipped } from "./check.ts";

/** Where deploy.yml is looked for: in the application's folder, and from a project in it. */
const PLACES = ["config/deploy.yml", "../config/deploy.yml"];

/**
 * The database's host as deploy.yml names it, for a first look before there is a stack.
 * @returns the connection; why there is none; undefined where no application is here
 */
export function deployedHost(
  cwd: string,
  env: Readonly<Record<string, string | undefined>>,
): HostConnection | Finding | undefined {
  const path = PLACES.map((place) => join(cwd, place)).find((place) => existsSync(place));
  if (path === undefined) return undefined;
  try {
    const config = readKamalConfig({ base: { path, text: readFileSync(path, "utf8") }, env });
    const [host] = databaseAccessory(config, {})?.hosts ?? [];
    if (host === undefined) return skipped(`${path} names no host of a PostgreSQL accessory`);
    const { user = "root", port = 22, proxies, keys } = config.ssh;
    if (proxies.length > 0) return skipped(`${host} is behind a bastion, which pulumi up passes`);
    const [hostKey] = knownKeys(
      knownHostName(host, port),
      join(env["HOME"] ?? homedir(), ".ssh/known_hosts"),
    );
    if (hostKey === undefined) {
      const way = port === 22 ? `${user}@${host}` : `-p ${port} ${user}@${host}`;
      return fail(
        `the host key of ${host} is not in ~/.ssh/known_hosts`,
        `Log in once, and compare it: ssh ${way}`,
      );
    }
    return new HostConnection({ host: { host, port, user, hostKey }, identityFiles: keys });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return skipped(`${path}: ${error.message}`);
  }
}
