import { posix } from "node:path";
import { Problem } from "../../common/problem.ts";
import { asArgument, type SettingName } from "../pulumi/settingNames.ts";

/** Folder of the image that belongs to the container's user; a named volume that is mounted there takes that over. */
const SCRATCH = "/scratch";

export interface ScratchArgs {
  /**
   * Where `restore --scratch /scratch` unpacks the archive, to restore it with every core: a named volume of Docker's, or
   * an absolute folder of the host. It is mounted at /scratch, needs the room of the whole database in clear while a restore
   * runs, and stays on `pulumi destroy`. A volume belongs to the container's user by itself; a folder must be given to it:
   * `chown 10001:10001 FOLDER`.
   * @default none: a restore is a stream, which needs no room and goes through one core
   * @example "shop-scratch"
   * @example "/srv/scratch"
   */
  readonly scratch?: string;
}

/** What the container gets of its host. */
export interface Mounts {
  readonly metricsFile?: string | undefined;
  readonly scratch?: string | undefined;
}

/** The accessory's `volumes`; undefined when nothing is mounted. */
export function volumesOf({ metricsFile, scratch }: Mounts): string[] | undefined {
  const volumes: string[] = [];
  if (metricsFile !== undefined) {
    const folder = posix.dirname(metricsFile);
    volumes.push(`${folder}:${folder}`);
  }
  if (scratch !== undefined) volumes.push(`${scratch}:${SCRATCH}`);
  return volumes.length > 0 ? volumes : undefined;
}

/** @throws Problem when it can be neither a volume nor a folder */
export function checkScratch(scratch: string, name: SettingName = asArgument): void {
  // As Docker has it, which takes what begins with another sign for a path.
  const isVolume = /^[A-Za-z0-9][\w.-]+$/.test(scratch);
  if (isVolume || isHostPath(scratch)) return;
  throw new Problem(
    `${name("scratch")} "${scratch}" must be the name of a Docker volume, such as shop-scratch, or an absolute path of a folder of the host, such as /srv/scratch, without blanks, colons, quotes and the like.`,
  );
}

/** Whether it is the absolute path of something below the root, and one that Kamal can mount. */
export function isHostPath(path: string): boolean {
  return /^(?:\/[\p{L}\p{N}_.@%+=,-]+)+$/u.test(path) && path === posix.normalize(path);
}
