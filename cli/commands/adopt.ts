import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { messageOf, Problem } from "../../common/problem.ts";
import { removeAccessory } from "../../kamal/accessoriesSection.ts";
import { requireRemoved } from "../../kamal/configuration/accessoryChange.ts";
import type { KamalAccessoryConfig } from "../../kamal/configuration/accessoryConfig.ts";
import { type KamalConfig, readKamalConfig } from "../../kamal/configuration/config.ts";
import { destinationFile, rootOf } from "../../kamal/kamalCommand.ts";
import { placeOfAccessory } from "../../kamal/markedBlock.ts";
import { readSecrets, secretFilePaths } from "../../kamal/secretsFile.ts";
import { parseAddress } from "../../storage/address/address.ts";
import { listBackups, listDatabases } from "../../storage/catalogue/catalogue.ts";
import { openStore } from "../../storage/s3/client.ts";
import { readDeployFile } from "../session/deployFile.ts";
import { type AdoptedSettings, adoptedSettings, type OldBackup } from "../stack/adoptedSettings.ts";
import { programFolder } from "../stack/project.ts";
import { type StackChoice, setConfiguration } from "../stack/pulumi.ts";
import { formatStamp, plural } from "../terminal/format.ts";
import { paint } from "../terminal/render.ts";
import type { Screen } from "../terminal/screen.ts";

export interface AdoptOptions {
  /** Path of the application's deploy.yml. */
  readonly config: string;
  readonly destination?: string;
  /** Key of the old accessory. @default the only one that backs up into S3 */
  readonly accessory?: string;
  /** Configures the stack, and takes the old accessory out of deploy.yml. @default false: it is shown */
  readonly write?: boolean;
}

/**
 * Shows the settings of a stack that take the place of an accessory of postgres-backup-s3, or writes them. The container is
 * replaced by the `pulumi up` that follows.
 * @throws Problem when there is no such accessory, or it is not clear which
 */
export async function adopt(
  screen: Screen,
  stack: StackChoice,
  options: AdoptOptions,
): Promise<void> {
  const files = filesOf(options);
  const config = readConfiguration(files, options);
  const accessory = chooseOld(config, files, options.accessory);
  const old = describeOld(config, accessory, options);
  const adopted = adoptedSettings(old);
  const look = await lookForBackups(adopted);
  const prefix = look.prefix ?? adopted.prefixes[0];
  const folder = programFolder(stack.cwd);
  const plain = {
    kamalConfig: relative(folder, resolve(options.config)),
    ...(options.destination !== undefined && { destination: options.destination }),
    ...adopted.plain,
    prefix,
  };
  const places = files.filter(({ text }) => placeOf(text, accessory.name) !== undefined);
  const where = places.map(({ path }) => path).join(" and ");
  screen.line(
    `${paint.strong(accessory.name)} in ${where}: ${accessory.image ?? "no image"} on ${accessory.hosts.join(", ")}`,
  );
  screen.line(`  ${look.text}`);
  for (const note of adopted.notes) screen.line(`  ${note}`);
  screen.line();
  for (const [key, value] of Object.entries(plain)) screen.line(`  ${key}: ${value}`);
  for (const key of Object.keys(adopted.secret)) screen.line(`  ${key}: [secret]`);
  for (const [key, from] of Object.entries(adopted.missing)) {
    screen.line(
      `  ${key}: ${paint.uncertain("not known here")}, the value of Kamal's secret ${from}`,
    );
  }
  if (options.write) {
    const rests = places.map(({ path, text }) => ({ path, rest: restOf(path, text, accessory) }));
    await setConfiguration(stack, plain, adopted.secret);
    for (const { path, rest } of rests) writeFileSync(path, rest);
  }
  for (const line of nextSteps(adopted, accessory, where, options.write === true))
    screen.line(line);
  screen.document({
    accessory: accessory.name,
    image: accessory.image,
    container: accessory.service,
    settings: plain,
    secrets: Object.keys(adopted.secret),
    missing: adopted.missing,
    notes: adopted.notes,
    ...(look.backups && { backups: look.backups }),
    written: options.write === true,
  });
}

