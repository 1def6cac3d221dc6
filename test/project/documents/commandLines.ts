import { readFileSync } from "node:fs";
import { PassThrough } from "node:stream";
import { type Command, CommanderError } from "commander";
import { describeProgram } from "../../../cli/program.ts";
import { SETTINGS } from "../../../stacks/settings.ts";

/** The product's own command line, whose commands do nothing. */
function parser(): Command {
  const silent = new PassThrough().resume();
  const terminal = { input: new PassThrough(), out: silent, err: silent };
  const program = describeProgram(
    () => Promise.reject(new Error("no session is opened")),
    terminal,
    () => {},
  );
  for (const command of program.commands) command.action(() => {});
  return program;
}

const program = parser();

/** Names of the product's commands. */
export const COMMANDS = program.commands.map((command) => command.name());

/** What is wrong with words that stand behind `kamal-postgres-backup`; undefined: nothing. */
function faultOfCommand(words: readonly string[]): string | undefined {
  try {
    program.parse(words, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError) || error.exitCode !== 0) return (error as Error).message;
  }
  return undefined;
}

const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as {
  scripts: Record<string, string>;
};
/** Settings of a program of one's own, which the examples read. */
const OF_EXAMPLES = ["ageRecipient", "backupProject", "deployer"];
const KNOWN: ReadonlySet<string> = new Set([
  ...SETTINGS.map(({ name }) => name),
  ...OF_EXAMPLES,
  "aws:region",
]);

function faultOfNpm(words: readonly string[]): string | undefined {
  const [verb = "", ...more] = words.filter((word) => word !== "-s");
  if (["ci", "install", "pack", "publish"].includes(verb)) return undefined;
  const [name = "", ...rest] = verb === "run" ? more : [verb, ...more];
  if (scripts[name] === undefined) return `package.json has no script ${name}`;
  const [dashes, room, ...args] = rest;
  return name === "sandbox" && dashes === "--" && room === "cli" ? faultOfCommand(args) : undefined;
}

const PULUMI =
  /^(?:up|preview|destroy|refresh|login|new|cancel|config set|config rm|stack select|stack output|stack init|stack export|stack import)(?: |$)/;

function faultOfPulumi(words: readonly string[]): string | undefined {
  const line = words.join(" ");
  if (!PULUMI.test(line)) return "no command of Pulumi that these pages use";
  if (!/^config (?:set|rm) /.test(line)) return undefined;
  const [setting = ""] = words.slice(2).filter((word) => !word.startsWith("--"));
  const name = /^(?:aws:)?\w+/.exec(setting.replace("kamal-postgres-backup:", ""))?.[0] ?? "";
  return KNOWN.has(name) ? undefined : `no setting ${name}`;
}

/** Other programs, in the only forms in which the pages use them. */
const OTHERS: readonly RegExp[] = [
  /^cd \S+$/,
  /^git (?:add|commit) /,
  /^age-keygen -o \S+$/,
  /^ssh-keyscan -t ed25519 \S+$/,
  /^ssh-keygen (?:-R \S+|-lf -)$/,
  /^tee -a ~\/\.ssh\/known_hosts$/,
  /^kamal server bootstrap$/,
  /^kamal (?:deploy|rollback|accessory (?:boot|details|logs|reboot|remove) \w+)$/,
  /^kamal accessory exec \w+ (?:agent \w+|sh (?:backup|restore)\.sh) --reuse$/,
  /^scripts\/run (?:docker (?:ps|exec|logs)|node --test) ?/,
  /^gzip$/,
];

/** What is wrong with a line of a shell block; undefined: nothing. */
export function faultOfLine(line: string): string | undefined {
  const faults = pipelineOf(line).map((words) => {
    const [program, ...args] = words;
    if (program === undefined) return undefined;
    if (program === "npx") {
      const [name = "", ...more] = args;
      if (!/^(?:\S*\/)?kamal-postgres-backup(?:-[\d.]+\.tgz)?$/.test(name)) return `npx ${name}?`;
      return faultOfCommand(more);
    }
    if (program === "npm") return faultOfNpm(args);
    if (program === "pulumi") return faultOfPulumi(args);
    const text = words.join(" ");
    return OTHERS.some((form) => form.test(text)) ? undefined : "nothing here checks such a line";
  });
  return faults.find((fault) => fault !== undefined);
}

/** The words of each program of a line, as a shell takes them apart; without comments, variables and files. */
function pipelineOf(line: string): string[][] {
  const commands: string[][] = [[]];
  for (const [word, double, single] of line.matchAll(/"([^"]*)"|'([^']*)'|[^\s"']+/g)) {
    if (word.startsWith("#")) break;
    if (["|", "&&", ";"].includes(word)) commands.push([]);
    else commands.at(-1)?.push(double ?? single ?? word);
  }
  return commands.map((words) => {
    const begin = words.findIndex((word) => !/^[A-Z_]+=/.test(word));
    const end = words.findIndex((word) => word === "<" || word === ">");
    return words.slice(Math.max(begin, 0), end < 0 ? undefined : end);
  });
}
