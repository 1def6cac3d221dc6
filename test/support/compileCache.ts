/**
 * Where Node keeps what it compiled (`scripts/env` chooses the folder), for programs that are given an environment of their own.
 * Empty when the tests run without it.
 */
export const compileCache: Readonly<Record<string, string>> =
  process.env["NODE_COMPILE_CACHE"] === undefined
    ? {}
    : { NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] };
