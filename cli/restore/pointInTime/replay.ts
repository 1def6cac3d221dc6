import type { RecoveryPlan } from "../../../common/contracts/pointInTime.ts";
import { Problem } from "../../../common/problem.ts";
import { lastLine } from "../../../common/process.ts";
import { walBytes } from "../../../storage/catalogue/walPosition.ts";
import { momentText } from "../../../storage/pointInTime/refusal.ts";
import type { Container } from "../../session/agentCall.ts";
import { formatDuration, formatLeft } from "../../terminal/format.ts";
import { renderBar } from "../../terminal/render.ts";
import type { Screen } from "../../terminal/screen.ts";
import type { ServerModel } from "./databaseServer.ts";
import { onHost } from "./hostDocker.ts";
import { FOLDER, type Parts } from "./sideInstance.ts";

/** Where a recovery has ended. */
export interface Replayed {
  /** The last commit that it holds, ISO 8601 in UTC; null: none was replayed. */
  readonly lastCommit: string | null;
}

/** PostgreSQL's sentence where nothing was committed after the target. */
const ENDED_BEFORE = /recovery ended before configured recovery target was reached/;

const ASK = `SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn(),
  to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/** Prints a line a second, until the server has recovered or has ended. Words: its container, its user, the query, the folder. */
const WATCH = `while :; do
  running=$(docker inspect --type container --format '{{.State.Running}}' "$1") || exit 3
  if [ "$running" != true ]; then docker logs --tail 30 "$1" 2>&1 | sed 's/^/log /'; exit 4; fi
  line=$(docker exec "$1" psql --no-psqlrc --host "$4/socket" --username "$2" --dbname postgres --tuples-only --no-align --command "$3" 2>/dev/null || true)
  echo "state $line"
  case "$line" in f*) exit 0;; esac
  sleep 1
done`;

/**
 * Waits until the server has replayed the WAL up to its target, and shows how far it is.
 * @returns undefined where the WAL ends before the target
 * @throws Problem with what the server wrote last, when it cannot recover
 */
export async function replay(
  container: Container,
  screen: Screen,
  { user }: ServerModel,
  parts: Parts,
  plan: RecoveryPlan,
): Promise<Replayed | undefined> {
  const started = performance.now();
  const from = Number(walBytes(plan.bases.at(-1)?.startLsn ?? "0/0"));
  const whole = Number(walBytes(plan.endLsn)) - from;
  const log: string[] = [];
  let lastCommit: string | null = null;
  screen.waiting("replaying WAL");
  const { code, stderr } = await onHost(
    container,
    ["sh", "-c", WATCH, "watch", parts.server, user, ASK, FOLDER],
    {
      onLine: (line) => {
        if (line.startsWith("log ")) log.push(line.slice(4));
        const [, busy, lsn, time] = /^state ([tf])\|([^|]*)\|(.*)$/.exec(line) ?? [];
        if (busy === undefined) return;
        if (time) lastCommit = time;
        const done = lsn ? Math.max(0, Number(walBytes(lsn)) - from) : 0;
        const elapsed = performance.now() - started;
        const left = formatLeft(done, whole, elapsed);
        screen.progress([
          "replaying WAL",
          time ? `at ${momentText(time).slice(0, 19)} UTC` : "",
          left === "" ? formatDuration(elapsed) : `at most ${left} left`,
          whole > 0 ? renderBar(Math.min(done, whole), whole) : "",
        ]);
      },
    },
  );
  if (code === 0) return { lastCommit };
  if (log.some((line) => ENDED_BEFORE.test(line))) return undefined;
  throw new Problem(
    `the server of the recovery ended before it had recovered: ${lastWords(log) || lastLine(stderr)}`,
  );
}

/** Its last line, and the one before, which has the reason where the last one says only that there was one. */
function lastWords(log: readonly string[]): string {
  const at = log.findLastIndex((line) => /FATAL|PANIC/.test(line));
  const lines = at < 0 ? log.slice(-1) : log.slice(Math.max(0, at - 1), at + 1);
  return lines.map((line) => line.replace(/^.*?(?=[A-Z]{3,}: )/, "").trim()).join("; ");
}
