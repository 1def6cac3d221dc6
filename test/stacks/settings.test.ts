import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";

/** Pulumi refuses a stack without a value for a setting that has no default, also one that was made before that setting. */
test("an existing stack needs no value for a new setting: each has a default but the path of deploy.yml", () => {
  const { config } = parse(readFileSync("Pulumi.yaml", "utf8")) as {
    config: Record<string, { default?: unknown }>;
  };
  const required = Object.entries(config).filter(([, setting]) => setting.default === undefined);
  assert.deepEqual(
    required.map(([name]) => name),
    ["kamalConfig"],
  );
});
