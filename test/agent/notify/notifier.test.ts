import assert from "node:assert/strict";
import { on } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { takeBackupLock } from "../../../agent/postgres/advisoryLock.ts";
import { Receiver } from "../../support/servers/receiver.ts";
import { BIG, progressOf } from "../runtime/watch.ts";
import { agent, outcomeOf, startAgent, unavailable, World } from "../world.ts";
import { cardTexts, checkSlack, checkTeams } from "./services.ts";

const TOKEN = "5f1c4a52-token-that-lets-anyone-speak";

describe("notifications", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  let receiver: Receiver;
  const folder = mkdtempSync(join(tmpdir(), "notices-"));
  before(async () => {
    world = await World.start();
    await world.database("shop", "CREATE TABLE orders AS SELECT generate_series(1, 120) AS id");
  });
  after(async () => {
    rmSync(folder, { recursive: true });
    await world.stop();
  });

  async function environment(database = "shop"): Promise<Record<string, string>> {
    receiver?.stop();
    receiver = await Receiver.start();
    return {
      ...(await world.environment(database)),
      PING_URL: `${receiver.address}/${TOKEN}`,
      WEBHOOK_URL: `${receiver.address}/hook?key=${TOKEN}`,
      METRICS_FILE: join(folder, "shop.prom"),
      AGENT_STATE_DIR: folder,
      KAMAL_HOST: "192.0.2.10",
    };
  }
  after(() => receiver?.stop());

  it("a success: the ping from start to end, the document, the metrics", async () => {
    const env = await environment();
    const manifest = await world.backup(env);
    const pings = receiver.received.filter(({ path }) => path.startsWith(`POST /${TOKEN}`));
    assert.deepEqual(
      pings.map(({ path }) => path),
      [`POST /${TOKEN}/start`, `POST /${TOKEN}`],
    );
    assert.match(pings[1]?.body ?? "", /^Backup of shop complete: .*, 1 tables, 120 rows, .* s\.$/);

    const [hook, ...others] = receiver.received.filter(({ path }) => path.startsWith("POST /hook"));
    assert.equal(hook?.path, `POST /hook?key=${TOKEN}`);
    assert.equal(hook?.type, "application/json");
    assert.deepEqual(others, []);
    assert.deepEqual(JSON.parse(hook?.body ?? ""), {
      version: 1,
      event: "backup",
      result: "ok",
      database: "shop",
      host: "192.0.2.10",
      durationMs: manifest.durationMs,
      stamp: manifest.takenAt.slice(0, 19),
      key: manifest.object.key,
      bytes: manifest.object.bytes,
      rows: 120,
    });

    const metrics = readFileSync(join(folder, "shop.prom"), "utf8");
    assert.match(metrics, /^postgres_backup_last_run_success\{database="shop"\} 1$/m);
    assert.match(metrics, /^postgres_backup_rows\{database="shop"\} 120$/m);
    assert.match(metrics, /^postgres_backup_stored_backups\{database="shop"\} 1$/m);
    const bytes = `postgres_backup_size_bytes{database="shop"} ${manifest.object.bytes}\n`;
    assert(metrics.includes(bytes), metrics);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.endsWith(".new")),
      [],
    );
  });

  it("a failure: its sentence everywhere, and the metrics keep the time of the last success", async () => {
    const metrics = () => readFileSync(join(folder, "shop.prom"), "utf8");
    const success = /^postgres_backup_last_success_timestamp_seconds.*$/m;
    const env = await environment();
    await world.backup(env);
    const before = success.exec(metrics())?.[0];
    receiver.received.length = 0;

    const outcome = await agent({ ...env, POSTGRES_PASSWORD: "wrong-password" }, "backup");
    assert.equal(outcome.code, 1);
    assert.equal(receiver.received.at(0)?.path, `POST /${TOKEN}/start`);
    const fail = receiver.received.find(({ path }) => path === `POST /${TOKEN}/fail`);
    assert.match(fail?.body ?? "", /password/);
    const hook = receiver.received.find(({ path }) => path.startsWith("POST /hook"));
    const document = JSON.parse(hook?.body ?? "");
    assert.equal(document.result, "failed");
    assert.equal(document.database, "shop");
    assert.equal(document.error, fail?.body);
    assert.equal("stamp" in document, false);
    assert(outcome.stderr.includes(document.error));
    assert(!JSON.stringify(receiver.received).includes("wrong-password"));
    assert.match(metrics(), /^postgres_backup_last_run_success\{database="shop"\} 0$/m);
    assert.equal(success.exec(metrics())?.[0], before);
  });

  it("how each of several databases ended", async () => {
    const env = { ...(await environment()), POSTGRES_DATABASE: "shop,not_there,nor_this" };
    const outcome = await agent(env, "backup", "--json");
    assert.equal(outcome.code, 1);
    const documents = receiver.received
      .filter(({ path }) => path.startsWith("POST /hook"))
      .map(({ body }) => JSON.parse(body));
    assert.deepEqual(
      documents.map(({ database, result }) => [database, result]),
      [
        ["shop", "ok"],
        ["not_there", "failed"],
        ["nor_this", "failed"],
      ],
    );
    assert.match(documents[1].error, /"not_there" does not exist/);
    assert.doesNotMatch(documents[1].error, /nor_this/);
    const failures = documents
      .slice(1)
      .map(({ database, error }) => ({ database, message: error }));
    for (const document of documents) assert.deepEqual(document.failures, failures);
    const fail = receiver.received.find(({ path }) => path === `POST /${TOKEN}/fail`);
    assert.deepEqual(fail?.body.split("\n"), [
      "2 of 3 databases failed.",
      `"not_there": ${failures[0]?.message}`,
      `"nor_this": ${failures[1]?.message}`,
    ]);
    const metrics = readFileSync(join(folder, "shop.prom"), "utf8");
    assert.match(metrics, /^postgres_backup_last_run_success\{database="not_there"\} 0$/m);
    assert.match(metrics, /^postgres_backup_last_run_success\{database="shop"\} 1$/m);
  });

  it("a run of every database that cannot see them speaks of none by name", async () => {
    const { POSTGRES_DATABASE: _, ...rest } = await environment();
    const env = { ...rest, POSTGRES_BACKUP_ALL: "true", POSTGRES_PASSWORD: "wrong-password" };
    assert.equal((await agent(env, "backup")).code, 1);
    const hook = receiver.received.find(({ path }) => path.startsWith("POST /hook"));
    const document = JSON.parse(hook?.body ?? "");
    assert.equal(document.database, null);
    assert.deepEqual(document.failures, [{ database: null, message: document.error }]);
    assert.doesNotMatch(readFileSync(join(folder, "shop.prom"), "utf8"), /database="postgres"/);
  });

  it("a chat: one message at a failure and one at its end, also through a new container", async () => {
    const { PING_URL: _, METRICS_FILE: __, ...env } = await environment();
    const good = { ...env, WEBHOOK_FORMAT: "slack" };
    const bad = { ...good, POSTGRES_PASSWORD: "wrong-password" };
    const bootedAnew = () => rmSync(join(folder, "agent.alert"), { force: true });
    const messages = () => receiver.received.splice(0).map(({ body }) => checkSlack(body));
    bootedAnew();
    // Nobody has heard of it, so it is not yet reported.
    receiver.answers = [400];
    const unheard = await agent(bad, "backup");
    assert.equal(unheard.code, 1);
    assert.match(unheard.stderr, /^WEBHOOK_URL: .* answered with status 400$/m);
    assert(!unheard.stderr.includes(TOKEN));
    receiver.received.length = 0;
    await agent(bad, "backup");
    const [failed = "", ...more] = messages();
    assert.match(failed, /^🔴 \*Backup of shop failed on 192\.0\.2\.10\*\n.*password/);
    assert.match(failed, /`npx kamal-postgres-backup doctor`/);
    assert(!failed.includes("wrong-password"));
    await agent(bad, "backup");
    bootedAnew();
    await agent(bad, "backup");
    bootedAnew();
    assert.deepEqual([more, messages()], [[], []]);
    await world.backup(good);
    assert.match(messages().join(), /^🟢 \*Backup of shop works again on 192\.0\.2\.10\*/);
    bootedAnew();
    await world.backup(good);
    assert.deepEqual(messages(), []);
    // What killed a run could not be said by the run.
    await agent(good, "notify", "--killed", "the backup ended with code 137");
    assert.match(messages().join(), /failed on .*\nthe backup ended with code 137\n/);

    const test = await agent({ ...env, WEBHOOK_FORMAT: "teams" }, "notify", "--json");
    assert.deepEqual(test.events, [{ event: "notified", host: "127.0.0.1", format: "teams" }]);
    const [card] = receiver.received;
    assert.match(cardTexts(checkTeams(card?.body ?? "")).join(), /^⚪ Test from the backup on 192/);
    const { WEBHOOK_URL: ___, ...none } = env;
    assert.match((await agent(none, "notify")).stderr, /^error: no webhook is set/);
  });

  it("tries again when the receiver is out of order for a moment", async () => {
    const env = await environment();
    // Two, whichever requests get them: none has all its three tries refused.
    receiver.answers = [503, 503];
    const outcome = await agent(env, "backup");
    assert.equal(outcome.code, 0);
    assert.equal(outcome.stderr, "");
    assert(receiver.paths().filter((path) => path === `POST /${TOKEN}/start`).length >= 2);
    assert(receiver.paths().includes(`POST /${TOKEN}`));
  });

  it("logs a notification that fails once, without its address, and the backup succeeds", async () => {
    const env = await environment();
    receiver.stop();
    const outcome = await agent(
      { ...env, METRICS_FILE: "/proc/no/such/folder/x.prom" },
      "backup",
      "--json",
    );
    assert.equal(outcome.code, 0);
    assert.equal(outcome.events.at(-1)?.event, "backup");
    const lines = outcome.stderr.trim().split("\n").sort();
    assert.equal(lines.length, 3, outcome.stderr);
    assert.match(lines[0] ?? "", /^METRICS_FILE: the notification could not be sent: .*\(ENOENT\)/);
    assert.match(lines[1] ?? "", /^PING_URL: .* 127\.0\.0\.1 could not be reached: ECONNREFUSED$/);
    assert.match(
      lines[2] ?? "",
      /^WEBHOOK_URL: .* 127\.0\.0\.1 could not be reached: ECONNREFUSED$/,
    );
    assert(!outcome.stderr.includes(TOKEN));
  });

  it("does not follow a receiver elsewhere, nor asks it again when it refuses; that it knows no start is no matter", async () => {
    const env = await environment();
    receiver.answers = [404, 302, 302];
    const redirected = await agent(env, "backup");
    assert.equal(redirected.code, 0);
    assert.equal(receiver.paths()[0], `POST /${TOKEN}/start`);
    const lines = redirected.stderr.trim().split("\n").sort();
    assert.equal(lines.length, 2, redirected.stderr);
    for (const [line, name] of [
      [lines[0], "PING_URL"],
      [lines[1], "WEBHOOK_URL"],
    ]) {
      assert.match(line ?? "", new RegExp(`^${name}: .*127\\.0\\.0\\.1 answered with status 302`));
    }
    assert.equal(receiver.received.length, 3);
  });

  it("a stopped run says so before it ends, also to a receiver that does not answer", async () => {
    await world.database("big", ...BIG);
    for (const answers of [[], ["silent" as const, "silent" as const, "silent" as const]]) {
      const env = await environment("big");
      receiver.answers = answers;
      const child = startAgent(env, "backup", "--json");
      const ended = outcomeOf(child);
      await progressOf(child, "upload");
      child.kill("SIGTERM");
      // A second signal neither cuts the first one's work short nor kills.
      setTimeout(() => child.kill("SIGTERM"), 100);
      const outcome = await ended;
      // Null: the second one came when the process had done its work and was on its way out. A shell says 143 to both.
      assert([143, null].includes(outcome.code), `exit code ${outcome.code}`);
      const posted = receiver.paths().filter((path) => path === `POST /${TOKEN}/fail`);
      assert.equal(posted.length, 1, "one try, and no waiting for another");
      assert.deepEqual(await world.keys(env["S3_BUCKET"] ?? ""), []);
      assert.equal(await world.unfinishedUploads(env["S3_BUCKET"] ?? ""), 0);
    }
  });

  it("while another backup runs, none by hand; the scheduler's waits, and counts only if that one was good", async () => {
    const given = await environment();
    const env = { ...given, SCHEDULE: "0 0 1 1 *" };
    const bucket = given["S3_BUCKET"] ?? "";
    const { host, port, user, password } = world.postgres;
    const holding = async () => {
      const other = new pg.Client({ host, port, user, password, database: "shop" });
      await other.connect();
      await takeBackupLock(other, "shop");
      return other;
    };
    const state = join(folder, "agent.result");
    rmSync(state, { force: true });
    const starts = () => receiver.paths().filter((path) => !path.endsWith("/start"));
    const first = await holding();
    const byHand = await agent(env, "backup");
    assert.equal(byHand.code, 1);
    assert.match(
      byHand.stderr,
      /another backup of "shop" is running.* connected since \d{4}-.* from 127\.0\.0\.1 \(process \d+ .*pg_terminate_backend\(\d+\)/,
    );
    const waiting = startAgent(env, "backup", "--scheduled");
    const waited = outcomeOf(waiting);
    await said(waiting, /scheduled run waits for it/);
    // As if the other one had stored it: it is of after the due time.
    await first.end();
    const made = await waited;
    assert.equal(made.code, 0, made.stderr);
    assert.equal((await world.keys(bucket)).length, 3, "none was there, so it made its own");
    assert.match(readFileSync(state, "utf8"), /^ok/);

    rmSync(state, { force: true });
    const before = starts().length;
    const second = await holding();
    const counting = startAgent(env, "backup", "--scheduled");
    const counted = outcomeOf(counting);
    await said(counting, /scheduled run waits for it/);
    await second.end();
    const { code, stdout } = await counted;
    assert.equal(code, 0);
    assert.match(stdout, /counts as the scheduled run/);
    assert.equal((await world.keys(bucket)).length, 3);
    assert.equal(starts().length, before);
    assert.throws(() => readFileSync(state), "no result of its own");
  });
});

async function said(child: ReturnType<typeof startAgent>, what: RegExp): Promise<void> {
  let text = "";
  for await (const [chunk] of on(child.stderr as Readable, "data")) {
    text += chunk;
    if (what.test(text)) return;
  }
}
