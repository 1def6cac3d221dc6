import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheDir } from "../world/paths.ts";
import { run } from "../world/run.ts";
import type { World } from "../world/world.ts";
import { makeDebian, type Suite } from "./debian.ts";
import { docker } from "./docker.ts";
import { imageNames, makeBase, makePostgres, recipeDigest } from "./images.ts";

/** The releases of Debian that have these majors of PostgreSQL. */
const suites = { 15: "bookworm", 17: "trixie", 18: "forky" } as const satisfies Record<
  number,
  Suite
>;

/** A major of PostgreSQL that the sandbox can have a server and an agent of. */
export type Major = keyof typeof suites;

/** Images in the engine under names of the sandbox's registry, so that `down` removes them. */
export interface MajorImages {
  readonly server: string;
  /** Debian with Node: the build argument BASE_IMAGE of the agent's image. */
  readonly base: string;
}

/**
 * The images of one major, made if need be. Not part of `up`: only what tests several majors wants more than the sandbox's
 * own. Kept as files in the cache, as the Debian that they are made from.
 */
export async function ensureMajor(
  world: World,
  major: Major,
  log: (line: string) => void = () => {},
): Promise<MajorImages> {
  const { server } = world.registry;
  const names = imageNames(server);
  if (major === 17) return { server: names.postgres, base: names.base };
  const suite = suites[major];
  const debian = `${server}/base/debian:${suite}`;
  const images = { server: `${server}/postgres:${major}`, base: `${server}/base/node:24-${suite}` };
  let debianMade: Promise<void> | undefined;
  const onDebian = async (make: () => Promise<void>) => {
    debianMade ??= makeDebian(suite, debian, log);
    await debianMade;
    await make();
  };
  await Promise.all([
    kept(images.server, `postgres-${major}`, () =>
      onDebian(() => makePostgres(major, images.server, debian, log)),
    ),
    kept(images.base, `node-${suite}`, () =>
      onDebian(() => makeBase(major, images.base, debian, log)),
    ),
  ]);
  return images;
}

/** An image from the engine, else from its file in the cache, else made and kept there. */
async function kept(tag: string, name: string, make: () => Promise<void>): Promise<void> {
  if ((await docker(["image", "inspect", tag], { allowFailure: true })).code === 0) return;
  mkdirSync(cacheDir, { recursive: true });
  const file = join(cacheDir, `sandbox-${name}-${recipeDigest()}.tar.gz`);
  const idFile = `${file}.id`;
  if (existsSync(file)) {
    // Kept without a name: the registry of another sandbox has another port. That one may have it in the engine.
    const known = existsSync(idFile) ? readFileSync(idFile, "utf8") : "";
    if (known !== "" && (await docker(["tag", known, tag], { allowFailure: true })).code === 0)
      return;
    const loaded = await docker(["load", "--input", file], { timeoutMs: 300_000 });
    const id = /sha256:[0-9a-f]{64}/.exec(loaded.stdout)?.[0] ?? "";
    await docker(["tag", id, tag]);
    writeFileSync(idFile, id);
    return;
  }
  await make();
  const id = (await docker(["image", "inspect", "--format", "{{.Id}}", tag])).stdout.trim();
  const plain = `${file.slice(0, -3)}.${process.pid}`;
  try {
    await docker(["save", "--output", plain, id], { timeoutMs: 300_000 });
    await run("gzip", ["-1", plain], { timeoutMs: 300_000 });
    renameSync(`${plain}.gz`, file);
  } finally {
    for (const part of [plain, `${plain}.gz`]) rmSync(part, { force: true });
  }
}
