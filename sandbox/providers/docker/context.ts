import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { basename, join, matchesGlob, relative } from "node:path";

/**
 * A digest of what a build sees: names, modes and contents of the context's files, without those that `.dockerignore`
 * leaves out, and the Dockerfile.
 */
export async function contextDigest(context: string, dockerfile: string): Promise<string> {
  const ignored = await ignoreRules(context, dockerfile);
  const hash = createHash("sha256");
  const entries = await readdir(context, { recursive: true });
  for (const path of entries.sort()) {
    if (!ignored(path)) await addEntry(hash, path, join(context, path));
  }
  // It may lie outside the context, or be left out of it, and still decides the build.
  await addEntry(hash, `Dockerfile ${relative(context, dockerfile)}`, dockerfile);
  return hash.digest("hex");
}

type Hash = ReturnType<typeof createHash>;

async function addEntry(hash: Hash, name: string, path: string): Promise<void> {
  const entry = await lstat(path);
  if (entry.isDirectory()) return;
  // Lengths keep one file's end from passing for the next one's beginning.
  hash.update(JSON.stringify([name, entry.mode, entry.size]));
  if (entry.isSymbolicLink()) hash.update(await readlink(path));
  else if (entry.isFile()) {
    for await (const part of createReadStream(path)) hash.update(part);
  }
}

/** The rules of `<Dockerfile>.dockerignore` or `.dockerignore`: the last one that matches a path or a folder above it wins. */
async function ignoreRules(
  context: string,
  dockerfile: string,
): Promise<(path: string) => boolean> {
  const text =
    (await readIfThere(`${dockerfile}.dockerignore`)) ??
    (await readIfThere(join(context, ".dockerignore"))) ??
    "";
  const rules = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => ({
      exception: line.startsWith("!"),
      pattern: line
        .replace(/^!/, "")
        .replace(/^(\.?\/)+/, "")
        .replace(/\/+$/, ""),
    }));
  return (path) => {
    if (path === basename(dockerfile)) return true; // added by itself
    let out = false;
    for (const { exception, pattern } of rules) {
      if (withParents(path).some((part) => matchesGlob(part, pattern))) out = !exception;
    }
    return out;
  };
}

function withParents(path: string): string[] {
  const parts = path.split("/");
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
