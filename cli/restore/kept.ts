import type { KeptDatabase } from "../../common/contracts/agentEvents.ts";
import { formatBytes } from "../../common/format.ts";
import { Problem } from "../../common/problem.ts";
import { runAgent } from "../session/agentCall.ts";
import type { Session } from "../session/session.ts";
import { confirm, requireTerminal } from "../terminal/confirm.ts";
import { formatAge, formatStamp, stampTime } from "../terminal/format.ts";
import { paint } from "../terminal/render.ts";
import type { Screen } from "../terminal/screen.ts";

export interface KeptOptions {
  /** Drops this one. */
  readonly drop?: string;
  /** Goes on without asking. @default false */
  readonly yes?: boolean;
}

const KINDS = {
  before: "replaced by a restore",
  undone: "replaced by an undo",
  unfinished: "unfinished restore",
} as const;

/**
 * Shows the databases that restores have left on the server, with the command that swaps each back, or drops one of them
 * after the operator has typed its name.
 */
export async function kept(session: Session, options: KeptOptions): Promise<void> {
  const { container, screen } = session;
  const call = { onStderrLine: (line: string) => screen.warn(line) };
  const { databases } = await runAgent(container, ["kept"], "kept", call);
  if (options.drop !== undefined) return dropOne(session, options.drop, databases, options.yes);
  const now = Date.now();
  if (databases.length === 0) screen.line(`No restore has left a database on ${container.host}.`);
  printKept(screen, databases, now);
  const ways = databases.flatMap(({ undo }) => (undo === null ? [] : [session.commandLine(undo)]));
  if (ways.length > 0) screen.line("To swap one back:");
  for (const way of ways) screen.exactLine(`  ${way}`);
  screen.document({
    host: container.host,
    databases: databases.map((one) => ({
      ...one,
      undo: one.undo && session.commandLine(one.undo),
    })),
  });
}

async function dropOne(
  { container, screen }: Session,
  name: string,
  databases: readonly KeptDatabase[],
  agreed = false,
): Promise<void> {
  const one = databases.find((each) => each.name === name);
  if (one === undefined) {
    const names = databases.map((each) => each.name).join(", ");
    throw new Problem(
      `"${name}" is no database that a restore has left, so it was not dropped. ${names === "" ? "There is none." : `Those are: ${names}.`}`,
    );
  }
  if (!agreed) requireTerminal(screen, "kept --drop asks before it drops a database");
  const plan = [
    `Drop ${name} on ${container.host} for good (${sizeOf(one)}, ${KINDS[one.kind]})`,
    `${one.database} is not touched.`,
  ];
  if (agreed) for (const line of plan) screen.line(line);
  else await confirm(screen, plan, name);
  const args = ["kept", `--drop=${name}`, "--yes"];
  const { event: _, ...dropped } = await runAgent(container, args, "dropped", {
    onStderrLine: (line) => screen.warn(line),
  });
  screen.line(`${paint.good("Dropped")} ${dropped.name} (${sizeOf(dropped)}).`);
  screen.document({ ...dropped, host: container.host });
}

/** Name, size, age, what it is. */
function printKept(screen: Screen, databases: readonly KeptDatabase[], now: number): void {
  if (databases.length === 0) return;
  const rows = databases.map((one) => [
    one.name,
    sizeOf(one),
    one.kind === "unfinished" ? "" : formatAge(now - stampTime(one.stamp)),
    [
      KINDS[one.kind],
      one.sessions > 0 ? "in use" : "",
      one.dropAfter === null ? "" : `dropped after ${dropTime(one.dropAfter)}`,
    ]
      .filter(Boolean)
      .join(", "),
  ]);
  const columns = [
    { title: "database" },
    { title: "size", align: "right" },
    { title: "age", align: "right" },
    { title: "what it is" },
  ] as const;
  screen.table(columns, rows);
}

/** `2026-12-07 10:21 UTC` */
function dropTime(time: string): string {
  return `${formatStamp(time.slice(0, 16))} UTC`;
}

function sizeOf({ bytes }: { readonly bytes: number | null }): string {
  return bytes === null ? "size not known" : formatBytes(bytes);
}
