import assert from "node:assert/strict";
import { appendFile, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { runProgram } from "../../../common/process.ts";
import { entryOf } from "./factories.ts";
import { Outside } from "./run.ts";

interface Call {
  readonly program: "ssh" | "pulumi";
  readonly args: readonly string[];
  readonly input?: string;
  /** Keeps standard input open, and answers each question. */
  readonly reply?: string;
  /** An option that the agent does not know yet. */
  readonly older?: string;
}

const CALLS: readonly Call[] = [
  { program: "ssh", args: ["host", "docker exec shop agent list --json"] },
  { program: "ssh", args: ["host", "docker exec shop agent list --copy"] },
  { program: "ssh", args: ["host", "docker exec shop agent history"] },
  { program: "ssh", args: ["host", "reboot"] },
  { program: "ssh", args: ["host", "agent verify"], input: "one\n\ntwo" },
  { program: "ssh", args: ["host", "agent undo", "--ask"], older: "--ask" },
  {
    program: "ssh",
    args: ["host", "agent restore --attached --ask"],
    input: "key\n\n",
    reply: "yes",
  },
  { program: "ssh", args: ["host", "agent restore --attached --ask"], input: "\n", reply: "no" },
  { program: "pulumi", args: ["stack", "output", "--json"] },
  { program: "pulumi", args: ["config", "set", "shop:key", "--secret"], input: "it's a secret" },
  { program: "pulumi", args: ["refresh", "--event-log", "events"] },
  { program: "pulumi", args: ["destroy"] },
];

/** What all that comes to: of each call what it says, and what is in the folder afterwards. */
async function observed(t: TestContext, isProgram: boolean) {
  const said: unknown[] = [];
  const files: Record<string, string> = {};
  for (const { program, args, input, reply, older } of CALLS) {
    const outside = await Outside.open(t);
    await outside.backups(entryOf("2026-11-24T03:15:02"));
    await outside.answer("verify", { out: "it's\nfine\n", err: "but slow\n", code: 7 });
    await outside.answer("undo", {});
    await outside.answer("restore", { out: [{ event: "restored" }] });
    await outside.answer("refresh", { out: "events\n" });
    await outside.asks("restore", ["a view"], []);
    if (older !== undefined) await appendFile(join(outside.folder, "older"), older);
    // With another text it is nobody's stand-in, and is started.
    if (isProgram) await appendFile(join(outside.folder, program), "\n");
    const lines: string[] = [];
    const { code, stderr } = await outside.within({}, () =>
      runProgram(program, args, {
        ...(input !== undefined && { input }),
        ...(reply !== undefined && {
          lifeline: {
            ...{ beat: "\n", everyMs: 60_000, patienceMs: 60_000 },
            onInterrupted: () => true,
          },
        }),
        missing: "missing",
        interrupted: "interrupted",
        onLine: (line, answer) => {
          lines.push(line);
          if (line.includes('"question"')) answer(`\n${reply}\n`);
        },
      }),
    );
    said.push({ program, args, code, stderr, lines });
    for (const name of await readdir(outside.folder)) {
      if (!/\.(in|args|replies)$|^events$/.test(name)) continue;
      files[`${said.length} ${name}`] = await readFile(join(outside.folder, name), "utf8");
    }
  }
  return { said, files };
}

test("within this process they answer, and leave, what the programs do", async (t) => {
  const programs = await observed(t, true);
  assert.deepEqual(await observed(t, false), programs);
  const codes = programs.said.map((one) => (one as { code: number }).code);
  assert.deepEqual(codes, [0, 0, 99, 99, 7, 1, 0, 1, 0, 0, 0, 99]);
  assert.match(programs.files["7 restore.in"] ?? "", /^key\n$/);
  assert.equal(programs.files["7 restore.replies"], "yes\nyes\n");
});
