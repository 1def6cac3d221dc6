import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import { runCommandLine } from "../../cli/program.ts";
import { wrap } from "../../cli/terminal/render.ts";
import type { Terminal } from "../../cli/terminal/screen.ts";
import { query } from "../stack/actors.ts";
import { openStack } from "../stack/engine.ts";
import { ensureIdentity } from "../stack/identity.ts";
import { checkout } from "../world/paths.ts";
import type { World } from "../world/world.ts";
import { drawTerminal, linesLeft } from "./drawTerminal.ts";

/** The picture in README. */
const PICTURE = join(checkout, "docs/images/terminal.svg");
const COLUMNS = 88;
const TABLE = "pgbench_accounts";

/**
 * Declares a backup in the sandbox, which takes one, lists it, loses a table and restores it, and draws what the terminal has shown.
 * @returns the path of the picture
 */
export async function drawStill(world: World): Promise<string> {
  const stack = await openStack(world, { config: { firstBackup: "true" } });
  try {
    const lines: string[] = [];
    // An earlier one would have left nothing to make.
    await stack.destroy();
    const up = await stack.up();
    if (up.code !== 0) throw new Error(up.output);
    lines.push("$ pulumi up", ...summaryOf(up.output), "");

    Object.assign(process.env, stack.env, { FORCE_COLOR: "1" });
    copyFileSync(ensureIdentity(world).file, join(stack.dir, "key.txt"));
    process.chdir(stack.dir);
    const type = async (words: string, answer = "") => {
      const screen = new Recorder(answer);
      const code = await runCommandLine(words.split(" "), screen.terminal);
      if (code !== 0) throw new Error(screen.lines.join("\n"));
      lines.push(`$ npx kamal-postgres-backup ${words}`, ...screen.lines, "");
    };
    await type("list");
    const accident = `drop table ${TABLE}`;
    await query(world, accident);
    lines.push(`$ psql -c '${accident}'`, "DROP TABLE", "");
    await type("restore latest --identity key.txt", world.database.name);

    writeFileSync(
      PICTURE,
      drawTerminal(
        lines.slice(0, -1),
        "pulumi up with a first backup, a list, a lost table, a restore",
      ),
    );
    return PICTURE;
  } finally {
    await stack.close();
  }
}

/** What Pulumi says at the end: what has become of the first backup, and what was made. */
function summaryOf(output: string): string[] {
  const lines = output.trimEnd().split("\n");
  const first = /^ +(First backup: .*)/m.exec(output)?.[1];
  if (first === undefined) throw new Error(`no first backup was made:\n${output}`);
  const summary = lines.slice(lines.findLastIndex((line) => line.startsWith("Resources:")));
  return [...wrap(first, COLUMNS), "", ...summary];
}

/** A terminal that remembers what stood on it, and types an answer to a question. */
class Recorder {
  readonly terminal: Terminal;
  #text = "";

  constructor(answer: string) {
    const input = Object.assign(new PassThrough(), { isTTY: true });
    const output = Object.assign(
      new Writable({
        write: (chunk, _, done) => {
          this.#text += chunk;
          if (answer !== "" && this.#text.endsWith("to continue: ")) input.write(`${answer}\n`);
          done();
        },
      }),
      { isTTY: true, columns: COLUMNS },
    );
    this.terminal = { input, out: output, err: output };
  }

  /** What is left on it. */
  get lines(): string[] {
    return linesLeft(this.#text);
  }
}
