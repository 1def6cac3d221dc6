import { randomBytes } from "node:crypto";
import { formatBytes } from "../../../common/format.ts";
import { Problem } from "../../../common/problem.ts";
import type { Session } from "../../session/session.ts";
import type { StackChoice } from "../../stack/pulumi.ts";
import { confirm, requireTerminal } from "../../terminal/confirm.ts";
import { formatDuration, formatStamp, plural } from "../../terminal/format.ts";
import { paint } from "../../terminal/render.ts";
import { fillGiven, type GivenServer, parseGiven, requireNew } from "./givenServer.ts";
import { copyInto } from "./handOver.ts";
import {
  choosePort,
  dropVolume,
  type EarlierServer,
  findServer,
  makeVolume,
  type PulledServer,
  publish,
  runSql,
  serverCommands,
  serverName,
  shutDown,
  withFillingServer,
} from "./localServer.ts";
import { chooseSource, type Source, type SourceOptions } from "./source.ts";
import { type Staged, withStaging } from "./staging.ts";
import type { PartOptions } from "./tables.ts";

export interface PullOptions extends SourceOptions, PartOptions {
  /** Address of a new database, instead of a server in Docker. */
  readonly to?: string;
  /** Name of the server in Docker. @default made of the database's */
  readonly server?: string;
  /** Its port on 127.0.0.1, as it was typed. @default that of the server that it replaces, else a free one */
  readonly port?: string;
  /** Goes on without asking. @default false */
  readonly yes?: boolean;
}

/**
 * Brings a backup into a PostgreSQL of this machine, masked before anybody can connect. Unmasked rows are in the memory of a server
 * without a network, and on no disk: what comes out of it is a dump of the masked database.
 * @throws Problem; then an earlier server is as before
 */
export async function pull(
  opened: Session,
  stack: StackChoice,
  time: string,
  options: PullOptions,
): Promise<void> {
  const started = performance.now();
  const given = options.to === undefined ? null : parseGiven(options.to);
  const port = options.port === undefined ? undefined : portOf(options.port);
  const source = await chooseSource(opened, stack, time, {
    ...options,
    staysHere: given === null,
  });
  const { screen, backup } = source.session;
  const { manifest } = source.opened;
  if (given !== null) {
    await requireNew(screen, given, backup, manifest?.server.systemIdentifier ?? null);
  }
  const name = options.server ?? serverName(backup.database);
  const earlier = given === null ? await findServer(name) : null;
  await confirmed(source, options, given, earlier && name);
  const pulled =
    given === null
      ? await intoDocker(source, name, earlier, port)
      : await withStaging(source.staging, async (staged) => {
          await fillGiven(screen, staged, given, manifest?.properties?.encoding);
          return { staged, server: null };
        });
  report(source, options, pulled, given, performance.now() - started);
}

/** Asks where somebody could lose something, or gets production's data as it is. */
async function confirmed(
  { session, entry, mask }: Source,
  options: PullOptions,
  given: GivenServer | null,
  replaced: string | null,
): Promise<void> {
  const { screen, backup } = session;
  const bare = mask === undefined && options.schemaOnly !== true;
  const to = given === null ? "" : ` into ${given.database} on ${given.host || "this machine"}`;
  const plan = [
    `Pull ${backup.database}${to} from ${formatStamp(entry.stamp)} UTC (${formatBytes(entry.bytes)})${bare ? " without a mask" : ""}`,
    ...(bare
      ? [
          `${paint.uncertain("Every row comes as it is in production")}, onto this machine's disk. --mask FILE masks it before.`,
        ]
      : []),
    ...(replaced === null ? [] : [`The server ${replaced} and all that it holds is replaced.`]),
  ];
  if (options.yes === true || plan.length === 1) {
    for (const line of plan) screen.line(line);
    return;
  }
  requireTerminal(screen, "pull asks before it replaces a server, or brings unmasked data");
  await confirm(screen, plan, backup.database);
}

interface Pulled {
  readonly staged: Staged;
  /** Null: into a given server. */
  readonly server: PulledServer | null;
}

async function intoDocker(
  { session: { screen }, staging }: Source,
  name: string,
  earlier: EarlierServer | null,
  wanted: number | undefined,
): Promise<Pulled> {
  const { data } = staging;
  const port = await choosePort(wanted, earlier);
  const volume = await makeVolume(name, earlier);
  const password = randomBytes(18).toString("base64url");
  try {
    const staged = await withStaging(
      { ...staging, data: data.kind === "memory" ? data : { kind: "volume", name: volume } },
      async (staged) => {
        const { server, superuser, image } = staged;
        const finish = (container: string) =>
          runSql(
            { container, user: superuser, database: "postgres" },
            `ALTER ROLE "${superuser.replaceAll('"', '""')}" PASSWORD '${password}'`,
          );
        if (data.kind === "memory") {
          screen.waiting("starting the server that stays");
          await withFillingServer({ name, volume, image, superuser }, async (container) => {
            await copyInto(screen, staged, container);
            await finish(container);
          });
        } else {
          await finish(server);
          await shutDown(server);
        }
        return staged;
      },
    );
    const { image, superuser } = staged;
    screen.waiting("starting the server that stays");
    const server = await publish({ name, volume, image, superuser, port, password, earlier });
    return { staged, server };
  } catch (error) {
    await dropVolume(volume);
    throw error;
  }
}

function report(
  { session, entry, mask }: Source,
  options: PullOptions,
  { staged, server }: Pulled,
  given: GivenServer | null,
  elapsedMs: number,
): void {
  const { screen, backup } = session;
  const { tables, rows, compared, masked, notRestored } = staged.drilled;
  for (const item of notRestored) screen.line(`${paint.uncertain("Not restored")}: ${item}`);
  const how =
    mask === undefined ? "unmasked" : `masked by ${mask.name} (${plural(masked, "statement")})`;
  const what = options.schemaOnly ? "its schema alone" : how;
  const counted = compared ? `, ${plural(tables, "table")}, ${plural(rows, "row")}` : "";
  screen.line(
    `${paint.good("Pulled")} ${backup.database} from ${formatStamp(entry.stamp)} UTC in ${formatDuration(elapsedMs)}: ${what}${counted}.`,
  );
  const commands = server && serverCommands(server, backup.database);
  if (commands !== null) {
    screen.line("To reach it:");
    screen.exactLine(`  ${commands.reach}`);
    screen.line("To remove it:");
    screen.exactLine(`  ${commands.remove}`);
  }
  screen.document({
    ...{ database: given?.database ?? backup.database, from: entry.stamp, key: entry.key },
    ...{ masked, schemaOnly: options.schemaOnly === true, tables, rows, compared, notRestored },
    elapsedMs: Math.round(elapsedMs),
    server: server && { ...server, ...commands },
  });
}

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port > 0 && port < 65_536) return port;
  throw new Problem(`--port ${text} must be a number from 1 to 65535.`);
}
