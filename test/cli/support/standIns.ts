/**
 * What stands in for `ssh` and `pulumi`: programs for the shell, and the same within this process. Commands of one test start them a
 * thousand times, and a program that is started costs ten times as much as what it says.
 */
import { EventEmitter, once } from "node:events";
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";

/** What a program at the boundary answers. */
export interface Answer {
  /** Events of the agent, or a text. */
  readonly out?: readonly unknown[] | string;
  readonly err?: string;
  readonly code?: number;
}

/** Words of a call, in their order, and which answer it gets: the first that was given. */
const SSH = [
  [["agent list", "--copy"], "list-copy"],
  [["agent list"], "list"],
  [["agent databases"], "databases"],
  [["agent backup"], "backup"],
  [["agent restore"], "restore"],
  [["agent verify"], "verify"],
  [["agent dump"], "dump"],
  [["agent undo"], "undo"],
  [["agent kept", "--drop="], "dropped"],
  [["agent kept"], "kept"],
  [["agent history"], "history"],
  [["agent cancel"], "cancel"],
  [["agent activity"], "activity"],
  [["agent reachable"], "reachable"],
  [["image inspect"], "image"],
  [["container inspect"], "env"],
  [["docker inspect"], "inspect"],
  [["agent-health"], "health"],
  [["agent probe"], "probe"],
  [["agent notify"], "notify"],
  [["docker version"], "look"],
] as const;

/** How a call begins, and which answer it gets. */
const PULUMI = [
  ["stack output", "outputs"],
  ["stack export", "state"],
  ["stack ls", "stacks"],
  ["config set", "made"],
  ["stack init", "made"],
  ["stack select", "made"],
  ["whoami", "whoami"],
  ["refresh", "refresh"],
  ["up", "up"],
] as const;

export type Answered = (typeof SSH)[number][1] | (typeof PULUMI)[number][1];

const REFUSED = JSON.stringify({ event: "error", message: "not confirmed" });
const NO_ANSWER = 99;

/** Neither starts another program for what the shell can do itself. */
const SCRIPTS = {
  ssh: `#!/bin/sh
here=\${0%/*}
printf '%s\\n' "$@" '--next--' >> "$here/ssh.args"
if [ "$1" = -G ]; then for name in "$@"; do :; done; echo "hostname $name"; exit 0; fi
answer=
take() { if [ -z "$answer" ] && [ -f "$here/$1.answer" ]; then answer=$1; fi; }
${SSH.map(([words, answer]) => `case "$*" in *${words.map((word) => `"${word}"`).join("*")}*) take ${answer};; esac`).join("\n")}
[ -n "$answer" ] || exit ${NO_ANSWER}
# An agent of an earlier version knows some option not yet.
if [ -f "$here/older" ]; then
  case "$*" in *"$(cat "$here/older")"*) echo "error: unknown option '$(cat "$here/older")'" >&2; exit 1;; esac
fi
case "$*" in
  # Standard input stays open behind the first empty line.
  *--attached*) while IFS= read -r line && [ -n "$line" ]; do echo "$line"; done > "$here/$answer.in";;
  *) while IFS= read -r line || [ -n "$line" ]; do printf '%s\\n' "$line"; done > "$here/$answer.in";;
esac
# What the agent asks, a line each, before it goes on; another answer than yes ends it.
case "$*" in
  *--ask*)
    while IFS= read -r question <&3; do
      echo "$question"
      while IFS= read -r reply && [ -z "$reply" ]; do :; done
      echo "$reply" >> "$here/$answer.replies"
      [ "$reply" = yes ] || { echo '${REFUSED}'; exit 1; }
    done 3< "$here/$answer.questions";;
esac
. "$here/$answer.answer"
out
err >&2
exit "$code"
`,
  pulumi: `#!/bin/sh
here=\${0%/*}
printf '%s\\n' "$@" '--next--' >> "$here/pulumi.args"
log=""
for word in "$@"; do
  if [ "$log" = next ]; then log=$word; elif [ "$word" = --event-log ]; then log=next; fi
done
answer=
case "$1 $2" in
${PULUMI.map(([begin, answer]) => `  "${begin}"*) answer=${answer};;`).join("\n")}
esac
[ -f "$here/$answer.answer" ] || exit ${NO_ANSWER}
if [ "$1 $2" = "config set" ]; then { cat; echo; } >> "$here/config.in"; fi
. "$here/$answer.answer"
if [ -n "$log" ]; then out > "$log"; else out; fi
err >&2
exit "$code"
`,
} as const;

type Name = keyof typeof SCRIPTS;
const isName = (text: string): text is Name => Object.hasOwn(SCRIPTS, text);

/** The answers of each folder that has the programs. */
const folders = new Map<string, Map<Answered, Answer>>();

/** Puts both programs into a folder. They answer in this process as long as nobody else's stand there in their place. */
export function layStandIns(folder: string): void {
  folders.set(folder, new Map());
  for (const [name, script] of Object.entries(SCRIPTS)) {
    writeFileSync(join(folder, name), script, { mode: 0o755 });
  }
}

export function forgetStandIns(folder: string): void {
  folders.delete(folder);
}

export function layAnswer(folder: string, what: Answered, answer: Answer): void {
  folders.get(folder)?.set(what, answer);
  const { out, err, code } = whole(answer);
  const write = (text: string) => `printf %s '${text.replaceAll("'", "'\\''")}'`;
  const script = `out() { ${write(out)}; }\nerr() { ${write(err)}; }\ncode=${code}\n`;
  writeFileSync(join(folder, `${what}.answer`), script);
}

