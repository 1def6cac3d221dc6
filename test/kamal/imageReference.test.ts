import assert from "node:assert/strict";
import { test } from "node:test";
import { type ImageReference, parseImageReference } from "../../kamal/imageReference.ts";

const DIGEST = `sha256:${"4f".repeat(32)}`;

const READ: Record<string, ImageReference> = {
  "ghcr.io/you/db-backup:17": {
    registry: "ghcr.io",
    repository: "you/db-backup",
    name: "ghcr.io/you/db-backup",
    tag: "17",
  },
  [`ghcr.io/you/db-backup@${DIGEST}`]: {
    registry: "ghcr.io",
    repository: "you/db-backup",
    name: "ghcr.io/you/db-backup",
    digest: DIGEST,
  },
  [`localhost/db-backup:17@${DIGEST}`]: {
    registry: "localhost",
    repository: "db-backup",
    name: "localhost/db-backup",
    tag: "17",
    digest: DIGEST,
  },
  "127.0.0.1:5001/db-backup:v1.2-rc_3": {
    registry: "127.0.0.1:5001",
    repository: "db-backup",
    name: "127.0.0.1:5001/db-backup",
    tag: "v1.2-rc_3",
  },
  "you/db-backup:17": {
    registry: "registry-1.docker.io",
    repository: "you/db-backup",
    name: "you/db-backup",
    tag: "17",
  },
  "postgres:17": {
    registry: "registry-1.docker.io",
    repository: "library/postgres",
    name: "postgres",
    tag: "17",
  },
  "docker.io/postgres:17": {
    registry: "registry-1.docker.io",
    repository: "library/postgres",
    name: "docker.io/postgres",
    tag: "17",
  },
};
for (const [reference, parts] of Object.entries(READ)) {
  test(`read: ${reference}`, () => {
    assert.deepEqual(parseImageReference(reference, "image"), parts);
  });
}

const REFUSED: Record<string, RegExp> = {
  "ghcr.io/you/db-backup": /^image: .*neither a tag nor a digest.*"ghcr\.io\/you\/db-backup:17"/,
  "127.0.0.1:5001/db-backup": /neither a tag nor a digest/,
  "": /no image reference/,
  "https://ghcr.io/you/db-backup:17": /no image reference/,
  "ghcr.io/You/db-backup:17": /no image reference/,
  "ghcr.io/you/db-backup@sha256:4f": /no image reference/,
  "ghcr.io/you/db backup:17": /no image reference/,
};
for (const [reference, message] of Object.entries(REFUSED)) {
  test(`refused: "${reference}"`, () => {
    assert.throws(() => parseImageReference(reference, "image"), { name: "Problem", message });
  });
}
