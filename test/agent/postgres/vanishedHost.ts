/**
 * Runs in a network namespace of its own, where the packets of one run alone can be dropped: a backup whose host vanishes, and what
 * another container of the same settings then meets. Prints one line of JSON, a `Vanished`.
 */
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { BIG, processOf } from "../runtime/watch.ts";
import { agent, DUMP_SUFFIX, failure, outcomeOf, startAgent, World } from "../world.ts";

/** How a command of the other container ended. */
interface Met {
  readonly code: number | null;
  readonly sentence: string;
  readonly stderr: string;
}

export interface Vanished {
  readonly byHand: Met;
  readonly restore: Met;
  readonly scheduled: Met;
  /** Dumps in the bucket: before the host vanished, and when the scheduled run has ended. */
  readonly dumps: { readonly before: number; readonly after: number };
  /** Seconds until the server had ended the connections of the vanished host. */
  readonly seconds: number;
}

interface Connection {
  readonly pid: number;
  readonly port: number;
}

execFileSync("ip", ["link", "set", "lo", "up"]);
const world = await World.start();
try {
  console.log(JSON.stringify(await vanish()));
} finally {
  await world.stop();
}

async function vanish(): Promise<Vanished> {
  await world.database("big", ...BIG);
  const env = await world.environment("big");
  await world.backup(env);
  const dumps = async () =>
    (await world.keys(env["S3_BUCKET"] ?? "")).filter((key) => DUMP_SUFFIX.test(key)).length;
  const met = async (...args: string[]): Promise<Met> => {
    const outcome = await agent(env, ...args, "--json");
    const { code, stderr } = outcome;
    return { code, sentence: failure(outcome), stderr };
  };
  const before = await dumps();
  const lost = startAgent(env, "backup");
  const ended = outcomeOf(lost);
  await copying();
  const connections = await connectionsOf();
  for (const { port } of connections) {
    for (const side of ["--sport", "--dport"]) {
      execFileSync("iptables", ["-A", "INPUT", "-p", "tcp", side, String(port), "-j", "DROP"]);
    }
  }
  const since = performance.now();
  const dump = processOf(lost, "pg_dump");
  lost.kill("SIGKILL");
  process.kill(dump, "SIGKILL");
  await ended;
  const gone = async () => {
    const pids = new Set(connections.map(({ pid }) => pid));
    while ((await connectionsOf()).some(({ pid }) => pids.has(pid))) await sleep(500);
    return (performance.now() - since) / 1000;
  };
  const [byHand, restore, scheduled, seconds] = await Promise.all([
    met("backup"),
    met("restore", "latest", "--yes"),
    met("backup", "--scheduled"),
    gone(),
  ]);
  const after = await dumps();
  return { byHand, restore, scheduled, seconds, dumps: { before, after } };
}

async function copying(): Promise<void> {
  const sql =
    "SELECT FROM pg_stat_activity WHERE application_name = 'pg_dump' AND query LIKE 'COPY%'";
  while ((await world.query("postgres", sql)).length === 0) await sleep(5);
}

/** Those to the database, of the agent and of its programs. */
async function connectionsOf(): Promise<Connection[]> {
  const sql = "SELECT pid, client_port AS port FROM pg_stat_activity WHERE datname = 'big'";
  return (await world.query("postgres", sql)) as unknown as Connection[];
}
