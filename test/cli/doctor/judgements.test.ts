import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeRetention, judgeSchedule, judgeTrials } from "../../../cli/doctor/backupChecks.ts";
import { judgeRules } from "../../../cli/doctor/bucketChecks.ts";
import type { Finding } from "../../../cli/doctor/check.ts";
import {
  judgeCopyWriting,
  judgeDatabases,
  judgeVersions,
  judgeWriting,
  readProbe,
} from "../../../cli/doctor/databaseChecks.ts";
import {
  judgeContainer,
  judgeDisk,
  judgeDocker,
  judgeHealth,
  judgeImage,
  readHostLook,
} from "../../../cli/doctor/hostChecks.ts";
import { judgeSkew, judgeValidity } from "../../../cli/doctor/networkChecks.ts";
import type { DrillRecord } from "../../../common/contracts/drillRecord.ts";
import { drillRecord } from "../../support/manifest.ts";
import { entryOf, outputs } from "../support/factories.ts";

type Row = readonly [finding: Finding, state: Finding["state"], said: RegExp];

function hold(rows: readonly Row[]): void {
  for (const [finding, state, said] of rows) {
    const all = [finding.text, finding.remedy ?? ""].join(" | ");
    assert.match(all, said);
    assert.equal(finding.state, state, all);
  }
}

