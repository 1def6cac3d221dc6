import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { WalNotices } from "../../../agent/notify/walNotices.ts";
import type { WalState } from "../../../common/contracts/pointInTime.ts";
import { settingsWith } from "../../components/application.ts";
import { Receiver } from "../../support/servers/receiver.ts";
import { checkSlack } from "./services.ts";

const STATE: WalState = {
  chain: "kpb_20261128t031502_9f3a1c",
  receiving: true,
  problem: null,
  at: "2026-11-28T10:00:00.000Z",
  archivedLsn: "0/5000000",
  serverLsn: "0/5000000",
  heldBytes: 12_000_000,
  boundBytes: 4_000_000_000,
  reachableTo: "2026-11-28T09:59:58.000Z",
  markedAt: null,
  baseProblem: null,
};
const now = new Date("2026-11-28T10:00:00Z");
const ago = (minutes: number) => new Date(now.getTime() - minutes * 60_000);

async function noticesOf(t: TestContext, notifications: object) {
  const receiver = await Receiver.start();
  t.after(() => receiver.stop());
  const said: string[] = [];
  const say = (text: string) => void said.push(text);
  const settings = {
    ...settingsWith(undefined),
    notifications: { webhookUrl: `${receiver.address}/hook`, ...notifications },
  };
  const notices = new WalNotices({
    settings,
    report: { event: () => {}, line: say, warn: say, error: say },
    signal: new AbortController().signal,
  });
  return { notices, receiver, said };
}

test("WAL that stays away for ten minutes is told once, with what the server holds, and its end once", async (t) => {
  const { notices, receiver } = await noticesOf(t, { webhookFormat: "json" });
  const away = { ...STATE, problem: "the bucket is away." };
  await notices.tell(away, ago(9), now);
  await notices.tell(away, ago(11), now);
  await notices.tell(away, ago(12), now);
  await notices.tell(STATE, ago(0), now);
  await notices.tell(STATE, ago(0), now);
  const bodies = receiver.received.map(({ body }) => JSON.parse(body));
  assert.deepEqual(
    bodies.map(({ event, result, errors }) => [event, result, errors]),
    [
      [
        "wal",
        "failed",
        [
          "WAL has not reached the bucket since 2026-11-28T09:49:00Z: the bucket is away. The server holds 12 MB of it, 4.0 GB at most.",
        ],
      ],
      ["wal", "ok", []],
    ],
  );
  assert.deepEqual(bodies[1].state, STATE);
});

test("a base that failed is told in a chat's form", async (t) => {
  const { notices, receiver } = await noticesOf(t, { webhookFormat: "slack" });
  await notices.tell({ ...STATE, baseProblem: "no room <there>." }, ago(0), now);
  const text = checkSlack(receiver.received[0]?.body ?? "");
  assert.match(text, /Point-in-time recovery falls behind .*The last base backup failed: no room/s);
});

test("the figures lie beside those of the dumps, without what is not known", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "metrics-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const metricsFile = join(folder, "backup.prom");
  const { notices } = await noticesOf(t, { webhookUrl: undefined, metricsFile });
  await notices.tell({ ...STATE, boundBytes: null }, ago(2), now);
  const text = readFileSync(join(folder, "backup-wal.prom"), "utf8");
  const figures = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  assert.deepEqual(figures, [
    "postgres_backup_wal_receiving 1",
    "postgres_backup_wal_lag_seconds 120",
    "postgres_backup_wal_held_bytes 12000000",
    `postgres_backup_wal_reachable_to_timestamp_seconds ${Date.parse("2026-11-28T09:59:58Z") / 1000}`,
    "postgres_backup_wal_base_failed 0",
  ]);
});

test("a webhook that does not answer is warned of once", async (t) => {
  const { notices, receiver, said } = await noticesOf(t, { webhookFormat: "json" });
  receiver.stop();
  await notices.tell(STATE, ago(11), now);
  await notices.tell(STATE, ago(11), now);
  assert.equal(said.length, 1);
  assert.match(
    said[0] ?? "",
    /^WEBHOOK_URL: the state of the WAL could not be told: 127\.0\.0\.1 /,
  );
});
