import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rmdir, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const PROGRAM = "agent.cjs";
const CHECKOUT = fileURLToPath(new URL("..", import.meta.url));
const AGENT = join(CHECKOUT, "agent");
/** The last bundle: a line of JSON that says what it was made of, and behind it the program. */
const KEPT = join(CHECKOUT, "build/agent-bundle");

/** What an image of the agent is built from. */
export interface AgentContext {
  /** Folder with the Dockerfile and all that it copies, absolute. */
  readonly dir: string;
  /** SHA-256 of its files, in hexadecimal. */
  readonly digest: string;
}

/** The published package carries the finished context; a checkout bundles the agent's sources, so it is never stale. */
export async function agentContext(): Promise<AgentContext> {
  const packaged = fileURLToPath(new URL("../agent/context/", import.meta.url));
  if (existsSync(packaged)) return { dir: packaged, digest: await contextDigest(packaged) };
  return bundleAgent(fileURLToPath(new URL("../build/agent/", import.meta.url)));
}

/**
 * Lays out a complete Docker build context: the Dockerfile, its scripts, and the agent as one file.
 * @param outDir made when it is missing; other files in it are left alone and do not count
 * @param kept file that holds the program for the next time, or holds it already
 * @returns the folder, and the SHA-256 over names and contents of the files, which is the same for the same sources
 */
export async function bundleAgent(outDir: string, kept: string = KEPT): Promise<AgentContext> {
  await mkdir(outDir, { recursive: true });
  const image = join(AGENT, "image");
  const names = await readdir(image);
  for (const name of names) {
    const content = await readFile(join(image, name));
    await put(outDir, name, name === "Dockerfile" ? await withVersion(content) : content);
  }
  await put(outDir, PROGRAM, await bundleProgram(kept));
  return { dir: outDir, digest: digestOf(outDir, [...names, PROGRAM]) };
}

/** The package's version, for the image's label. */
async function withVersion(dockerfile: Buffer): Promise<Buffer> {
  const text = await readFile(join(CHECKOUT, "package.json"), "utf8");
  const { version } = JSON.parse(text) as { version: string };
  return Buffer.from(String(dockerfile).replace(/^ARG VERSION=.*$/m, `ARG VERSION=${version}`));
}

/**
 * The files that the last bundle was made of, by their paths from the checkout: those of other people's packages are copied
 * into the image, and into the published package with it.
 * @throws Error before the first `bundleAgent()` of this checkout
 */
export async function bundledFiles(kept: string = KEPT): Promise<readonly string[]> {
  return keptIn(await readFile(kept)).inputs;
}

/** The digest of a context that was laid out before, e.g. the one in the published package. */
export async function contextDigest(dir: string): Promise<string> {
  return digestOf(dir, await readdir(dir));
}

/**
 * Replaces a file in one step: two programs may lay out the same folder at the same time. Written outside of it, because
 * Docker takes whatever it finds inside.
 */
async function put(dir: string, name: string, content: Uint8Array): Promise<void> {
  const partial = await mkdtemp(join(dirname(dir), ".partial-"));
  await writeFile(join(partial, name), content, { mode: 0o644 });
  await rename(join(partial, name), join(dir, name));
  await rmdir(partial);
}

/** The agent as one file. The last one is used again while the content of every file that it was made from is the same. */
async function bundleProgram(kept: string): Promise<Uint8Array> {
  const last = await keptBundle(kept);
  if (last !== undefined) return last;
  // Loaded when it is needed: what only reads the package's other files does without a bundler.
  const { build } = await import("esbuild");
  const { outputFiles, metafile } = await build({
    entryPoints: [join(AGENT, "main.ts")],
    // Paths in the output are relative to this, so that the digest does not depend on where the checkout lies.
    absWorkingDir: CHECKOUT,
    write: false,
    metafile: true,
    bundle: true,
    platform: "node",
    // An ES module runs when all that it imports is linked, and to link a module of Node's own is to make each of its exports,
    // the HTTP client behind `fetch` among them (syncExports in Node's lib/internal/bootstrap/realm.js). As CommonJS the first
    // line runs first, so that a signal counts from then on.
    format: "cjs",
    // For the same reason `import()` becomes `require()`: the AWS SDK imports `node:http` so, with `fetch` behind it.
    supported: { "dynamic-import": false },
    // The older form of a package cannot be shaken: half the file would be code that nobody calls.
    mainFields: ["module", "main"],
    target: "node22",
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    logLevel: "silent",
    // An optional native binding of pg, which is never asked for.
    external: ["pg-native"],
  });
  const [program] = outputFiles;
  if (program === undefined) throw new Error("the bundler made no file");
  await keepBundle(kept, Object.keys(metafile.inputs), program.contents);
  return program.contents;
}

/** What decides about a bundle beside the files in it: these options, the versions of packages and of the bundler. */
const RECIPE = ["common/agentContext.ts", "package.json", "package-lock.json"];

async function keptBundle(file: string): Promise<Uint8Array | undefined> {
  const bytes = await readFile(file).catch(() => undefined);
  if (bytes === undefined) return undefined;
  const { inputs, digest, program } = keptIn(bytes);
  return inputsDigest(inputs) === digest ? program : undefined;
}

interface Kept {
  /** Paths from the checkout. */
  readonly inputs: readonly string[];
  readonly digest: string;
}

function keptIn(bytes: Buffer): Kept & { readonly program: Uint8Array } {
  const end = bytes.indexOf("\n");
  return { ...JSON.parse(bytes.toString("utf8", 0, end)), program: bytes.subarray(end + 1) };
}

async function keepBundle(
  file: string,
  found: readonly string[],
  program: Uint8Array,
): Promise<void> {
  const inputs = [...found, ...RECIPE];
  const digest = inputsDigest(inputs);
  // A file that is gone by now is no reason to fail: the next one bundles anew.
  if (digest === undefined) return;
  await mkdir(dirname(file), { recursive: true });
  const head = `${JSON.stringify({ inputs, digest } satisfies Kept)}\n`;
  await put(dirname(file), basename(file), Buffer.concat([Buffer.from(head), program]));
}

/** Undefined when a file is missing. */
function inputsDigest(inputs: readonly string[]): string | undefined {
  try {
    return digestOf(CHECKOUT, inputs);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return undefined;
  }
}

/** Reads without promises: a thousand small files take 20 ms so, and 200 ms of the processor with them. */
function digestOf(dir: string, names: readonly string[]): string {
  const hash = createHash("sha256");
  for (const name of names.toSorted()) {
    const content = readFileSync(join(dir, name));
    hash.update(`${name}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}
