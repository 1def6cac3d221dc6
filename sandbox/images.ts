import { createHash } from "node:crypto";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { Problem } from "../storage/problem.ts";
import { docker, tryPull } from "./docker.ts";
import { cacheDir, stateDir } from "./paths.ts";
import { findProgram } from "./processes.ts";
import { registryData } from "./registry.ts";
import { run } from "./run.ts";

/** Names in the sandbox's registry. */
export const imageNames = (server: string) => ({
  debian: `${server}/base/debian:trixie`,
  base: `${server}/base/node:24`,
  postgres: `${server}/postgres:17`,
});

export type Images = ReturnType<typeof imageNames>;

const suite = "trixie";
const bootstrapDir = join(stateDir, "debootstrap");
const sources = join(import.meta.dirname, "images");

/** Where the pushed images of an earlier sandbox are kept; another recipe is another folder. */
function seedDir(): string {
  const hash = createHash("sha256").update(`${process.version} ${process.arch}`);
  for (const file of ["postgres/Dockerfile", "postgres/entrypoint.sh", "base/Dockerfile"]) {
    hash.update(readFileSync(join(sources, file)));
  }
  return join(cacheDir, `sandbox-images-${hash.digest("hex").slice(0, 12)}`);
}

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
  await makeDebian(images.debian, log);
  await Promise.all([
    makePostgres(images, log),
    makeBase(images, log),
    docker(["push", "--quiet", images.debian]),
  ]);
  const seed = seedDir();
  rmSync(`${seed}.new`, { recursive: true, force: true });
  rmSync(seed, { recursive: true, force: true });
  cpSync(registryData, `${seed}.new`, { recursive: true });
  renameSync(`${seed}.new`, seed);
}

/** A debian image in the engine: pulled, or made from Debian's packages and kept as a tar file in the cache. */
async function makeDebian(tag: string, log: (line: string) => void): Promise<void> {
  const published = `debian:${suite}-slim`;
  if (await tryPull(published, 60_000)) {
    await docker(["tag", published, tag]);
    return;
  }
  const tarball = join(cacheDir, `debian-${suite}-${process.arch}.tar`);
  if (!existsSync(tarball)) {
    log("  no Debian image can be pulled: making one with debootstrap");
    await bootstrap(tarball);
  }
  await docker(["import", "--change", 'CMD ["/bin/sh"]', tarball, tag]);
}

async function bootstrap(tarball: string): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new Problem(
      `debian:${suite}-slim cannot be pulled, and making a Debian image needs root: let Docker reach a registry, or run once as root.`,
    );
  }
  await discardBootstrap();
  mkdirSync(bootstrapDir, { recursive: true });
  const program = await findProgram("debootstrap");
  await run(program, ["--variant=minbase", suite, bootstrapDir], { timeoutMs: 600_000 });
  const leftOut = ["--exclude=./var/cache/apt/archives/*.deb", "--exclude=./var/lib/apt/lists/*"];
  await run("tar", [
    "-C",
    bootstrapDir,
    "--numeric-owner",
    ...leftOut,
    "-cf",
    `${tarball}.new`,
    ".",
  ]);
  renameSync(`${tarball}.new`, tarball);
  await discardBootstrap();
}

/** An interrupted debootstrap leaves /proc mounted in its folder, which must go before the files do. */
export async function discardBootstrap(): Promise<void> {
  if (!existsSync(bootstrapDir)) return;
  const mounts = readFileSync("/proc/mounts", "utf8").split("\n");
  const inside = mounts
    .map((line) => line.split(" ")[1] ?? "")
    .filter((path) => path.startsWith(`${bootstrapDir}/`));
  for (const path of inside.reverse()) await run("umount", [path]);
  rmSync(bootstrapDir, { recursive: true, force: true });
}

async function makePostgres(images: Images, log: (line: string) => void): Promise<void> {
  if (await tryPull("postgres:17", 60_000)) await docker(["tag", "postgres:17", images.postgres]);
  else {
    log("  postgres:17 cannot be pulled: building it from Debian's packages");
    await build(join(sources, "postgres"), images.postgres, images.debian);
  }
  await docker(["push", "--quiet", images.postgres]);
}

async function makeBase(images: Images, log: (line: string) => void): Promise<void> {
  log("  building the agent's base image from Debian and this machine's Node");
  const context = join(stateDir, "base-image");
  mkdirSync(context, { recursive: true });
  copyFileSync(join(sources, "base", "Dockerfile"), join(context, "Dockerfile"));
  copyFileSync(process.execPath, join(context, "node"));
  await build(context, images.base, images.debian);
  rmSync(context, { recursive: true, force: true });
  await docker(["push", "--quiet", images.base]);
}

async function build(context: string, tag: string, debian: string): Promise<void> {
  await docker(
    ["build", "--quiet", "--build-arg", `DEBIAN_IMAGE=${debian}`, "--tag", tag, context],
    {
      timeoutMs: 600_000,
    },
  );
}
