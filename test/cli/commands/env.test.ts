import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { type TestContext, test } from "node:test";
import { parseEnv } from "node:util";
import { parseSecrets } from "../../../kamal/secretsFile.ts";
import { Outside } from "../support/run.ts";

/** What our container may have: blanks, signs of the shell and of each reader of such files. */
const OURS = {
  AGE_RECIPIENTS: "age1one,age1two",
  POSTGRES_PASSWORD: `pa$$word "x" #1 \`id\` $(id) %s & é`,
  SCHEDULE: "15 3 * * *",
  SIGNING_KEYS: "a-_=",
};
const OF_IMAGE = { PATH: "/usr/bin", NODE_VERSION: "24.1.0" };
const entries = (of: object) => Object.entries(of).map(([name, value]) => `${name}=${value}`);

async function begin(t: TestContext, ours: object = OURS): Promise<Outside> {
  const outside = await Outside.open(t);
  const all = [...entries(OF_IMAGE), "KAMAL_HOST=192.0.2.10", ...entries(ours).toReversed()];
  await outside.answer("env", { out: `${JSON.stringify({ env: all, image: "sha256:4f" })}\n` });
  await outside.answer("image", { out: `${JSON.stringify(entries(OF_IMAGE))}\n` });
  return outside;
}

test("env: all that the container was given, and nothing of its image, in lines that each reader takes as they are", async (t) => {
  const outside = await begin(t);
  const { code, stdout, stderr } = await outside.run(["env"]);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.deepEqual(Object.fromEntries(parseSecrets(stdout, {})), OURS, "dotenv, as Kamal has it");
  assert.deepEqual({ ...parseEnv(stdout) }, OURS, "Node");
  const shell = spawnSync("sh", ["-c", `set -a\n${stdout}exec env -0`], { env: {} });
  const read = String(shell.stdout)
    .split("\0")
    .filter((entry) => /^[A-Z_]+=/.test(entry));
  for (const entry of entries(OURS)) assert.ok(read.includes(entry), entry);
  const names = stdout.split("\n").map((line) => line.split("=")[0]);
  assert.deepEqual(names, [...Object.keys(OURS), ""], "in the order of their names");
});

test("env --docker: each value as it is", async (t) => {
  const outside = await begin(t);
  const { code, stdout } = await outside.run(["env", "--docker"]);
  assert.deepEqual([code, stdout], [0, `${entries(OURS).join("\n")}\n`]);
  const json = await outside.run(["env", "--json"]);
  assert.deepEqual(JSON.parse(json.stdout), OURS);
});

test("env: on a terminal, without a container, and for what such a file cannot hold: a sentence, and not a line", async (t) => {
  const outside = await begin(t, { ...OURS, PGDUMP_EXTRA_OPTS: "a\nb" });
  const lines = await outside.run(["env", "--docker"]);
  assert.deepEqual([lines.code, lines.stdout], [1, ""]);
  assert.match(lines.stderr, /^error: PGDUMP_EXTRA_OPTS has a line end, which docker run --env/);
  outside.columns = 80;
  const shown = await outside.run(["env"]);
  assert.deepEqual([shown.code, shown.stdout], [1, ""]);
  assert.match(shown.stderr, /error: env prints secrets\. Give it a file/);
  outside.columns = undefined;
  await outside.answer("env", { err: "Error: No such container: shop-db_backup\n", code: 1 });
  const none = await outside.run(["env"]);
  assert.match(none.stderr, /^error: there is no container shop-db_backup on .* Run pulumi up/);
});
