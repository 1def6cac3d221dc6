import { isUtf8 } from "node:buffer";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import {
  lstat,
  mkdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type * as pulumi from "@pulumi/pulumi";
import { NOT_CHECKED } from "../../common/contracts/refresh.ts";
import { withFileLock } from "../../common/fileLock.ts";
import { isTrackedByGit } from "../../common/git.ts";
import { Problem, problemWithoutStack } from "../../common/problem.ts";
import {
  NEW_HOOK,
  readMarkedBlock,
  refuseOtherKey,
  refuseSharedSecrets,
  removeMarkedBlock,
  writeMarkedBlock,
} from "../../kamal/markedBlock.ts";
import { parseSecrets } from "../../kamal/secretsFile.ts";

/** Inputs of the resource: one block of text in a file of the user's. */
export interface MarkedBlockInputs {
  /** Path from the program's folder. */
  readonly file: string;
  /** Name in the marker comments. */
  readonly name: string;
  /** `accessories`: below that key of a deploy.yml. `hook`: at the beginning of a hook of Kamal's. Empty: at the end of the file. */
  readonly under: "accessories" | "hook" | "";
  readonly block: string;
  /** First key of the block, which must not stand in the file outside our markers. Empty: it has none. */
  readonly key: string;
  /** The block holds secrets themselves: the file must be out of git and is kept 0600. */
  readonly confidential: boolean;
  /** A file that is there wherever the application is, so that a hook which is not has gone. @default the file itself */
  readonly beside?: string;
}

/** Runs at preview too, so that what cannot be written is reported before anything is made. */
export async function check(
  olds: Partial<MarkedBlockInputs> | undefined,
  news: MarkedBlockInputs,
): Promise<pulumi.dynamic.CheckResult> {
  try {
    if (news.confidential) await refuseTracked(news.file);
    // At preview the block may not be known yet; the place for it can be judged all the same.
    const text = await readOr(news.file, mayBeMissing(news));
    const isKnown = typeof news.block === "string" && mayBeMissing(news);
    if (olds?.name !== news.name) refuseOtherKey(text, news.name, news.key);
    written(text, news, isKnown ? news.block : news.key && `  ${news.key}:\n`);
    return { inputs: news };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { inputs: news, failures: [{ property: "file", reason: error.message }] };
  }
}

export async function create(inputs: MarkedBlockInputs): Promise<pulumi.dynamic.CreateResult> {
  await write(inputs);
  return { id: `${inputs.file}#${inputs.name}`, outs: inputs };
}

export async function read(
  id: string,
  props: MarkedBlockInputs,
): Promise<pulumi.dynamic.ReadResult<MarkedBlockInputs>> {
  const { [NOT_CHECKED]: _, ...declared } = props as MarkedBlockInputs & { [NOT_CHECKED]?: string };
  // As it is declared, so that it is no difference.
  const unchecked = (reason: string) => ({ id, props: { ...declared, [NOT_CHECKED]: reason } });
  const present = declared.beside ?? declared.file;
  if (!existsSync(present)) return unchecked(`${present} is not here`);
  const text = await readOr(declared.file, true);
  const block = readMarkedBlock(text, declared.name);
  if (block === undefined) {
    if (declared.confidential && (await isOfCheckout(declared.file, text))) {
      return unchecked(`${declared.file} is one without secrets, as in a fresh clone`);
    }
    return { id: "" };
  }
  const found = { ...declared, block };
  return { id, props: found, inputs: found } as pulumi.dynamic.ReadResult<MarkedBlockInputs>;
}

/**
 * Whether a secrets file is another one than that to which the block was written: git carries it, or it only says where a
 * secret is looked up. Kamal's own template is such a file, and continuous integration writes one.
 */
async function isOfCheckout(file: string, text: string): Promise<boolean> {
  if (await isTrackedByGit(file)) return true;
  const values = [...parseSecrets(text, {}).values()];
  return values.length > 0 && values.every((value) => typeof value !== "string" || value === "");
}

export async function diff(
  _id: string,
  olds: MarkedBlockInputs,
  news: MarkedBlockInputs,
): Promise<pulumi.dynamic.DiffResult> {
  const moved = olds.file !== news.file || olds.name !== news.name || olds.under !== news.under;
  return {
    changes: moved || olds.block !== news.block,
    replaces: moved ? ["file", "name", "under"] : [],
    deleteBeforeReplace: true,
  };
}

export async function update(
  _id: string,
  _olds: MarkedBlockInputs,
  news: MarkedBlockInputs,
): Promise<pulumi.dynamic.UpdateResult> {
  await write(news);
  return { outs: news };
}

async function remove(_id: string, props: MarkedBlockInputs): Promise<void> {
  if (!existsSync(props.file)) return;
  await changeFile(props.file, async (file) => {
    const text = await readOr(file, true);
    const rest = removeMarkedBlock(text, props.name);
    if (rest === text) return;
    // A link to it would lead nowhere.
    const isLink = (await lstat(props.file)).isSymbolicLink();
    const isEmpty = props.under === "hook" ? rest === NEW_HOOK : rest === "" && props.confidential;
    if (isEmpty && !isLink) await rm(file);
    else await replaceFile(file, rest, props);
  });
}

export { remove as delete };

async function write(inputs: MarkedBlockInputs): Promise<void> {
  if (inputs.confidential) await refuseTracked(inputs.file);
  if (mayBeMissing(inputs)) {
    await mkdir(dirname(await targetOf(inputs.file)), { recursive: true });
  }
  await changeFile(inputs.file, async (file) => {
    const text = await readOr(file, mayBeMissing(inputs));
    await replaceFile(file, written(text, inputs, inputs.block), inputs);
  });
}

/** The last work on each file, by its path. */
const writers = new Map<string, Promise<void>>();

/**
 * Two backups of one application have their blocks in the same files. The engine of one stack writes them at the same time,
 * and so do two stacks in two processes.
 * @param work gets the file itself where a symbolic link was named
 */
async function changeFile(file: string, work: (file: string) => Promise<void>): Promise<void> {
  const target = await targetOf(file);
  const last = writers.get(target) ?? Promise.resolve();
  const done = last.then(() => withFileLock(target, () => work(target)));
  writers.set(
    target,
    done.catch(() => {}),
  );
  return done;
}

/** Where a symbolic link leads, also to a file that is not there yet; the path itself where it is none. */
async function targetOf(file: string): Promise<string> {
  try {
    return await realpath(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw unreadable(file, error);
  }
  const link = await readlink(file).catch(() => undefined);
  return link === undefined ? resolve(file) : targetOf(resolve(dirname(file), link));
}

function written(text: string, inputs: MarkedBlockInputs, block: string): string {
  if (inputs.under !== "") return writeMarkedBlock(text, inputs.name, block, inputs.under);
  refuseSharedSecrets(text, inputs.name, block);
  return writeMarkedBlock(text, inputs.name, block, undefined);
}

/** One that need not be there yet; deploy.yml must. */
function mayBeMissing({ under }: MarkedBlockInputs): boolean {
  return under !== "accessories";
}

async function readOr(file: string, emptyWhenMissing: boolean): Promise<string> {
  try {
    const bytes = await readFile(file);
    if (isUtf8(bytes)) return bytes.toString("utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT" && emptyWhenMissing) return "";
    throw unreadable(file, error);
  }
  // Bytes that are none would come back as others.
  throw problemWithoutStack(
    `${file} is not written in UTF-8, so nothing can be added to it without changing the rest. Save it in UTF-8.`,
  );
}

function unreadable(file: string, error: unknown): Problem {
  const { code } = error as NodeJS.ErrnoException;
  return problemWithoutStack(
    `${file} cannot be read (${code}). Check the path and the rights of the file.`,
  );
}

/** Written beside and renamed over, so that a crash leaves the old file whole. */
async function replaceFile(
  file: string,
  text: string,
  { confidential, under }: MarkedBlockInputs,
): Promise<void> {
  // Kamal runs a hook as a program.
  const executable = under === "hook" ? 0o111 : 0;
  const mode = confidential ? 0o600 : (await modeOf(file)) | executable;
  const temporary = join(dirname(file), `.${basename(file)}.${randomUUID()}.tmp`);
  await writeFile(temporary, text, { mode });
  await rename(temporary, file);
}

async function modeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).mode & 0o777;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0o644;
    throw error;
  }
}

/** A link may be tracked, or the file that it leads to. */
async function refuseTracked(file: string): Promise<void> {
  if (!(await isTrackedByGit(file)) && !(await isTrackedByGit(await targetOf(file)))) return;
  throw problemWithoutStack(
    `${file} is tracked by git, so the backup's keys are not written to it. Take it out (git rm --cached, and a line in .gitignore), or name another file that Kamal reads as kamal.secretsFile, for instance .kamal/secrets-common. Or let Kamal look them up in the stack's outputs (kamal.secrets "outputs"): such lines may be in git.`,
  );
}
