import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../../common/problem.ts";
import { cacheDir, stateDir } from "../world/paths.ts";
import { run } from "../world/run.ts";
import { docker, tryPull } from "./docker.ts";
import { findProgram } from "./processes.ts";

/** Debian releases by name. Each has one major of PostgreSQL: 15, 17, 18. */
export type Suite = "bookworm" | "trixie" | "forky";

/** Where suites are unpacked, each in a folder of its own. */
const bootstrapDir = join(stateDir, "debootstrap");
/** One script serves every suite of Debian; a debootstrap that is older than a suite lacks only its name. */
const SCRIPT = "/usr/share/debootstrap/scripts/sid";
const MIRROR = "http://deb.debian.org/debian";
/** What the published slim images leave out, and keep dpkg from installing. */
const OMITTED = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"];

/** A debian image in the engine: pulled, or made from Debian's packages and kept as a tar file in the cache. */
export async function makeDebian(
  suite: Suite,
  tag: string,
  log: (line: string) => void,
): Promise<void> {
  const published = `debian:${suite}-slim`;
  if (await tryPull(published, 60_000)) {
    await docker(["tag", published, tag]);
    return;
  }
  const tarball = join(cacheDir, `debian-${suite}-slim-${process.arch}.tar`);
  if (!existsSync(tarball)) {
    log(`  ${published} cannot be pulled: making one with debootstrap`);
    await bootstrap(suite, tarball);
  }
  await docker(["import", "--change", 'CMD ["/bin/sh"]', tarball, tag]);
}

async function bootstrap(suite: Suite, tarball: string): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new Problem(
      `debian:${suite}-slim cannot be pulled, and making a Debian image needs root: let Docker reach a registry, or run once as root.`,
    );
  }
  const root = join(bootstrapDir, suite);
  await discard(root);
  mkdirSync(root, { recursive: true });
  const program = await findProgram("debootstrap");
  const script = existsSync(SCRIPT) ? [MIRROR, SCRIPT] : [];
  await run(program, ["--variant=minbase", suite, root, ...script], { timeoutMs: 600_000 });
  const excludes = OMITTED.map((path) => `path-exclude ${path}\n`).join("");
  writeFileSync(join(root, "etc/dpkg/dpkg.cfg.d/slim"), excludes);
  if (suite === "forky") {
    // The index of a release in the making is valid for a week, and a mirror may be further behind.
    const file = join(root, "etc/apt/apt.conf.d/90late-mirror");
    writeFileSync(file, 'Acquire::Check-Valid-Until "false";\n');
  }
  const leftOut = [...OMITTED, "/var/cache/apt/archives/*.deb", "/var/lib/apt/lists/*"].map(
    (path) => `--exclude=.${path}`,
  );
  const to = ["-cf", `${tarball}.new`, "."];
  await run("tar", ["-C", root, "--numeric-owner", ...leftOut, ...to]);
  renameSync(`${tarball}.new`, tarball);
  await discard(root);
}

/** Removes what interrupted runs of debootstrap left. */
export const discardBootstrap = () => discard(bootstrapDir);

/** An interrupted debootstrap leaves /proc mounted in its folder, which must go before the files do. */
async function discard(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  const mounts = readFileSync("/proc/mounts", "utf8").split("\n");
  const inside = mounts
    .map((line) => line.split(" ")[1] ?? "")
    .filter((path) => path.startsWith(`${folder}/`));
  for (const path of inside.reverse()) await run("umount", [path]);
  rmSync(folder, { recursive: true, force: true });
}
