import { judgeAge, listBackups, type Verdict } from "./catalogue.ts";
import { inspectContainer } from "./container.ts";
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
      ? verdicts.flatMap(describeVerdict)
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
  });
}

/** Whether the newest backup of one of the databases is young enough. */
interface Judged extends Verdict {
  readonly database: string;
  /** Whether it is one of several. */
  readonly named: boolean;
}

async function judgeAll(
  session: Session,
  names: readonly string[],
  named: boolean,
  now: number,
): Promise<Judged[]> {
  const judged: Judged[] = [];
  for (const database of names) {
    const one = forDatabase(session, database);
    const verdict = judgeAge(one.backup, await listBackups(one), now);
    judged.push({ ...verdict, database, named });
  }
  return judged;
}

function describeVerdict({ newest, ok, text, database, named }: Judged): string[][] {
  const of = named ? ` ${database}` : "";
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
