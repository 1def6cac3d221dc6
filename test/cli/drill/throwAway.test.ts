import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

/** Docker that makes the agent's container only once the drill was interrupted. It is there until its standard input ends. */
const DOCKER = `#!/bin/sh
case "$1 $2" in
  "run --rm")
    for word; do [ "$last" = --name ] && name=$word; last=$word; done
    touch "$BOX/began"
    i=0; while [ ! -e "$BOX/interrupted" ] && [ $i -lt 400 ]; do sleep 0.05; i=$((i + 1)); done
    touch "$BOX/containers/$name"
    cat > /dev/null
    ;;
  "rm --force") rm "$BOX/containers/$4" 2> /dev/null || { echo "No such container: $4" >&2; exit 1; } ;;
  "container inspect") touch "$BOX/asked"; echo false ;;
esac
`;

const DRILL = `
  import { withThrowAway } from ${JSON.stringify(resolve("cli/drill/throwAway.ts"))};
  const screen = { waiting() {}, warn: (line) => console.log(line) };
  const plan = { serverImage: "postgres:17", agentImage: "agent", superuser: "postgres", env: {}, data: { kind: "container" }, keep: false };
  await withThrowAway(screen, plan, () => {}).catch((error) => console.log(error.name, error.message));
`;

test("Ctrl-C while Docker still starts the agent's container: it is awaited, and taken away", async (t) => {
  const box = mkdtempSync(join(tmpdir(), "drill-"));
  t.after(() => rmSync(box, { recursive: true }));
  mkdirSync(join(box, "bin"));
  mkdirSync(join(box, "containers"));
  writeFileSync(join(box, "bin/docker"), DOCKER, { mode: 0o755 });
  const child = spawn(process.execPath, ["--input-type=module", "--eval", DRILL], {
    env: { ...process.env, PATH: `${join(box, "bin")}:${process.env["PATH"]}`, BOX: box },
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  let out = "";
  child.stdout.on("data", (text: Buffer) => {
    out += text;
  });
  const ended = once(child, "close");
  while (child.exitCode === null && !existsSync(join(box, "asked"))) await sleep(10);
  child.kill("SIGINT");
  writeFileSync(join(box, "interrupted"), "");
  await ended;
  assert.equal(
    out,
    "Interrupted interrupted; the containers that were started here are removed.\n",
  );
  assert.deepEqual(readdirSync(join(box, "containers")), []);
});
