#!/usr/bin/env node
import { runCommandLine } from "./program.ts";

// The process ends by itself once everything is written.
process.exitCode = await runCommandLine(process.argv.slice(2), {
  input: process.stdin,
  out: process.stdout,
  err: process.stderr,
});
