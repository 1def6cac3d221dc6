import { judgeAge, listBackups } from "./catalogue.ts";
import { inspectContainer } from "./container.ts";
import { formatBytes, formatStamp } from "./format.ts";
import { paint, renderTable } from "./render.ts";
import type { Session } from "./session.ts";

/** Shows the container, the newest backup and whether it is young enough. */
export async function status(session: Session): Promise<void> {
  const { backup, container, screen } = session;
  const now = Date.now();
  const state = await inspectContainer(container, now);
  const verdict = state.running ? judgeAge(backup, await listBackups(session), now) : undefined;
  const newest = verdict?.newest;
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
    ["image", state.image ?? backup.image],
    ["schedule", `${backup.schedule} (UTC)`],
    [
      "newest",
      newest
        ? `${formatStamp(newest.stamp)} UTC, ${formatBytes(newest.bytes)}`
        : verdict
          ? "none"
          : unknown,
    ],
    ["verdict", verdict ? (verdict.ok ? paint.good : paint.bad)(verdict.text) : paint.bad(unknown)],
  ];
  screen.line(
    `${paint.strong(backup.database)}   s3://${backup.location.bucket}/${backup.location.prefix}`,
  );
  screen.line();
  for (const line of renderTable([{}, {}], rows)) screen.line(`  ${line}`);
  screen.document({
    database: backup.database,
    host: container.host,
    container: { name: container.name, ...state },
    schedule: backup.schedule,
    newest: newest ? { stamp: newest.stamp, bytes: newest.bytes, key: newest.key } : null,
    rpoHours: backup.rpoHours,
    withinRpo: verdict?.ok ?? null,
  });
}