function whole({ out = "", err = "", code = 0 }: Answer) {
  const text =
    typeof out === "string" ? out : out.map((event) => `${JSON.stringify(event)}\n`).join("");
  return { out: text, err, code };
}

/** As much of a `ChildProcess` as is made use of. */
class StandIn extends EventEmitter {
  readonly stdin = new PassThrough();
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  #ended = false;

  /** The folder and the name say which program it is. */
  constructor(folder: string, name: Name, args: readonly string[]) {
    super();
    const answers = folders.get(folder) ?? new Map<Answered, Answer>();
    appendFileSync(join(folder, `${name}.args`), `${[...args, "--next--"].join("\n")}\n`);
    const run =
      name === "ssh" ? this.#ssh(folder, args, answers) : this.#pulumi(folder, args, answers);
    run.then(
      (code) => this.#end(code, null),
      (error: unknown) => this.emit("error", error),
    );
  }

  kill(signal: NodeJS.Signals = "SIGTERM"): boolean {
    void this.#end(null, signal);
    return true;
  }

  async #ssh(folder: string, args: readonly string[], answers: Map<Answered, Answer>) {
    const call = args.join(" ");
    const row = SSH.find(([words, name]) => answers.has(name) && follow(words, call));
    if (row === undefined) return NO_ANSWER;
    const [, what] = row;
    const older = join(folder, "older");
    if (existsSync(older)) {
      const option = readFileSync(older, "utf8").trimEnd();
      if (call.includes(option)) {
        this.stderr.write(`error: unknown option '${option}'\n`);
        return 1;
      }
    }
    const lines = createInterface({ input: this.stdin })[Symbol.asyncIterator]();
    const isAttached = call.includes("--attached");
    const given: string[] = [];
    for (;;) {
      const { value = "", done } = await lines.next();
      if (done || (isAttached && value === "")) break;
      given.push(`${value}\n`);
    }
    writeFileSync(join(folder, `${what}.in`), given.join(""));
    if (call.includes("--ask")) {
      const questions = readFileSync(join(folder, `${what}.questions`), "utf8").split("\n");
      for (const question of questions.filter(Boolean)) {
        this.stdout.write(`${question}\n`);
        let reply: IteratorResult<string>;
        do reply = await lines.next();
        while (!reply.done && reply.value === "");
        appendFileSync(join(folder, `${what}.replies`), `${reply.value ?? ""}\n`);
        if (reply.value !== "yes") {
          this.stdout.write(`${REFUSED}\n`);
          return 1;
        }
      }
    }
    return this.#say(answers.get(what) ?? {});
  }

  async #pulumi(folder: string, args: readonly string[], answers: Map<Answered, Answer>) {
    const call = args.slice(0, 2).join(" ");
    const answer = answers.get(PULUMI.find(([begin]) => call.startsWith(begin))?.[1] as Answered);
    if (answer === undefined) return NO_ANSWER;
    if (call === "config set") {
      const typed = (await this.stdin.toArray()).join("");
      appendFileSync(join(folder, "config.in"), `${typed}\n`);
    }
    const log = args[args.indexOf("--event-log") + 1];
    return this.#say(answer, args.includes("--event-log") ? log : undefined);
  }

  #say(answer: Answer, log?: string): number {
    const { out, err, code } = whole(answer);
    if (log === undefined) this.stdout.write(out);
    else writeFileSync(log, out);
    this.stderr.write(err);
    return code;
  }

  async #end(code: number | null, signal: NodeJS.Signals | null): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    const streams = [this.stdout, this.stderr];
    const closed = Promise.all(streams.map((stream) => once(stream, "close")));
    for (const stream of streams) stream.end();
    this.stdin.resume();
    this.emit("exit", code, signal);
    await closed;
    this.emit("close", code, signal);
  }
}

/** Whether words stand in a text one after the other. */
function follow(words: readonly string[], text: string): boolean {
  let at = 0;
  for (const word of words) {
    const found = text.indexOf(word, at);
    if (found === -1) return false;
    at = found + word.length;
  }
  return true;
}

interface Options {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly stdio?: unknown;
}

/** The folder whose own program would be started: the first on PATH, with the program in it as it was put there. */
function folderOf(program: Name, { cwd, env = process.env, stdio }: Options): string | undefined {
  const folder = env["PATH"]?.split(delimiter, 1)[0] ?? "";
  if (!folders.has(folder) || stdio !== "pipe") return undefined;
  if (cwd !== undefined && !existsSync(cwd)) return undefined;
  const file = join(folder, program);
  return existsSync(file) && readFileSync(file, "utf8") === SCRIPTS[program] ? folder : undefined;
}

/** Not imported: nothing that the tests cannot do without is started here (`test/runner/kinds.ts`). */
const childProcess = process.getBuiltinModule("node:child_process");
const start = childProcess.spawn as (...words: unknown[]) => unknown;

function spawn(program: string, args: readonly string[], options: Options = {}): unknown {
  const folder = isName(program) ? folderOf(program, options) : undefined;
  if (folder === undefined) return start(program, args, options);
  return new StandIn(folder, program as Name, args);
}

Object.assign(childProcess, { spawn });
syncBuiltinESMExports();
