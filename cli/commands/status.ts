import { type Judged, judgeByAgent, judgeInBucket } from "../backups/statusFreshness.ts";
import { inspectContainer } from "../session/container.ts";
import { forCopy } from "../session/copy.ts";
import { nameOf, namesOf } from "../session/databases.ts";
import type { Session } from "../session/session.ts";
import type { StackChoice } from "../stack/pulumi.ts";
import { formatBytes, formatStamp } from "../terminal/format.ts";
import { paint, renderTable } from "../terminal/render.ts";

/**
 * Shows the container, the newest backup and whether it is young enough. While the container does not run or may not list,
 * the bucket itself is asked for the age.
 */
export async function status(session: Session, stack: StackChoice): Promise<void> {
  const { backup, container, screen } = session;
  const now = Date.now();
  const state = await inspectContainer(container, now);
  const names = state.running ? await namesOf(session) : null;
  const judge = (one: Session) =>
    names === null ? judgeInBucket(one, stack, now) : judgeByAgent(one, names, stack, now);
  const verdicts = await judge(session);
  const copy = forCopy(session);
  const copies = copy ? await judge(copy) : [];
  const several = session.databases === null || session.databases.length > 1;
  const fit = state.running && state.health !== "unhealthy";
  const details = [
    [state.status, state.since].filter(Boolean).join(" "),
    state.health ?? "",
    state.restarts > 0 ? `restarted ${state.restarts} times` : "",
    state.running ? "" : "pulumi up starts it",
  ].filter(Boolean);
  const rows = [
    ["container", `${container.name} on ${container.host}`],
    ["state", (fit ? paint.good : paint.bad)(details.join(", "))],
    ...(state.remark === undefined ? [] : [["health", state.remark]]),
    ["image", state.image ?? backup.image],
    ["schedule", backup.schedule.includes("TZ=") ? backup.schedule : `${backup.schedule} (UTC)`],
    ...verdicts.flatMap(describeVerdict),
    ...copies.flatMap(describeVerdict),
  ];
  screen.line(
    `${paint.strong(names?.join(", ") || nameOf(session))}   s3://${backup.location.bucket}/${backup.location.prefix}`,
  );
  screen.line();
  for (const line of renderTable([{}, {}], rows)) screen.line(`  ${line}`);
  screen.document({
    database: names?.[0] ?? (backup.database || null),
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
        databases: copies.map((judged) => ({ database: judged.database, ...documentOf(judged) })),
      },
    }),
  });
}

function describeVerdict({ newest, ok, text, of, seen }: Judged): string[][] {
  const verdict = [`verdict${of}`, (ok ? paint.good : paint.bad)(text)];
  if (seen === null) return [verdict];
  const found = newest ? `${formatStamp(newest.stamp)} UTC, ${formatBytes(newest.bytes)}` : "none";
  return [
    [`newest${of}`, seen === "bucket" ? `${found}, as the bucket itself tells` : found],
    verdict,
  ];
}

function documentOf(judged: Judged | undefined) {
  if (judged === undefined) return { newest: null, withinRpo: null, seen: null };
  const { newest, ok, seen, text } = judged;
  return {
    newest: newest ? { stamp: newest.stamp, bytes: newest.bytes, key: newest.key } : null,
    withinRpo: seen === null ? null : ok,
    seen,
    ...(seen === null && { error: text }),
  };
}
