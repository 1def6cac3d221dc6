import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../../common/problem.ts";
import { cacheDir, stateDir } from "../world/paths.ts";
import { run } from "../world/run.ts";
import { docker, tryPull } from "./docker.ts";
import { findProgram, tryFindProgram } from "./processes.ts";

/** Debian releases by name. Each has one major of PostgreSQL: 15, 17, 18. */
export type Suite = "bookworm" | "trixie" | "forky";

/** Where suites are unpacked, each in a folder of its own. */
const bootstrapDir = join(stateDir, "debootstrap");
/** One script serves every suite of Debian; a debootstrap that is older than a suite lacks only its name. */
const SCRIPT = "/usr/share/debootstrap/scripts/sid";
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
  // An empty mirror leaves the choice to debootstrap.
  const mirror = (await findMirror()) ?? "";
  const script = existsSync(SCRIPT) ? [SCRIPT] : [];
  await run(program, ["--variant=minbase", suite, root, mirror, ...script], {
    timeoutMs: 600_000,
  });
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

/** The mirror that this machine itself takes Debian's packages from; undefined where apt is not there, or serves another system. */
async function findMirror(): Promise<string | undefined> {
  if ((await tryFindProgram("apt-get")) === undefined) return undefined;
  // apt reads every form of its configuration itself: sources.list, deb822, and what lies beside them.
  const targets = await run("apt-get", ["indextargets", "--format", TARGET], {
    allowFailure: true,
  });
  return debianMirror(targets.stdout);
}

/** A line a package index: who signs it, and where it is. Manual page apt-get(8), `indextargets`. */
const TARGET = "$(CREATED_BY)\t$(LABEL)\t$(REPO_URI)";

/**
 * The first mirror of Debian's main archive among the package indexes that apt has. The security archive, with a label of its
 * own, has no whole release in it.
 * @param targets what `apt-get indextargets` prints in the form above
 */
export function debianMirror(targets: string): string | undefined {
  const rows = targets.split("\n").map((line) => line.split("\t"));
  const found = rows.find(
    ([kind, label, address = ""]) =>
      // What debootstrap can fetch from; apt knows more ways, such as mirror+file: and cdrom:.
      kind === "Packages" && label === "Debian" && /^(?:https?|file):/.test(address),
  );
  return found?.[2];
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
