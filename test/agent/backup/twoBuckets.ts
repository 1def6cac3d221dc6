import type { World } from "../world.ts";

/** The environment of a container that copies into a second bucket, which has a folder of its own. */
export async function twoBuckets(world: World, database: string) {
  const env = await world.environment(database);
  const second = await world.environment(database);
  const there = Object.entries(second).flatMap(([name, value]) =>
    name.startsWith("S3_") ? [[`COPY_${name}`, value]] : [],
  );
  return {
    env: { ...env, ...Object.fromEntries(there), COPY_S3_PREFIX: "far" } as Record<string, string>,
    first: env["S3_BUCKET"] ?? "",
    copy: second["S3_BUCKET"] ?? "",
  };
}
