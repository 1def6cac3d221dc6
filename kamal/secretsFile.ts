import { Problem } from "../common/problem.ts";

/** A secret whose value is made by a command, which is never run here. */
export interface Unresolved {
  /** The command between the brackets of `$(...)`. */
  readonly command: string;
}

type Environment = Readonly<Record<string, string | undefined>>;
type Value = string | Unresolved;

/** One secret of a file, and which of the variables in it are set nowhere, so that Kamal reads nothing for them. */
export interface FoundSecret {
  readonly value: Value;
  readonly unset: readonly string[];
}

/**
 * Files that Kamal reads secrets from, in its order; a later one wins (Kamal 2.11, lib/kamal/secrets.rb). With a
 * destination the file without its name is not read.
 * @param base `secrets_path` of deploy.yml
 */
export function secretFilePaths(destination?: string, base = ".kamal/secrets"): string[] {
  return [`${base}-common`, destination === undefined ? base : `${base}.${destination}`];
}

const BLANK = "[ \\t\\n\\v\\f\\r]";
const SINGLE_QUOTED = `${BLANK}*'(?:\\\\'|[^'])*'`;
const DOUBLE_QUOTED = `${BLANK}*"(?:\\\\"|[^"])*"`;
const UNQUOTED = "[^#\\n]+";
/**
 * One assignment, as the regular expression LINE of the gem dotenv 3 (lib/dotenv/parser.rb) finds it. dotenv skips
 * whatever does not match, without a word.
 */
