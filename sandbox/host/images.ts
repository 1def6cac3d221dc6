import { createHash } from "node:crypto";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { cacheDir, stateDir } from "../world/paths.ts";
import { makeDebian } from "./debian.ts";
import { docker, tryPull } from "./docker.ts";
import { registryData } from "./registry.ts";

/** Names in the sandbox's registry. */
export const imageNames = (server: string) => ({
  debian: `${server}/base/debian:trixie`,
  base: `${server}/base/node:24`,
  postgres: `${server}/postgres:17`,
});

export type Images = ReturnType<typeof imageNames>;

const suite = "trixie";
const major = 17;
const sources = join(import.meta.dirname, "../images");
const debianRecipe = join(import.meta.dirname, "debian.ts");
const agentInstall = join(import.meta.dirname, "../../agent/image/install.sh");

/** Tells what was made by another recipe or under other names, for another architecture or with another Node. */
export function recipeDigest(): string {
  const hash = createHash("sha256").update(`${process.version} ${process.arch}`);
  const files = ["postgres/Dockerfile", "postgres/entrypoint.sh", "base/Dockerfile"];
  const recipes = [...files.map((file) => join(sources, file)), debianRecipe, agentInstall];
  for (const file of recipes) hash.update(readFileSync(file));
  hash.update(JSON.stringify(imageNames("")));
  return hash.digest("hex").slice(0, 12);
}

/** Where the pushed images of an earlier sandbox are kept. */
const seedDir = () => join(cacheDir, `sandbox-images-${recipeDigest()}`);

/** Fills the registry's folder, before it starts, with what an earlier sandbox pushed. True when there was something. */
export function plantImages(): boolean {
  if (existsSync(registryData)) return true;
  const seed = seedDir();
  if (!existsSync(seed)) return false;
  cpSync(seed, registryData, { recursive: true });
  return true;
}

/** True when the registry holds every image that the sandbox needs. */
export async function imagesAreThere(
  images: Images,
  login: { readonly username: string; readonly password: string },
): Promise<boolean> {
  const token = Buffer.from(`${login.username}:${login.password}`).toString("base64");
  const answers = await Promise.all(
    Object.values(images).map((image) => {
      const [, server, name, tag] = /^([^/]+)\/(.+):([^:]+)$/.exec(image) ?? [];
      return fetch(`http://${server}/v2/${name}/manifests/${tag}`, {
        method: "HEAD",
        headers: {
          authorization: `Basic ${token}`,
          accept: "application/vnd.docker.distribution.manifest.v2+json",
        },
      });
    }),
  );
  return answers.every((answer) => answer.status === 200);
}

/** Pulls or builds every image and pushes it to the registry, then keeps a copy for the next sandbox. */
export async function makeImages(images: Images, log: (line: string) => void): Promise<void> {
  await makeDebian(suite, images.debian, log);
  const pushed = async (tag: string, make: Promise<void>) => {
    await make;
    await docker(["push", "--quiet", tag]);
  };
  await Promise.all([
    pushed(images.postgres, makePostgres(major, images.postgres, images.debian, log)),
    pushed(images.base, makeBase(major, images.base, images.debian, log)),
    docker(["push", "--quiet", images.debian]),
  ]);
  keepImages();
}

/**
 * Copies what was pushed to where the next sandbox looks for it. Two sandboxes may do so at the same time: each copies into
 * a folder of its own, and the first to end gives it the name.
 */
function keepImages(): void {
  const seed = seedDir();
  const copy = mkdtempSync(`${seed}.`);
  try {
    cpSync(registryData, copy, { recursive: true });
    renameSync(copy, seed);
  } catch (error) {
    rmSync(copy, { recursive: true, force: true });
    if (!existsSync(seed)) throw error;
  }
}

/** A server of one major in the engine: pulled, or built from the packages of a Debian that has it. */
export async function makePostgres(
  major: number,
  tag: string,
  debian: string,
  log: (line: string) => void,
): Promise<void> {
  const published = `postgres:${major}`;
  if (await tryPull(published, 60_000)) {
    await docker(["tag", published, tag]);
    return;
  }
  log(`  ${published} cannot be pulled: building it from Debian's packages`);
  const args = [
    `PG_MAJOR=${major}`,
    ...Object.entries(dataFolders(major)).map((each) => each.join("=")),
  ];
  await build(join(sources, "postgres"), tag, debian, args);
}

/** From 18 on the published image keeps the data one level deeper, so that a volume can hold two majors. */
function dataFolders(major: number) {
  return major < 18
    ? { PGDATA: "/var/lib/postgresql/data", DATA_VOLUME: "/var/lib/postgresql/data" }
    : { PGDATA: `/var/lib/postgresql/${major}/docker`, DATA_VOLUME: "/var/lib/postgresql" };
}

/** What the agent's image of one major is built on, in the engine. */
export async function makeBase(
  major: number,
  tag: string,
  debian: string,
  log: (line: string) => void,
): Promise<void> {
  log("  building the agent's base image from Debian and this machine's Node");
  const context = mkdtempSync(join(stateDir, "base-image-"));
  copyFileSync(join(sources, "base", "Dockerfile"), join(context, "Dockerfile"));
  copyFileSync(process.execPath, join(context, "node"));
  copyFileSync(agentInstall, join(context, "install.sh"));
  await build(context, tag, debian, [`PG_MAJOR=${major}`]);
  rmSync(context, { recursive: true, force: true });
}

async function build(
  context: string,
  tag: string,
  debian: string,
  args: readonly string[],
): Promise<void> {
  const words = [`DEBIAN_IMAGE=${debian}`, ...args].flatMap((arg) => ["--build-arg", arg]);
  await docker(["build", "--quiet", ...words, "--tag", tag, context], { timeoutMs: 600_000 });
}
