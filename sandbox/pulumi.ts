/**
 * `npm run pulumi -- preview | up | destroy [--expect-no-changes] [--set KEY=VALUE]...`: one operation on the sandbox's
 * stack, from a process of its own. Exit code as Pulumi's: 0 done, 7 changes where none were expected.
 */
import { parseArgs } from "node:util";
import { openStack } from "./stack/engine.ts";
import { readWorld } from "./world/world.ts";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    "expect-no-changes": { type: "boolean", default: false },
    set: { type: "string", multiple: true, default: [] },
  },
});
const [operation] = positionals;
if (operation !== "preview" && operation !== "up" && operation !== "destroy") {
  console.error(
    "usage: npm run pulumi -- preview | up | destroy [--expect-no-changes] [--set KEY=VALUE]...",
  );
  process.exit(2);
}
const config = Object.fromEntries(
  values.set.map((pair) => {
    const at = pair.indexOf("=");
    return [pair.slice(0, at), { value: pair.slice(at + 1) }];
  }),
);
const stack = await openStack(readWorld(), { config });
for (const line of stack.providers.report) console.error(line);
const outcome = await stack[operation]({ expectNoChanges: values["expect-no-changes"] });
console.log(outcome.output);
await stack.close();
// At once: a program that failed leaves promises behind that nobody waits for.
process.exit(outcome.code);
