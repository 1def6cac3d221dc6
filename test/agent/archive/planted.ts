import type { Manifest } from "../../../common/contracts/manifest.ts";
import { dumpKey, manifestKey } from "../../../storage/catalogue/objectKeys.ts";
import type { World } from "../world.ts";

type Environment = Record<string, string>;

/** Where a planted backup goes, and what its manifest says other than the true one. */
export interface Planting {
  readonly stamp: string;
  readonly dump: Buffer;
  readonly manifest: Manifest;
  readonly over?: Partial<Manifest>;
}

/** UTC second from now, so many seconds later, as keys carry it. */
export function stampIn(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toISOString().slice(0, 19);
}

/**
 * The second after a backup, as keys carry it. It has begun when the backup has ended, for each holds its lock that long, and
 * is over when the next one begins: nothing is ahead of the clock, and no two have one stamp.
 */
export function stampAfter({ takenAt }: Pick<Manifest, "takenAt">): string {
  return new Date(Date.parse(takenAt) + 1000).toISOString().slice(0, 19);
}

/**
 * Puts a dump and its manifest under a stamp, as whoever holds the writer's key can.
 * @returns what was put as the manifest
 */
export async function plant(world: World, env: Environment, planting: Planting): Promise<Manifest> {
  const { stamp, dump, manifest, over } = planting;
  const [bucket = "", prefix = "", database = ""] = [
    env["S3_BUCKET"],
    env["S3_PREFIX"],
    env["POSTGRES_DATABASE"],
  ];
  const planted: Manifest = {
    ...manifest,
    database,
    takenAt: `${stamp}Z`,
    globals: null,
    ...over,
  };
  const key = dumpKey(prefix, database, stamp, planted);
  const object = { ...planted.object, key };
  await world.write(bucket, key, dump);
  await world.write(
    bucket,
    manifestKey(prefix, database, stamp),
    JSON.stringify({ ...planted, object }),
  );
  return { ...planted, object };
}
