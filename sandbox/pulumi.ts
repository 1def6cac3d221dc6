/**
 * `npm run pulumi -- preview | up | destroy [--expect-no-changes] [--set KEY=VALUE]...`: one operation on the sandbox's
 * stack, from a process of its own. Exit code as Pulumi's: 0 done, 7 changes where none were expected.
 */
import { parseArgs } from "node:util";
import { messageOf } from "../common/problem.ts";
import { openStack } from "./stack/engine.ts";
import { readWorld } from "./world/world.ts";

const USAGE =
  "usage: npm run pulumi -- preview | up | destroy [--expect-no-changes] [--set KEY=VALUE]...";

function refuse(reason: string): never {
  console.error(`${reason}\n${USAGE}`);
  process.exit(2);
}

function readWords() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        "expect-no-changes": { type: "boolean", default: false },
        set: { type: "string", multiple: true, default: [] },
      },
    });
  } catch (error) {
    // ERR_PARSE_ARGS_UNKNOWN_OPTION and the like; what stands behind the first sentence is for programs.
    return refuse(`error: ${messageOf(error).split(". ", 1).join("")}.`);
  }
}

const { positionals, values } = readWords();
const [operation, ...more] = positionals;
if (operation !== "preview" && operation !== "up" && operation !== "destroy") {
  refuse(operation === undefined ? "error: no operation." : `error: ${operation} is none of them.`);
}
if (more.length > 0) refuse(`error: ${more.join(" ")}: one operation at a time.`);
const unset = values.set.find((pair) => pair.indexOf("=") < 1);
if (unset !== undefined) refuse(`error: --set ${unset} is no KEY=VALUE.`);
const config = Object.fromEntries(
  values.set.map((pair) => {
    const at = pair.indexOf("=");
    return [pair.slice(0, at), pair.slice(at + 1)];
  }),
);
const stack = await openStack(readWorld(), { config });
for (const line of stack.providers.report) console.error(line);
const outcome = await stack[operation]({ expectNoChanges: values["expect-no-changes"] });
console.log(outcome.output);
await stack.close();
// At once: a program that failed leaves promises behind that nobody waits for.
process.exit(outcome.code);
