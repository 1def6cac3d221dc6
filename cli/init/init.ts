import { copyFileSync, existsSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { messageOf, Problem } from "../../common/problem.ts";
import { shellQuote } from "../../common/ssh/command.ts";
import {
  hasPassphrase,
  isOnPath,
  LOCAL_STATE,
  type PulumiSetup,
  pulumiSetup,
} from "../doctor/localChecks.ts";
import { createStack, selectStack, setConfiguration } from "../stack/pulumi.ts";
import { requireTerminal } from "../terminal/confirm.ts";
import { EXIT } from "../terminal/exitCodes.ts";
import { plural } from "../terminal/format.ts";
import { paint } from "../terminal/render.ts";
import type { Screen } from "../terminal/screen.ts";
import type { Answers, PackageOrigin } from "./answers.ts";
import { type Application, type Environment, readApplication } from "./application.ts";
import { interview, type TypedAnswers } from "./interview.ts";
import { type KeyFile, passphraseFile } from "./keyFiles.ts";
import { makeFolder } from "./makeFolder.ts";
import { packageOrigin } from "./packageOrigin.ts";
import {
  fileNames,
  type ProjectFile,
  projectFiles,
  projectName,
  secretsOf,
  tarballName,
} from "./projectFiles.ts";
import { Questions } from "./questions.ts";

export interface InitOptions extends TypedAnswers {
  /** Path of the application's deploy.yml. */
  readonly config: string;
  readonly destination?: readonly string[];
  /** Folder of the project. */
  readonly into: string;
  readonly keyFile?: string;
  readonly databaseMajor?: string;
  /** Key under `accessories:` of the one to back up, where several run PostgreSQL. */
  readonly accessory?: string;
  /** Host that runs the container, where deploy.yml does not say it. */
  readonly host?: string;
  /** Tarball or version that the project depends on. @default what was started */
  readonly package?: string;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

/**
 * Writes a Pulumi project for the backups of the application in this folder, and makes its stacks.
 * @param version of this package
 * @returns the exit code: `failed` where the files were written and a stack could not be made
 * @throws Problem that says what to give; nothing was written then
 */
export async function init(screen: Screen, options: InitOptions, version: string): Promise<number> {
  const asks = options.yes !== true && options.dryRun !== true;
  if (asks) requireTerminal(screen, "init asks some questions");
  const { env } = process;
  const application = await readApplication({
    config: options.config,
    destinations: options.destination ?? [],
    env,
    has: (program) => isOnPath(program, env["PATH"]),
    knownHosts: join(homedir(), ".ssh", "known_hosts"),
    host: options.host,
    major: majorOf(options.databaseMajor),
    accessory: options.accessory,
  });
  const into = resolve(options.into);
  const origin = packageOrigin(packageRoot(), version, options.package);
  refuseToOverwrite(application, into, options.into);
  describe(screen, application);

  const writes = options.dryRun !== true;
  const keyFile = resolve(
    options.keyFile ?? join(homedir(), `${application.service}-backup-key.txt`),
  );
  const subject = { application, typed: options, env, keyFile, writes };
  const { answers, key } = await interview(new Questions(screen, asks), subject);
  const files = projectFiles({ application, answers, origin, into });
  const plan = { application, answers, origin, into, files, key };
  if (!writes) {
    screen.clear();
    for (const { path } of files) screen.line(`  ${join(options.into, path)}`);
    screen.line("Nothing was written (--dry-run).");
    screen.document(documentOf(plan, [], false));
    return EXIT.well;
  }
  const setup = await pulumiSetup(dirname(resolve(options.config)), env);
  try {
    writeFiles(into, files, origin);
  } catch (error) {
    key?.takeBack();
    throw error;
  }
  return finish(screen, plan, setup);
}

/** Where this package lies: two folders above, in the checkout and as it is published. */
function packageRoot(): string {
  return resolve(import.meta.dirname, "../..");
}

function majorOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text)) return Number(text);
  throw new Problem(`--database-major ${text} is no version. Give a number, for instance 17.`);
}