/** @throws Problem where nothing would be left, which Kamal refuses */
function restOf(path: string, text: string, { name }: KamalAccessoryConfig): string {
  const rest = removeAccessory(text, name);
  if (/^[^\s#]/m.test(rest)) {
    requireRemoved(text, rest, name);
    return rest;
  }
  throw new Problem(
    `${path} holds nothing but ${name}, and Kamal refuses a file without settings. Put another setting of the destination there, e.g. env, then run adopt --write again. Nothing was changed.`,
  );
}

function nextSteps(
  { missing }: AdoptedSettings,
  { name, service }: KamalAccessoryConfig,
  where: string,
  isWritten: boolean,
): string[] {
  const set = Object.keys(missing).map((key) => `  pulumi config set --secret ${key}`);
  const up = `  pulumi up      boots the new container, tries it, and then removes ${service}`;
  if (isWritten) {
    return ["", `The stack is configured, and ${name} is taken out of ${where}. Next:`, ...set, up];
  }
  return [
    "",
    `Nothing was changed. Next, where a stack is selected (pulumi stack init NAME makes one):`,
    `  adopt --write  sets these, and takes ${name} out of ${where}`,
    ...set,
    up,
  ];
}

interface KamalFile {
  readonly path: string;
  readonly text: string;
}

/** The base, and the file of the destination. */
function filesOf({ config, destination }: AdoptOptions): KamalFile[] {
  const more = destination === undefined ? [] : [destinationFile(config, destination)];
  const paths = [config, ...more];
  return paths.map((path) => ({ path, text: readDeployFile(path) }));
}

function readConfiguration(files: readonly KamalFile[], options: AdoptOptions): KamalConfig {
  const [base, other] = files as [KamalFile, ...KamalFile[]];
  return readKamalConfig({
    base,
    ...(other && { destination: { ...other, name: options.destination as string } }),
    env: process.env,
  });
}

/** Line of an accessory, counted from 1; undefined: it does not stand there, or another backup of this package has written it. */
function placeOf(text: string, key: string): number | undefined {
  const { line, backup } = placeOfAccessory(text, key);
  return backup === undefined ? line : undefined;
}

function chooseOld(
  config: KamalConfig,
  files: readonly KamalFile[],
  wanted: string | undefined,
): KamalAccessoryConfig {
  const written = Object.values(config.accessories).filter(({ name }) =>
    files.some(({ text }) => placeOf(text, name) !== undefined),
  );
  const found =
    wanted === undefined ? written.filter(backsUp) : written.filter(({ name }) => name === wanted);
  const [only, ...others] = found;
  if (only !== undefined && others.length === 0) return only;
  if (only === undefined) {
    const names = written.map(({ name }) => name).join(", ") || "none";
    throw new Problem(
      wanted === undefined
        ? `no accessory of ${config.path} backs up PostgreSQL into S3 (accessories written by hand: ${names}). adopt knows eeshugerman/postgres-backup-s3 and its relatives, by their variables.`
        : `--accessory ${wanted}: ${config.path} has no such accessory that was written by hand (${names}).`,
    );
  }
  throw new Problem(
    `${found.map(({ name }) => name).join(", ")} of ${config.path} back up into S3. Choose one with --accessory.`,
  );
}

/** Whether it is a backup into S3, by its variables, under whatever image. */
export function backsUp({ env }: KamalAccessoryConfig): boolean {
  const names = [...Object.keys(env.clear), ...env.secret.map(({ name }) => name)];
  return names.includes("S3_BUCKET") && names.some((name) => name.startsWith("POSTGRES_"));
}

function describeOld(
  config: KamalConfig,
  accessory: KamalAccessoryConfig,
  { config: path, destination }: AdoptOptions,
): OldBackup {
  const secrets = readKamalSecrets(config, path, destination);
  const known = accessory.env.secret.map(({ name, from }) => [name, secrets.get(from)] as const);
  const variables = {
    ...accessory.env.clear,
    ...Object.fromEntries(known.flatMap(([name, value]) => (value ? [[name, value]] : []))),
  };
  const server = Object.values(config.accessories).find(
    ({ service }) => service === variables["POSTGRES_HOST"],
  );
  return {
    accessory,
    variables,
    unknown: Object.fromEntries(
      accessory.env.secret.flatMap(({ name, from }) => (secrets.get(from) ? [] : [[name, from]])),
    ),
    database: server?.name,
    databaseUser: server?.env.clear["POSTGRES_USER"],
  };
}

/** Literal values of Kamal's secrets; what a command makes is not known here. */
function readKamalSecrets(
  { secretsPath }: KamalConfig,
  config: string,
  destination: string | undefined,
): Map<string, string> {
  const root = rootOf(config);
  const found = secretFilePaths(destination, secretsPath)
    .map((path) => join(root, path))
    .filter((path) => existsSync(path))
    .flatMap((path) => [...readSecrets(readFileSync(path, "utf8"), process.env)]);
  return new Map(
    found.flatMap(([name, { value }]) =>
      typeof value === "string" ? [[name, value] as const] : [],
    ),
  );
}

interface Look {
  /** Folder in which the newest backup lies; absent: none was found, or nobody could look. */
  readonly prefix?: string;
  readonly backups?: { readonly count: number; readonly newest: string };
  readonly text: string;
}

/** Looks where the old backups lie, with the old key. The bucket may answer to the host alone, which is no failure. */
async function lookForBackups({ plain, secret, prefixes }: AdoptedSettings): Promise<Look> {
  const { accessKeyId, secretAccessKey } = secret;
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    return { text: "The old backups were not looked for: the key is not known here." };
  }
  try {
    const found = await Promise.all(
      prefixes.map(async (prefix) => {
        const address = parseAddress({
          endpoint: plain["existingBucket.endpoint"],
          region: plain["existingBucket.region"] ?? "",
          bucket: plain["existingBucket.name"] ?? "",
          prefix,
          allowInsecure: true,
        });
        const store = openStore(address, { accessKeyId, secretAccessKey });
        try {
          const names = await listDatabases(store);
          const lists = await Promise.all(names.map((name) => listBackups(store, name)));
          const stamps = lists.flat().map(({ stamp }) => stamp);
          return { prefix, count: stamps.length, newest: stamps.sort().at(-1) ?? "" };
        } finally {
          store.client.destroy();
        }
      }),
    );
    const [best] = found.toSorted((a, b) => b.newest.localeCompare(a.newest));
    if (best === undefined || best.count === 0) return { text: "No old backup was found." };
    const { prefix, count, newest } = best;
    return {
      prefix,
      backups: { count, newest },
      text: `${plural(count, "old backup")} in the folder ${prefix}, the newest of ${formatStamp(newest)}: list shows them, restore takes them.`,
    };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { text: `The old backups could not be looked for: ${messageOf(error)}` };
  }
}