const ASSIGNMENT = new RegExp(
  `(?<=^|\\n)${BLANK}*(?<export>export${BLANK}+)?(?<key>[\\w.]+)` +
    `(?:(?:${BLANK}*=${BLANK}*?|:${BLANK}+?)(?<value>${SINGLE_QUOTED}|${DOUBLE_QUOTED}|${UNQUOTED})?)?` +
    `${BLANK}*(?:#[^\\n]*)?(?=\\n|$)`,
  "g",
);
const VARIABLE = /(\\)?\$(?!\()\{?([A-Za-z0-9_]+)?\}?/g;
const COMMAND_START = /(\\)?\$\(/g;

/**
 * Reads one secrets file as Kamal 2 does (dotenv 3), except that commands are left unresolved.
 * @param env Kamal's own environment, for `$NAME`; a name set earlier in the file goes first
 * @throws Problem for `export NAME` of a name that was never set
 */
export function parseSecrets(text: string, env: Environment): Map<string, Value> {
  return new Map([...readSecrets(text, env)].map(([name, { value }]) => [name, value]));
}

/**
 * The same, with what of it is set nowhere.
 * @param run runs a command and gives its output, without the last line end. @default commands are left unresolved
 * @throws Problem for `export NAME` of a name that was never set
 */
export function readSecrets(
  text: string,
  env: Environment,
  run?: (command: string) => string,
): Map<string, FoundSecret> {
  const secrets = new Map<string, FoundSecret>();
  for (const { groups } of text.replace(/\r\n?/g, "\n").matchAll(ASSIGNMENT)) {
    const key = groups?.["key"] ?? "";
    const value = groups?.["value"];
    if (groups?.["export"] !== undefined && value === undefined) {
      if (secrets.has(key)) continue;
      throw new Problem(
        `secrets file: "export ${key}" has no value. Write ${key}='...' in its place.`,
      );
    }
    // dotenv puts variables into a command before it is run, and looks for more of them in its output.
    const runWith =
      run && ((command: string) => run(String(expandVariables(command, secrets, env).value)));
    secrets.set(key, evaluate(value ?? "", secrets, env, runWith));
  }
  return secrets;
}

function evaluate(
  raw: string,
  secrets: ReadonlyMap<string, FoundSecret>,
  env: Environment,
  run: ((command: string) => string) | undefined,
): FoundSecret {
  const stripped = raw.replace(/^[\0 \t\n\v\f\r]+|[\0 \t\n\v\f\r]+$/g, "");
  const [, quote, inner] = /^(['"])([\s\S]*)\1$/.exec(stripped) ?? [];
  if (quote === "'") return { value: inner ?? "", unset: [] };
  let value = inner ?? stripped;
  if (quote === '"') value = value.replace(/\\([nr])/g, "\\\\$1");
  value = value.replace(/\\([^$])/g, "$1");
  const commands = resolveCommands(value, run);
  if (typeof commands !== "string") return { value: commands, unset: [] };
  return expandVariables(commands, secrets, env);
}

/**
 * Takes the backslash off escaped commands, and puts the output of the others into the value; where nothing is run, the first
 * of these makes the whole value unresolved.
 */
function resolveCommands(value: string, run: ((command: string) => string) | undefined): Value {
  let result = "";
  let from = 0;
  COMMAND_START.lastIndex = 0;
  for (let match = COMMAND_START.exec(value); match; match = COMMAND_START.exec(value)) {
    const open = match.index + match[0].length - 1;
    const end = closingBracket(value, open);
    if (end === undefined) {
      COMMAND_START.lastIndex = open;
      continue;
    }
    const command = value.slice(open + 1, end);
    if (match[1] === undefined && run === undefined) return { command };
    const text =
      match[1] === undefined && run ? run(command) : value.slice(match.index + 1, end + 1);
    result += value.slice(from, match.index) + text;
    from = end + 1;
    COMMAND_START.lastIndex = from;
  }
  return result + value.slice(from);
}

/** Where the bracket at `open` closes; brackets after a backslash do not count, an empty pair is no command. */
function closingBracket(value: string, open: number): number | undefined {
  const starts: number[] = [];
  for (let at = open; at < value.length; at++) {
    const char = value[at];
    if (char === "\\") at++;
    else if (char === "(") starts.push(at);
    else if (char === ")") {
      if (starts.pop() === at - 1) return undefined;
      if (starts.length === 0) return at;
    }
  }
  return undefined;
}

function expandVariables(
  value: string,
  secrets: ReadonlyMap<string, FoundSecret>,
  env: Environment,
): FoundSecret {
  let unresolved: Unresolved | undefined;
  const unset: string[] = [];
  const text = value.replace(VARIABLE, (whole: string, escaped?: string, name?: string) => {
    if (escaped !== undefined) return whole.slice(1);
    if (name === undefined) return whole;
    const earlier = secrets.get(name);
    unset.push(...(earlier ? earlier.unset : env[name] === undefined ? [name] : []));
    const found = earlier?.value ?? env[name] ?? "";
    if (typeof found === "string") return found;
    unresolved ??= found;
    return "";
  });
  return { value: unresolved ?? text, unset: [...new Set(unset)] };
}

/**
 * Refuses what does not reach a container unchanged through Kamal's env file: Kamal 2.11 writes Ruby's `String#dump`
 * (lib/kamal/env_file.rb), which doubles backslashes and escapes control characters, and Docker takes the file literally.
 * @param name the setting, for the error; the value never is in it
 * @param subject what the error begins with
 * @throws Problem for a backslash, a line end, a tab, another control character, or half a Unicode character
 */
export function checkSecret(name: string, value: string, subject = `secret ${name}`): void {
  const culprit = findCulprit(value);
  if (culprit === undefined) return;
  throw new Problem(
    `${subject} contains ${culprit}, which Kamal alters on the way to the container. Choose a value without it.`,
  );
}

function findCulprit(value: string): string | undefined {
  if (value.includes("\\")) return "a backslash";
  if (/[\r\n]/.test(value)) return "a line end";
  if (value.includes("\t")) return "a tab";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\0-\x1f\x7f]/.test(value)) return "a control character";
  return value.isWellFormed() ? undefined : "half a Unicode character";
}

/**
 * Writes one line of a secrets file that every version of dotenv reads back unchanged.
 * @returns `NAME='value'` without line end
 * @throws Problem for a value that Kamal would alter, or that no quoting can hold
 */
export function quoteSecret(name: string, value: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    throw new Problem(`"${name}" cannot be a secret's name. Use letters, digits and underscores.`);
  }
  checkSecret(name, value);
  const literal = `${name}='${value}'`;
  if (!value.includes("'")) return literal;
  const escaped = `${name}="${value.replace(/["$]/g, "\\$&")}"`;
  // An escaped $( without its bracket keeps the backslash; literal quotes then hold as long as there is no #.
  for (const line of [escaped, literal]) {
    if (parseSecrets(line, {}).get(name) === value) return line;
  }
  throw new Problem(
    `secret ${name} has a ', a # and $( together, which no quoting in a secrets file can hold. Choose a value without one of them.`,
  );
}

/**
 * Lines for a secrets file that may stand in git: Kamal runs each `$(...)` and takes what it prints (Kamal 2.11,
 * lib/kamal/secrets/dotenv/inline_command_substitution.rb, by `sh` where it is no command of its own).
 * @param entries value by Kamal's secret name, which is that of the stack's output, too
 * @param stack `organization/project/stack`
 * @throws Problem for a value that does not come out of a command as it went in
 */
export function renderSecretLookups(
  entries: Readonly<Record<string, string>>,
  stack: string,
): string {
  if (!/^[\w.-]+\/[\w.-]+\/[\w.-]+$/.test(stack)) {
    throw new Problem(
      `stack "${stack}" must be ORGANIZATION/PROJECT/STACK in letters, digits, "_", "." and "-".`,
    );
  }
  return Object.entries(entries)
    .map(([name, value]) => {
      checkLookup(name, value);
      return `${name}=$(pulumi stack output ${name} --stack ${stack} --show-secrets)\n`;
    })
    .join("");
}

/** The gem dotenv 3.2 looks for variables in what a command has printed, too; an earlier one does not. */
function checkLookup(name: string, value: string): void {
  checkSecret(name, value);
  const culprit = value.includes("$")
    ? 'a "$"'
    : /^\s|\s$/.test(value)
      ? "a blank at its beginning or end"
      : undefined;
  if (culprit === undefined) return;
  throw new Problem(
    `secret ${name} contains ${culprit}, which does not come out of a look-up unchanged. Choose a value without it, or have kamal.secrets "literal".`,
  );
}

/**
 * The lines for a secrets file of Kamal's, in the order given, without markers.
 * @param entries value by Kamal's secret name
 * @throws Problem for a value that would reach the container altered
 */
export function renderSecretsBlock(entries: Readonly<Record<string, string>>): string {
  return Object.entries(entries)
    .map(([name, value]) => `${quoteSecret(name, value)}\n`)
    .join("");
}