test("the host: what its shell answers, and what it means", () => {
  const look = readHostLook([
    "Welcome!",
    "clock 1790000000",
    "docker 28.1.1",
    "disk /dev/sda1 41152736 30000000 10152736 75% /var/lib/my docker",
  ]);
  assert.deepEqual(look, {
    epochMs: 1_790_000_000_000,
    docker: { version: "28.1.1" },
    disk: { free: 10152736 * 1024, size: 41152736 * 1024, mount: "/var/lib/my docker" },
  });
  const disk = (free: number) => ({ epochMs: 0, disk: { free, size: 40e9, mount: "/" } });
  const refusing = (refusal: string) => ({ epochMs: 0, docker: { refusal } });
  hold([
    [judgeDocker(look, "deploy"), "ok", /^28\.1\.1/],
    [judgeDocker(readHostLook([]), "deploy"), "fail", /not on the PATH of deploy .*bootstrap/],
    [judgeDocker(refusing("permission denied"), "deploy"), "fail", /usermod -aG docker deploy/],
    [judgeDocker(refusing("Cannot connect"), "deploy"), "fail", /Cannot connect.*systemctl start/],
    [judgeDisk(disk(10e9)), "ok", /10 GB of 40 GB free on \//],
    [judgeDisk(disk(1.9e9)), "warn", /1\.9 GB.*docker system df/],
    [judgeDisk(disk(0.1e9)), "fail", /100 MB of 40 GB/],
    [judgeDisk(readHostLook(["disk "])), "skipped", /tells nothing/],
    [judgeSkew(20_000, "the host", "this machine"), "ok", /within a minute/],
    [judgeSkew(-90_000, "the host", "here"), "warn", /the host is 90 s behind here.*NTP/],
    [judgeSkew(16 * 60_000, "this machine", "s3"), "fail", /960 s ahead of s3, and S3 refuses/],
    [judgeSkew(Number.NaN, "the host", "here"), "skipped", /does not tell/],
  ]);
});

test("the container: missing, another image, not fit", () => {
  const running = { running: true, status: "running", since: "for 3 d", restarts: 0 };
  const missing = { running: false, status: "missing", since: "", restarts: 0 };
  const exited = { ...missing, status: "exited (137)", since: "2 h ago" };
  hold([
    [judgeContainer(running, "shop-db_backup", "pulumi up"), "ok", /running for 3 d/],
    [judgeContainer(missing, "shop-db_backup", "pulumi up"), "fail", /missing \| pulumi up boots/],
    [judgeContainer(exited, "c", "pulumi up"), "fail", /c exited \(137\) 2 h ago.*starts it/],
    [judgeImage("a@sha256:1", "a@sha256:1", "pulumi up"), "ok", /as declared/],
    [judgeImage("a@sha256:2", "a@sha256:1", "pulumi up"), "warn", /sha256:2.*sha256:1.*boots/],
    [judgeHealth({ ...running, health: "healthy", remark: "waiting" }, "x"), "ok", /^waiting/],
    [judgeHealth({ ...running, health: "starting" }, "x"), "warn", /a minute/],
    [judgeHealth({ ...running, health: "unhealthy" }, "docker logs c"), "fail", /docker logs c/],
  ]);
});

test("the probe: its lines tell how far it came, and so which of its parts has failed", () => {
  const database = 'database  "shop", PostgreSQL 17.6, pg_dump (PostgreSQL) 17.6';
  const bucket = "bucket    s3://b/p, an upload was begun and dropped";
  const good = readProbe([database, bucket], "", 0);
  const role = readProbe([], 'error: role "x" has a wrong password.\n', 1);
  const denied = readProbe([database], "error: the access key may not add to b/p.\n", 1);
  const copy = readProbe([database, bucket], "error: the copy's host is not found.\n", 1);
  const whole = readProbe([database, bucket, "copy      s3://c/p, an upload was begun"], "", 0);
  const second = readProbe([database], 'error: "queue" does not exist.\n', 1);
  hold([
    [judgeDatabases(good, 1), "ok", /^"shop", PostgreSQL 17\.6 \|/],
    [judgeVersions(good), "ok", /^pg_dump \(PostgreSQL\) 17\.6/],
    [judgeWriting(good), "ok", /^an upload was begun and dropped/],
    [judgeDatabases(role, 1), "fail", /wrong password.*troubleshooting/],
    [judgeDatabases(denied, 1), "ok", /"shop"/],
    [judgeDatabases(denied, undefined), "ok", /"shop"/],
    [judgeWriting(denied), "fail", /the access key may not add/],
    [judgeDatabases(second, 2), "fail", /"queue" does not exist/],
    [judgeDatabases(second, undefined), "fail", /"queue" does not exist/],
    [judgeDatabases(readProbe([], "", 137), 1), "fail", /exit code 137/],
    [judgeDatabases(copy, undefined), "ok", /"shop"/],
    [judgeCopyWriting(copy), "fail", /the copy's host is not found/],
    [judgeCopyWriting(whole), "ok", /^s3:\/\/c\/p \|/],
  ]);
});

test("the bucket's rules against the declared retention", () => {
  const rule = (days: number, prefix = "shop/production/", Status = "Enabled" as const) => ({
    ID: `after ${days}`,
    Status,
    Filter: { Prefix: prefix },
    Expiration: { Days: days },
  });
  const tierDays = { daily: 7, weekly: 35, monthly: 365 };
  const tiers = { ...outputs, retentionDays: 365, tierDays };
  const { retentionDays: _, ...unknown } = outputs;
  const off = { ...rule(7), Status: "Disabled" as const };
  hold([
    [judgeRules([rule(30)], outputs), "ok", /after 30 days/],
    [judgeRules([rule(30), rule(7, "")], outputs), "warn", /"after 7" expires .* after 7, not 30/],
    [judgeRules([rule(30), off], outputs), "ok", /after 30 days/],
    [judgeRules([rule(7, "other/")], outputs), "warn", /nothing expires shop\/production\//],
    [
      judgeRules(
        Object.entries(tierDays).map(([tier, days]) => rule(days, `shop/production/${tier}/`)),
        tiers,
      ),
      "ok",
      /365/,
    ],
    [judgeRules([rule(7)], tiers), "warn", /weekly\/ after 7, not 35.*monthly\/ after 7, not 365/],
    [judgeRules([], unknown), "ok", /no retention/],
  ]);
});

test("schedule and retention: when the next one is due, and what cannot hold", () => {
  const now = new Date("2026-11-30T00:15:00Z");
  const monthly = { ...outputs, schedule: "0 3 1 * *", retentionDays: 7 };
  const { retentionDays: _, ...unknown } = outputs;
  const r2 = {
    ...outputs.location,
    endpoint: `https://${"0a".repeat(16)}.r2.cloudflarestorage.com`,
  };
  assert.throws(() => judgeRetention(monthly, undefined), /contradict each other/);
  hold([
    [judgeSchedule(outputs, now), "ok", /"15 3 \* \* \*", next 2026-11-30 03:15 UTC \(in 3 h\)/],
    [judgeSchedule({ ...outputs, rpoHours: 12 }, now), "warn", /24 h between .*RPO 12 h/],
    [judgeRetention(outputs, 1e9), "ok", /keeps 30 backups .* 30\.0 GB \|/],
    [judgeRetention({ ...outputs, location: r2 }, 1e9), "ok", /30\.0 GB, about 0\.45 USD a month/],
    [judgeRetention(unknown, undefined), "warn", /was not declared/],
    [judgeValidity("s3", Date.parse("2026-12-30"), now.getTime()), "ok", /29 more days/],
    [judgeValidity("s3", Date.parse("2026-12-05"), now.getTime()), "warn", /in 4 days.*Renew/],
  ]);
});

test("drills: none yet, passed, failed, too long ago, one that could not run; of several databases the worst", () => {
  const now = Date.parse("2026-11-30T04:00:00Z");
  const DAY = 86_400_000;
  const passed = drillRecord();
  const failed = drillRecord({ verdict: "failed", reason: "a row less" });
  const upgrade = drillRecord({ verdict: "failed", reason: "no such type", upgradeTo: 18 });
  const not = drillRecord({ verdict: "couldNotRun", reason: "no Docker" });
  const entries = [entryOf("2026-11-20T03:15:02")];
  const of = (drills: readonly DrillRecord[] | undefined, everyMs?: number) =>
    judgeTrials(
      { ...outputs, ...(everyMs && { drill: { everyMs } }) },
      [{ database: "shop", entries, source: "bucket", ...(drills && { drills }) }],
      now,
    );
  hold([
    [of(undefined), "skipped", /older than drills/],
    [of([]), "warn", /restored on trial yet.*backup drill/],
    [of([], 7 * DAY), "fail", /^none has passed/],
    [of([passed]), "ok", /^passed 6 d ago/],
    [of([passed], 7 * DAY), "ok", /^passed 6 d ago, due every 7 d/],
    [of([passed], 5 * DAY), "fail", /^passed 6 d ago/],
    [of([failed, passed]), "fail", /the newest failed: a row less/],
    [of([upgrade, passed]), "ok", /^passed 6 d ago/],
    [of([not, passed]), "ok", /^passed 6 d ago/],
    [of([not]), "warn", /could not run: no Docker/],
  ]);
  const both = [[passed], [failed]].map((drills, i) => ({
    ...{ database: `db${i}`, entries, drills },
    source: "container" as const,
  }));
  const worst = judgeTrials(outputs, both, now);
  assert.equal(worst.state, "fail");
  assert.match(worst.text, /^db0: passed 6 d ago; db1: none has passed, the newest failed/);
});
