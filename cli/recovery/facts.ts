import { existsSync } from "node:fs";
import { join } from "node:path";
import { messageOf, Problem } from "../../common/problem.ts";
import type { CommonOptions, Session } from "../session/session.ts";
import { type CommittedBackup, readCommitted } from "./committedBackup.ts";
import type { Facts } from "./steps.ts";
import { EXAMPLE, type StockValues } from "./stockTools.ts";

/** What the reader says of the recovery. */
export interface RecoveryRequest {
  /** Path of the application's deploy.yml. @default config/deploy.yml here, or beside this folder */
  readonly config?: string | undefined;
  readonly destination?: string | undefined;
  /** File with the age identity. */
  readonly identity?: string | undefined;
  /** Address of the new server. @default that of the old one */
  readonly newHost?: string | undefined;
  /** `latest` or the time of a backup. */
  readonly wanted: string;
}

/** Where the application's deploy.yml is looked for: in its own folder, and from that of a Pulumi project in it. */
const CONFIGS = ["config/deploy.yml", "../config/deploy.yml"] as const;

/** The path of deploy.yml as it can be typed here. */
export function configPath({ cwd }: CommonOptions, given: string | undefined): string {
  if (given !== undefined) return given;
  return CONFIGS.find((path) => existsSync(join(cwd, path))) ?? CONFIGS[0];
}

/** What the block in deploy.yml says, or why that is not known. */
export function committedBackup(
  options: CommonOptions,
  { config, destination }: Pick<RecoveryRequest, "config" | "destination">,
): CommittedBackup | Problem {
  const path = join(options.cwd, configPath(options, config));
  try {
    return readCommitted({ config: path, destination, name: options.name });
  } catch (error) {
    if (error instanceof Problem) return error;
    throw new Problem(`${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** The facts that the stack has, with what deploy.yml says besides; without a stack what deploy.yml says. */
export function factsOf(
  options: CommonOptions,
  request: RecoveryRequest,
  session: Session | undefined,
  committed: CommittedBackup | Problem,
): Facts {
  const known = committed instanceof Problem ? undefined : committed;
  const location = session?.backup.location ?? known;
  const hop = session?.backup.hosts.find(({ host }) => host === session.container.host);
  const oldHost = hop?.host ?? known?.host ?? "192.0.2.10";
  const { destination, identity, wanted } = request;
  return {
    host: request.newHost ?? oldHost,
    oldHost,
    sshPort: hop?.port ?? known?.sshPort ?? 22,
    sshUser: hop?.user ?? known?.sshUser ?? "root",
    container: session?.container.name ?? known?.container ?? "shop-db_backup",
    // The stack does not say it, and Kamal's usual name is a better guess than none.
    databaseAccessory: known === undefined ? "db" : known.databaseAccessory,
    config: configPath(options, request.config),
    destination,
    stack: options.stack ?? destination ?? "production",
    bucket: location?.bucket ?? EXAMPLE.bucket,
    prefix: location?.prefix ?? EXAMPLE.prefix,
    onAws: location?.endpoint === undefined,
    databases: several(session?.databases ?? known?.databases ?? []),
    wanted,
    identity,
    command: session?.commandLine ?? ((words) => `npx kamal-postgres-backup ${words}`),
    stock: stockValues(request, session, known),
  };
}

function several(databases: readonly string[]): readonly string[] {
  return databases.length > 1 ? databases : [];
}

function stockValues(
  { identity, wanted }: RecoveryRequest,
  session: Session | undefined,
  known: CommittedBackup | undefined,
): StockValues {
  const { backup } = session ?? {};
  const location = backup?.location ?? known;
  if (location === undefined) return { ...EXAMPLE, ...(identity && { identity }) };
  const { bucket, prefix, region } = location;
  const database = backup?.database || known?.databases[0];
  return {
    ...EXAMPLE,
    region,
    endpoint: location.endpoint ?? `https://s3.${region}.amazonaws.com`,
    bucket,
    prefix,
    accessKeyId: backup?.writerKeyId ?? EXAMPLE.accessKeyId,
    ...(database && { database }),
    ...(wanted !== "latest" && { stamp: wanted.trim().replace(/(?<=\d) (?=\d)/, "T") }),
    ...(identity && { identity }),
    user: known?.user ?? EXAMPLE.user,
  };
}
