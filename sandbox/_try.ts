import { openStack } from "./engine.ts";
import { readWorld } from "./world.ts";

const s = await openStack(readWorld());
console.log(s.providers.report);
const r =
  process.argv[2] === "up"
    ? await s.up()
    : process.argv[2] === "destroy"
      ? await s.destroy()
      : await s.preview();
console.log(r.code, r.changes, "\n", r.output);
await s.close();
