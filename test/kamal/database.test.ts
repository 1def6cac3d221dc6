import assert from "node:assert/strict";
import { test } from "node:test";
import { readKamalConfig } from "../../kamal/configuration/config.ts";
import { databaseAccessory, postgresMajor } from "../../kamal/configuration/database.ts";

test("our own accessory and a backup image are not taken for the database", () => {
  const text =
    "accessories:\n  db: { image: postgres:17 }\n  db_backup: { image: r/shop-db-backup@sha256:4f }\n  old: { image: eeshugerman/postgres-backup-s3:16 }\n";
  const config = readKamalConfig({ base: { path: "config/deploy.yml", text }, env: {} });
  assert.equal(databaseAccessory(config).name, "db");
  assert.equal(databaseAccessory(config, "old").name, "old");
});

const MAJORS: readonly (readonly [image: string, major: number | undefined])[] = [
  ["postgres:17", 17],
  ["postgres:17.6-alpine3.22", 17],
  ["postgres:16-bookworm@sha256:4f1c", 16],
  ["127.0.0.1:5001/postgres:15.2", 15],
  ["docker.io/bitnami/postgresql:14.9.0", 14],
  ["postgis/postgis:17-3.5", 17],
  ["pgvector/pgvector:pg18", 18],
  ["pgvector/pgvector:0.8.0-pg17-trixie", 17],
  ["timescale/timescaledb:2.17.2-pg16", 16],
  ["timescale/timescaledb-ha:pg17.2-ts2.17", 17],
  ["timescale/timescaledb:2.17.2", undefined],
  ["postgres", undefined],
  ["postgres:latest", undefined],
  ["127.0.0.1:5001/postgres", undefined],
  ["postgres@sha256:4f1c", undefined],
];

for (const [image, major] of MAJORS) {
  test(`major version of ${image}`, () => assert.equal(postgresMajor(image), major));
}