function describe(screen: Screen, { service, environments, remarks }: Application): void {
  const named = environments.flatMap(({ destination }) => destination ?? []);
  const alone = named.length < environments.length ? "deploy.yml by itself, " : "";
  const where = [...new Set(environments.map(({ host }) => host))].join(", ");
  const majors = [...new Set(environments.map(({ major }) => major))].join(", ");
  const [{ databases }] = environments;
  const parts = [
    `${service} (Kamal 2)`,
    ...(named.length > 0
      ? [`${alone}${named.length === 1 ? "destination" : "destinations"} ${named.join(", ")}`]
      : []),
    `PostgreSQL ${majors} on ${where}`,
    databases === "all" ? "every database" : plural(databases.length, "database"),
  ];
  screen.clear();
  screen.line(`${paint.strong("Found:")} ${parts.join(", ")}.`);
  for (const remark of remarks) screen.line(`  ${remark}`);
}

/** @throws Problem where a file of the project is there */
function refuseToOverwrite(application: Application, into: string, typed: string): void {
  const names = fileNames(application);
  const there = names.find((name) => existsSync(join(into, name)));
  if (there === undefined) return;
  throw new Problem(
    `${join(typed, there)} is there already, and nothing is overwritten. Give another folder with --into. Nothing was written.`,
  );
}

/** All of them, or none. */
function writeFiles(into: string, files: readonly ProjectFile[], origin: PackageOrigin): void {
  const isNew = !existsSync(into);
  const written: string[] = [];
  try {
    makeFolder(into);
    for (const { path, text } of files) {
      writeFileSync(join(into, path), text, { flag: "wx" });
      written.push(path);
    }
    const name = tarballName(origin);
    if (name !== undefined && resolve(origin.tarball as string) !== join(into, name)) {
      copyFileSync(origin.tarball as string, join(into, name));
      written.push(name);
    }
  } catch (error) {
    for (const path of written) rmSync(join(into, path), { force: true });
    if (isNew) rmSync(into, { recursive: true, force: true });
    throw new Problem(
      `${into} cannot be written: ${messageOf(error)}. Nothing was written; --into names another folder.`,
      { cause: error },
    );
  }
}

interface Plan {
  readonly application: Application;
  readonly answers: Answers;
  readonly origin: PackageOrigin;
  readonly into: string;
  readonly files: readonly ProjectFile[];
  readonly key: KeyFile | undefined;
}

/** Makes the stacks, and says what comes next. */
async function finish(screen: Screen, plan: Plan, setup: PulumiSetup): Promise<number> {
  const { application, into, files, key } = plan;
  const isLocal = setup.state === "not logged in";
  const needsPassphrase =
    (isLocal || (setup.state === "ready" && setup.needsPassphrase)) && !hasPassphrase(process.env);
  const passphrase = needsPassphrase
    ? passphraseFile(join(homedir(), `${application.service}-backup-passphrase.txt`))
    : undefined;
  const env = {
    ...(isLocal && LOCAL_STATE),
    ...(passphrase && { PULUMI_CONFIG_PASSPHRASE_FILE: passphrase.path }),
  };
  const were: string[] = [];
  const made = setup.state === "missing" ? "no pulumi" : await makeStacks(screen, plan, env, were);
  const commands = nextCommands(plan, { setup, passphrase, isMade: made === undefined });
  screen.clear();
  screen.line();
  screen.line(`Wrote ${relative(process.cwd(), into) || "."}/ (${plural(files.length, "file")}).`);
  if (key !== undefined) {
    screen.line(
      `Recovery key: ${key.path}. Keep it in two places that are not the server; it is not in git.`,
    );
  }
  if (passphrase !== undefined) {
    const place = key === undefined ? "Keep it somewhere safe" : "Keep it beside the key";
    screen.line(`Passphrase of the stack's secrets: ${passphrase.path}. ${place}.`);
  }
  for (const note of [...notesOf(plan), ...were.map(existingStack)]) screen.line(note);
  if (setup.state === "missing") {
    screen.line("pulumi is not installed: https://www.pulumi.com/docs/install. Then:");
  } else screen.line("Next:");
  for (const command of commands) screen.exactLine(`  ${command}`);
  screen.document({
    ...documentOf(plan, commands, true),
    ...(made !== undefined && { error: made }),
  });
  if (made === undefined || setup.state === "missing") return EXIT.well;
  screen.warn(`error: the files were written, but ${made}`);
  return EXIT.failed;
}

