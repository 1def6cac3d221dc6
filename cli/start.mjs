#!/usr/bin/env node
// Plain JavaScript, because an older Node reads no TypeScript: it would print a trace instead of this sentence.
import { nodeProblem } from "../common/nodeVersion.mjs";

const problem = nodeProblem(process.versions.node);
if (problem === undefined) {
  await import("./main.ts");
} else {
  process.stderr.write(`error: ${problem}\n`);
  process.exitCode = 1;
}
