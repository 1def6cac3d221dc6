import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../../common/problem.ts";
import { stateDir } from "./paths.ts";

/** What runs, and how to reach it. Complete or absent: it is written when everything answered. */
export interface World {
  /** Tells this checkout's sandbox from another's on the same machine. */
  readonly id: string;
  /** The state folder, absolute. */
  readonly dir: string;
  /** The sample application: a git repository with its Kamal configuration. */
  readonly app: {
    readonly dir: string;
    readonly config: string;
    readonly stagingConfig: string;
    readonly service: string;
  };
  /** The Kamal program, absolute. */
  readonly kamal: string;
  /** The host that Kamal deploys to: this machine, through OpenSSH on a loopback port. */
  readonly ssh: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly keyFile: string;
    /** `ssh-ed25519 AAAA...` */
    readonly hostKey: string;
    /** What `$HOME` and the working directory are over there; Kamal's `.kamal/` lands here. */
    readonly home: string;
  };
  readonly registry: {
    readonly server: string;
    readonly username: string;
    readonly password: string;
  };
  /** The S3 service. Its endpoint means the same on this host and in containers on the network `kamal`. */
  readonly store: {
    readonly endpoint: string;
    readonly region: string;
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly container: string;
  };
  /** The `db` accessory that Kamal booted; `host` and `port` are reachable from this machine. */
  readonly database: {
    readonly container: string;
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly password: string;
    readonly name: "app_production";
    readonly sibling: "app_production_queue";
  };
  /** The cron expression of the sandbox's backups. */
  readonly schedule: string;
  readonly image: {
    /** Debian trixie with Node 24, in the registry: the build argument BASE_IMAGE of the agent's image. */
    readonly base: string;
  };
}

const worldFile = (dir: string) => join(dir, "world.json");

/**
 * The world that `npm run sandbox up` left running.
 * @throws Problem when it is not up
 */
export function readWorld(dir: string = stateDir): World {
  const file = worldFile(dir);
  if (!existsSync(file)) {
    throw new Problem("The sandbox is not up: run 'npm run sandbox up' first.");
  }
  return JSON.parse(readFileSync(file, "utf8"));
}

/** Readable by its owner alone, and never half written. */
export function writeWorld(world: World): void {
  const file = worldFile(world.dir);
  writeFileSync(`${file}.new`, `${JSON.stringify(world, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

export function forgetWorld(dir: string = stateDir): void {
  rmSync(worldFile(dir), { force: true });
}
