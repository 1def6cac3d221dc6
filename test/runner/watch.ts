/** Runs unit tests, and again those that a change of a file concerns: `npm run test:watch -- storage`. */
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { findTests, kindOf } from "./kinds.ts";

const files = findTests(process.argv.slice(2)).filter((file) => kindOf(file) === "unit");
run({ files, watch: true, concurrency: true }).compose(spec()).pipe(process.stdout);
