import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import * as z from "zod";
import { manifestSchema } from "../../../common/contracts/manifest.ts";

const path = fileURLToPath(
  new URL("../../../common/contracts/manifest.schema.json", import.meta.url),
);

it("the published JSON schema of the manifest is the one that every read validates with", () => {
  const schema = z.toJSONSchema(manifestSchema, {
    // Newer fields may be added within version 1: other readers must not refuse them, as ours does not.
    io: "input",
  });
  const current = {
    title: "Manifest of a backup by kamal-postgres-backup, version 1",
    ...schema,
  };
  // Any formatting will do; it is the content that counts.
  if (process.env["UPDATE_SCHEMA"] === "true") {
    writeFileSync(path, `${JSON.stringify(current, null, 2)}\n`);
  }
  assert.deepEqual(
    JSON.parse(readFileSync(path, "utf8")),
    JSON.parse(JSON.stringify(current)),
    "common/contracts/manifest.ts has changed: run this test once with UPDATE_SCHEMA=true and format the file",
  );
});
