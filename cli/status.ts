import { judgeAge, listBackups, type Verdict } from "./catalogue.ts";
import { inspectContainer } from "./container.ts";
import { forDatabase } from "./databases.ts";
import { formatBytes, formatStamp } from "./format.ts";
import { paint, renderTable } from "./render.ts";
import type { Session } from "./session.ts";

/** Shows the container, the newest backup and whether it is young enough. */
export async function status(session: Session): Promise<void> {
  const { backup, container, screen } = session;
  const now = Date.now();
  const state = await inspectContainer(container, now);
  const verdicts = state.running ? await judgeAll(session, now) : [];
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
    `${paint.strong(session.databases.join(", "))}   s3://${backup.location.bucket}/${backup.location.prefix}`,
  );
  screen.line();
  for (const line of renderTable([{}, {}], rows)) screen.line(`  ${line}`);
  screen.document({
    database: backup.database,
    host: container.host,
    container: { name: container.name, ...state },
    schedule: backup.schedule,
    ...documentOf(verdicts[0]),
    rpoHours: backup.rpoHours,
    ...(session.databases.length > 1 && {
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

async function judgeAll(session: Session, now: number): Promise<Judged[]> {
  const judged: Judged[] = [];
  for (const database of session.databases) {
    const one = forDatabase(session, database);
    const verdict = judgeAge(one.backup, await listBackups(one), now);
    judged.push({ ...verdict, database, named: session.databases.length > 1 });
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
