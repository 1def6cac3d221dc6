import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { Problem } from "../../common/problem.ts";
import { readYamlWithErb } from "../../kamal/configuration/yamlWithErb.ts";
import { type AccessoryPlace, placeOfAccessory } from "../../kamal/markedBlock.ts";
import type { ResourceLog } from "../pulumi/resourceMessages.ts";
import type { SettingName } from "../pulumi/settingNames.ts";
import type { AccessoryNames, KamalArgs } from "./kamalProject.ts";

/** A file beside deploy.yml that Kamal merges with ours. */
interface MergedFile {
  readonly path: string;
  readonly text: string;
  /** Undefined: the base. */
  readonly destination: string | undefined;
}

/**
 * Kamal merges the base file with that of the destination, deeply: what stands under one key in both would be one container
 * with the settings of both, under either label (Kamal 2.11, lib/kamal/configuration.rb).
 * @throws Problem when the accessory's key stands in the other file, whichever was written first
 */
export function refuseMixedAccessories(
  args: KamalArgs,
  { key, destination }: AccessoryNames,
  name: SettingName,
): void {
  for (const file of mergedFiles(args)) {
    if (!keysIn(file).includes(key)) continue;
    const { line, backup } = placeOfAccessory(file.text, key);
    const at = line === undefined ? "" : ` (line ${line})`;
    const whose = backup === undefined ? "" : `, the block of the backup "${backup}"`;
    const instead =
      destination === undefined
        ? `Give one of the two another key with ${name("kamal.accessory")}, or each environment a destination with ${name("kamal.destination")}`
        : `Give this one another key, for instance ${name("kamal.accessory")} "${key}_${destination.replace(/\W/g, "_")}"`;
    throw new Problem(
      `${name("kamal.accessory")}: accessories.${key} stands in ${file.path} too${at}${whose}, and Kamal merges that file with ${ownFile(args)}, so that one container would get the settings of both. ${instead}. Where this backup itself has moved, take those lines out.`,
    );
  }
}

/**
 * Says at preview what it means that a block in the base belongs to every destination.
 * @param folder in a bucket that destinations may share; undefined: the bucket is this backup's alone
 */
export function describeDestinations(
  args: KamalArgs,
  { key, service }: AccessoryNames,
  folder: string | undefined,
  name: SettingName,
  log: ResourceLog,
): void {
  if (args.destination !== undefined || !log.preview) return;
  const files = mergedFiles(args);
  const [first] = files;
  if (first === undefined) return;
  const beside = files.map(({ path }) => basename(path)).join(", ");
  const theirs = files
    .map((file) => `${service}/${file.destination}`)
    .filter((each) => folder !== undefined && each.startsWith(`${folder}/`));
  const shared =
    theirs.length === 0
      ? ""
      : ` Where they use this bucket too, the rules and keys of its folder ${folder} hold for theirs (${theirs.join(", ")}): give ${name("prefix")} "${service}/production", for instance.`;
  log.warn(
    `${args.config} is merged with ${beside}, so the accessory ${key} belongs to each of these destinations: "kamal accessory ... ${key} -d ${first.destination}" acts on this very container, and "kamal accessory boot all -d ${first.destination}" fails without its secrets. ${name("kamal.destination")} puts it into the file of one destination.${shared}`,
  );
}

/** Says at preview which deploys a gate in the base does not hold back: nobody has declared that they are of this database. */
export function describeUngated(args: KamalArgs, name: SettingName, log: ResourceLog): void {
  if (args.destination !== undefined || !log.preview) return;
  const [first] = mergedFiles(args);
  if (first === undefined) return;
  log.warn(
    `${name("beforeDeploy")} holds back deploys without a destination alone: "kamal deploy -d ${first.destination}" goes on without a backup. ${name("kamal.destination")} names the one whose deploys wait.`,
  );
}

/** Accessories that no backup of this package has written, by their key: of the base and the destination. */
export function isWrittenByHand(args: KamalArgs, key: string): boolean {
  const places: AccessoryPlace[] = [args.config, ownFile(args)]
    .filter(existsSync)
    .map((path) => placeOfAccessory(readFileSync(path, "utf8"), key));
  return places.every(({ backup }) => backup === undefined);
}

/** The base for a destination; for the base, every destination. */
function mergedFiles(args: KamalArgs): MergedFile[] {
  const { config, destination } = args;
  if (destination !== undefined) {
    return [{ path: config, text: readFileSync(config, "utf8"), destination: undefined }];
  }
  const stem = basename(config, extname(config));
  return readdirSync(dirname(config))
    .filter((file) => file.startsWith(`${stem}.`) && file.endsWith(".yml"))
    .map((file) => ({ file, destination: file.slice(stem.length + 1, -".yml".length) }))
    .filter((each) => each.destination !== "" && each.file !== basename(config))
    .map(({ file, destination: of }) => {
      const path = join(dirname(config), file);
      return { path, text: readFileSync(path, "utf8"), destination: of };
    });
}

function ownFile({ config, destination }: KamalArgs): string {
  const stem = basename(config, extname(config));
  return destination === undefined ? config : join(dirname(config), `${stem}.${destination}.yml`);
}

/** None in a file that Kamal cannot read either. */
function keysIn({ path, text, destination }: MergedFile): string[] {
  try {
    const variables = { ...process.env, KAMAL_DESTINATION: destination };
    const { value } = readYamlWithErb({ path, text }, variables, "other");
    const { accessories } = (value ?? {}) as { accessories?: unknown };
    return typeof accessories === "object" && accessories !== null ? Object.keys(accessories) : [];
  } catch (error) {
    if (error instanceof Problem) return [];
    throw error;
  }
}
