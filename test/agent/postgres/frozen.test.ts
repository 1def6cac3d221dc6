import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { AnswerWatch, type Sign } from "../../../agent/postgres/answerWatch.ts";
import { bundleAgent } from "../../../common/agentContext.ts";
import { compileCache } from "../../../sandbox/world/run.ts";
import { startRelay } from "../../support/servers/relay.ts";
import { startTcpRelay, type TcpRelay } from "../../support/servers/tcpRelay.ts";
import { BIG } from "../runtime/watch.ts";
import { failure, outcomeOf, unavailable, World } from "../world.ts";

const LIMIT_MS = 4_000;

describe("a server that freezes", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  let folder: string;
  let env: Record<string, string>;
  before(async () => {
    world = await World.start();
    folder = await mkdtemp(join(tmpdir(), "frozen-"));
    await bundleAgent(folder);
    const file = join(folder, "agent.cjs");
    const text = await readFile(file, "utf8");
    const shorter = text.replace("STALL_LIMIT_MS=15*6e4", `STALL_LIMIT_MS=${LIMIT_MS}`);
    assert.notEqual(shorter, text);
    await writeFile(file, shorter);
    await world.database("big", ...BIG);
    env = await world.environment("big");
    await world.backup(env);
  });
  after(async () => {
    await world?.stop();
    await rm(folder, { recursive: true });
  });

  /** The agent with a shorter limit, through a relay. */
  const impatient = (port: number, more: Record<string, string>, ...args: string[]) =>
    outcomeOf(
      spawn(process.execPath, [join(folder, "agent.cjs"), ...args, "--json"], {
        env: {
          PATH: process.env["PATH"],
          ...compileCache,
          ...env,
          ...more,
          POSTGRES_PORT: String(port),
        },
        stdio: ["ignore", "pipe", "pipe"],
      }),
    );
  const copying = async (program: string) => {
    for (;;) {
      const found = await world.query(
        "postgres",
        `SELECT FROM pg_stat_activity WHERE application_name = '${program}' AND query LIKE 'COPY%'`,
      );
      if (found.length > 0) return;
      await sleep(5);
    }
  };
  const throughRelay = async (work: (relay: TcpRelay) => Promise<void>, freezeAt?: RegExp) => {
    const relay = await startTcpRelay(world.postgres.port, freezeAt);
    try {
      await work(relay);
    } finally {
      await relay.stop();
    }
  };

  /** Long before the limit of the product, 15 minutes, and before TCP gives up by itself; slow machines need a minute. */
  const inTime = ({ frozenAt = 0 }: TcpRelay) => {
    const seconds = (performance.now() - frozenAt) / 1000;
    assert.ok(seconds < 240, `${seconds} s`);
  };

  it("in the middle of a backup: it ends within the limit, and nothing is left", () =>
    throughRelay(async (relay) => {
      const other = await world.environment("big");
      const outcome = impatient(relay.port, other, "backup");
      await copying("pg_dump");
      relay.freeze();
      const ended = await outcome;
      inTime(relay);
      assert.equal(ended.code, 1);
      assert.match(failure(ended), /no byte moved|has not answered for 4 seconds/);
      assert.deepEqual(await world.keys(other["S3_BUCKET"] ?? ""), []);
      assert.equal(await world.unfinishedUploads(other["S3_BUCKET"] ?? ""), 0);
    }));

  it("in the middle of a restore: it ends within the limit, and names what is left", () =>
    throughRelay(async (relay) => {
      const outcome = impatient(relay.port, {}, "restore", "latest", "--into", "copied");
      await copying("pg_restore");
      relay.freeze();
      const ended = await outcome;
      inTime(relay);
      assert.equal(ended.code, 1);
      assert.match(failure(ended), /no byte moved|has not answered for 4 seconds/);
      assert.match(
        ended.stderr,
        /database "copied_restore_\w+" could not be dropped \(PostgreSQL .* does not answer/,
      );
    }));

  for (const [what, freezeAt, more] of [
    ["while rows are compared", /count\(\*\)/],
    [
      "at the swap",
      /RENAME TO/,
      /not known whether that took effect.*look whether "into_renameto" or/,
    ],
    [
      "while the new database is made",
      /CREATE DATABASE/,
      /could not be made: .*[^.]\. An empty "into_createdatabase_restore_\w+" may be left; the next restore drops it\.$/,
    ],
  ] as const) {
    it(`${what}: the restore ends within the limit`, () =>
      throughRelay(async (relay) => {
        const name = `into_${freezeAt.source.replaceAll(/\W/g, "")}`.toLowerCase();
        const ended = await impatient(relay.port, {}, "restore", "latest", "--into", name);
        inTime(relay);
        assert.equal(ended.code, 1);
        if (more !== undefined) assert.match(failure(ended), more);
        assert.match(
          failure(ended),
          /PostgreSQL at .* (has not answered for 4 seconds|does not answer)/,
        );
      }, freezeAt));
  }

  it("when the manifest is stored: the backup is a success, and the goodbye costs seconds", () =>
    throughRelay(async (relay) => {
      const other = await world.environment("big");
      const store = await startRelay(world.store.endpoint, (method, path) => {
        if (method === "PUT" && path.includes(".manifest.json")) relay.freeze();
        return "pass";
      });
      try {
        const ended = await impatient(
          relay.port,
          { ...other, S3_ENDPOINT: store.endpoint },
          "backup",
        );
        assert.equal(ended.code, 0, failure(ended));
        inTime(relay);
      } finally {
        await store.stop();
      }
    }));
});

describe("a watch over what a connection waits for", () => {
  const given = (ask: () => Promise<Sign>) => {
    const { promise, resolve } = Promise.withResolvers<Error>();
    const watch = new AnswerWatch("db:5432", { ask, give: resolve, limitMs: 200 });
    return { watch, promise };
  };
  const alive = setInterval(() => {}, 1_000);
  after(() => clearInterval(alive));

  it("never gives up a server that works, however long it takes", async () => {
    let asked = 0;
    const { watch, promise } = given(async () => {
      asked += 1;
      return "working";
    });
    watch.begin();
    while (asked < 12) await sleep(10);
    watch.end();
    assert.equal(await Promise.race([promise, sleep(1, "not")]), "not");
  });

  it("gives up one that does not answer, also when the question gets no answer", async () => {
    const { watch, promise } = given(() => new Promise(() => {}));
    watch.begin();
    assert.match((await promise).message, /^PostgreSQL at db:5432 has not answered for 200 ms/);
  });

  it("gives up a connection whose answer got lost", async () => {
    const { watch, promise } = given(async () => "done");
    watch.begin();
    assert.match((await promise).message, /passes nothing any more: the server has finished/);
  });
});
