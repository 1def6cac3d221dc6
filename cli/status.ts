import { Problem } from "../storage/problem.ts";
import { judgeAge, listBackups, type Verdict } from "./catalogue.ts";
import { inspectContainer } from "./container.ts";
import { forCopy } from "./copy.ts";
import { forDatabase, nameOf, namesOf } from "./databases.ts";
import { formatBytes, formatStamp } from "./format.ts";
import { paint, renderTable } from "./render.ts";
import type { Session } from "./session.ts";

/** Shows the container, the newest backup and whether it is young enough. */
export async function status(session: Session): Promise<void> {
  const { backup, container, screen } = session;
  const now = Date.now();
  const state = await inspectContainer(container, now);
  const names = state.running ? await namesOf(session) : [];
  const several = session.databases === null || session.databases.length > 1;
  const verdicts = await judgeAll(session, names, several, now);
  const copy = forCopy(session);
  const copies = copy ? await judgeAll(copy, names, several, now) : [];
  const fit = state.running && state.health !== "unhealthy";
  const details = [
    [state.status, state.since].filter(Boolean).join(" "),
    state.health ?? "",
    state.restarts > 0 ? `restarted ${state.restarts} times` : "",
    state.running ? "" : "pulumi up starts it",
  ].filter(Boolean);
  const unknown = "not known while the container does not run";
  const rows = [
    ["container", `${container.name} on ${container.host}`],
    ["state", (fit ? paint.good : paint.bad)(details.join(", "))],
    ...(state.remark === undefined ? [] : [["health", state.remark]]),
    ["image", state.image ?? backup.image],
    ["schedule", backup.schedule.includes("TZ=") ? backup.schedule : `${backup.schedule} (UTC)`],
    ...(state.running
      ? [...verdicts.flatMap(describeVerdict), ...copies.flatMap(describeVerdict)]
      : [
          ["newest", unknown],
          ["verdict", paint.bad(unknown)],
        ]),
  ];
  screen.line(
    `${paint.strong(names.join(", ") || nameOf(session))}   s3://${backup.location.bucket}/${backup.location.prefix}`,
  );
  screen.line();
  for (const line of renderTable([{}, {}], rows)) screen.line(`  ${line}`);
  screen.document({
    database: names[0] ?? (backup.database || null),
    host: container.host,
    container: { name: container.name, ...state },
    schedule: backup.schedule,
    ...documentOf(verdicts[0]),
    rpoHours: backup.rpoHours,
    ...(several && {
      databases: verdicts.map((judged) => ({ database: judged.database, ...documentOf(judged) })),
    }),
    ...(copy && {
      copy: {
        location: copy.backup.location,
        rpoHours: copy.backup.rpoHours,
        databases: copies.map((judged) => ({
          database: judged.database,
          ...documentOf(judged),
          ...(judged.unseen !== undefined && { error: judged.unseen }),
        })),
      },
    }),
  });
}

/** Whether the newest backup of one of the databases is young enough. */
interface Judged extends Verdict {
  readonly database: string;
  /** What it is the newest of, for its label: a copy, one of several databases. */
  readonly of: string;
  /** Why the copies could not be listed. */
  readonly unseen?: string;
}

async function judgeAll(
  session: Session,
  names: readonly string[],
  named: boolean,
  now: number,
): Promise<Judged[]> {
  const judged: Judged[] = [];
  for (const database of names) {
    const verdict = await judgeOne(forDatabase(session, database), now);
    const name = named ? ` ${database}` : "";
    judged.push({ ...verdict, database, of: `${session.ofCopy ? " copy" : ""}${name}` });
  }
  return judged;
}

/** The copies may be out of reach, which is no reason to say nothing of the backups. */
async function judgeOne(session: Session, now: number): Promise<Omit<Judged, "database" | "of">> {
  try {
    return judgeAge(session.backup, await listBackups(session), now);
  } catch (error) {
    if (!session.ofCopy || !(error instanceof Problem)) throw error;
    const { message } = error;
    return { newest: undefined, ok: false, text: message, unseen: message };
  }
}

function describeVerdict({ newest, ok, text, of, unseen }: Judged): string[][] {
  if (unseen !== undefined) return [[`verdict${of}`, paint.bad(text)]];
  return [
    [
      `newest${of}`,
      newest ? `${formatStamp(newest.stamp)} UTC, ${formatBytes(newest.bytes)}` : "none",
    ],
    [`verdict${of}`, (ok ? paint.good : paint.bad)(text)],
  ];
}

function documentOf(judged: Judged | undefined) {
  const newest = judged?.newest;
  return {
    newest: newest ? { stamp: newest.stamp, bytes: newest.bytes, key: newest.key } : null,
    withinRpo: judged?.ok ?? null,
  };
}