/** The state may be left from a folder that was removed since. `pulumi stack init` would only fail again. */
function existingStack(name: string): string {
  return `The stack ${name} was there already. It is used, with what it holds: look at what pulumi up shows before you agree.`;
}

/**
 * @param were takes the names of stacks that were there already
 * @returns why a stack could not be made; undefined: all are there
 */
async function makeStacks(
  screen: Screen,
  { application, answers, into }: Plan,
  env: Readonly<Record<string, string>>,
  were: string[],
): Promise<string | undefined> {
  const namespace = projectName(application);
  const [first] = application.environments;
  try {
    for (const environment of application.environments) {
      screen.waiting(`making the stack ${environment.name}`);
      if (!(await createStack(into, environment.name, env))) were.push(environment.name);
      const choice = { cwd: into, stack: environment.name };
      await setConfiguration(choice, {}, knownSecrets(environment, answers), { namespace, env });
    }
    await selectStack(into, first.name, env);
    return undefined;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return error.message;
  }
}

function knownSecrets(environment: Environment, answers: Answers): Record<string, string> {
  const entries = Object.entries(secretsOf(environment, answers));
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** What stays to be done by hand, a sentence each. */
function notesOf({ answers }: Plan): string[] {
  const { bucket, days } = answers;
  if (bucket.kind !== "existing" || bucket.containerDeletes) return [];
  return [
    `Give the bucket ${[...new Set(Object.values(bucket.names))].join(", ")} a rule of its own that expires backups after ${days} days, in the provider's console.`,
  ];
}

/** @returns lines to be typed, one after the other */
function nextCommands(
  { application, answers, into }: Plan,
  {
    setup,
    passphrase,
    isMade,
  }: {
    readonly setup: PulumiSetup;
    readonly passphrase: KeyFile | undefined;
    readonly isMade: boolean;
  },
): string[] {
  const [first, ...others] = application.environments;
  const folder = relative(process.cwd(), into) || ".";
  const missing = application.environments.flatMap((environment) =>
    Object.entries(secretsOf(environment, answers))
      .filter(([, value]) => value === undefined || !isMade)
      .map(([key]) => `pulumi config set --secret ${key} --stack ${environment.name}`),
  );
  const root = resolve(application.folder);
  const toRoot = relative(into, root) || ".";
  const inRoot = (path: string) => relative(root, path) || ".";
  return [
    ...(passphrase ? [`export PULUMI_CONFIG_PASSPHRASE_FILE=${shellQuote(passphrase.path)}`] : []),
    ...(setup.state === "ready" ? [] : ["pulumi login --local"]),
    `cd ${shellQuote(folder)} && npm install`,
    ...(isMade ? [] : application.environments.map(({ name }) => `pulumi stack init ${name}`)),
    ...missing,
    ...(isMade ? [] : [`pulumi stack select ${first.name}`]),
    "pulumi up",
    ...others.map(({ name }) => `pulumi up --stack ${name}`),
    ...(application.inGit
      ? [
          `cd ${shellQuote(toRoot)} && git add ${shellQuote(inRoot(into))} ${shellQuote(inRoot(dirname(resolve(application.config))))} && git commit -m "Back up the database"`,
        ]
      : []),
  ];
}

function documentOf(
  { application, answers, into, files, key }: Plan,
  next: readonly string[],
  written: boolean,
) {
  const { bucket } = answers;
  return {
    service: application.service,
    environments: application.environments.map((environment) => ({
      name: environment.name,
      destination: environment.destination ?? null,
      host: environment.host,
      major: environment.major,
      databases: answers.databases[environment.name],
      ...(bucket.kind !== "aws" && { bucket: bucket.names[environment.name] }),
    })),
    bucket: { kind: bucket.kind, region: bucket.region, endpoint: bucket.endpoint ?? null },
    remarks: application.remarks,
    folder: into,
    files: files.map(({ path }) => path),
    recipient: answers.recipient ?? null,
    keyFile: key?.path ?? null,
    next,
    written,
  };
}
