import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseSigningKeys, type SigningKey } from "../../../common/contracts/manifestMac.ts";
import { listJudged, NO_TRUST } from "../../../storage/catalogue/judgeOrigin.ts";
import { type MarkedAs, markMac, markRemarks } from "../../../storage/catalogue/marks.ts";
import {
  deployKey,
  dumpKey,
  manifestKey,
  verifiedKey,
} from "../../../storage/catalogue/objectKeys.ts";
import { backupManifest } from "../../support/manifest.ts";
import { MemoryStore } from "../../support/memoryStore.ts";

const stamp = "2026-11-24T03:15:02";
const dump = dumpKey("backup", "app", stamp, { compression: "zstd", encryption: "none" });
const keyOf = (byte: number): SigningKey[] =>
  parseSigningKeys(Buffer.alloc(32, byte).toString("base64url"), "SIGNING_KEYS");
const [own, earlier, foreign] = [keyOf(1), keyOf(2), keyOf(3)];
const known = [...own, ...earlier];

const verification = (keys: readonly SigningKey[], of = dump) =>
  verifiedKey("backup", "app", stamp, null, markMac({ kind: "verified", dump: of }, keys));
const deploy = (revision: string, keys: readonly SigningKey[], signed: MarkedAs) =>
  deployKey("backup", "app", stamp, revision, null, markMac(signed, keys));

async function listed(marks: readonly string[], keys: readonly SigningKey[] = known) {
  const store = new MemoryStore();
  const manifest = backupManifest({ object: { key: dump, bytes: 1, sha256: "0".repeat(64) } });
  store.set(dump, "x");
  store.set(manifestKey("backup", "app", stamp), JSON.stringify(manifest));
  for (const key of marks) store.set(key, "{}");
  const [entry] = await listJudged(store, "app", { ...NO_TRUST, keys });
  assert.ok(entry);
  return entry;
}

describe("a mark of verification", () => {
  const rows: readonly [what: string, marks: string[], counts: boolean][] = [
    ["signed with the key that signs", [verification(own)], true],
    ["signed with an earlier key", [verification(earlier)], true],
    ["of an earlier version, without a signature", [verification([])], false],
    ["signed with a key that is not known", [verification(foreign)], false],
    ["of another dump", [verification(own, dump.replace("03:15:02", "03:15:01"))], false],
    ["for a deploy", [deploy("v1", own, { kind: "verified", dump })], false],
    ["made up beside a true one", [verification([]), verification(own)], true],
  ];
  for (const [what, marks, counts] of rows) {
    it(`${what}: ${counts ? "counts" : "does not count"}`, async () => {
      const { verifiedKey: counting, unsignedVerification } = await listed(marks);
      assert.equal(counting, counts ? marks.at(-1) : null);
      const isShown = marks.some((key) => key.includes("verified")) && !counts;
      assert.equal(unsignedVerification === true, isShown);
    });
  }

  it("counts without any key, as every manifest does", async () => {
    assert.equal((await listed([verification([])], [])).verifiedKey, verification([]));
  });
});

describe("a mark before a deploy", () => {
  const rows: readonly [what: string, key: string, counts: boolean][] = [
    ["signed", deploy("v1", own, { kind: "deploy", dump, revision: "v1" }), true],
    ["without a signature", deploy("v1", [], { kind: "deploy", dump, revision: "v1" }), false],
    ["of another revision", deploy("v1", own, { kind: "deploy", dump, revision: "v2" }), false],
    ["of a verification", deploy("v1", own, { kind: "verified", dump }), false],
    ["of another backup", deploy("v1", own, { kind: "deploy", dump: "x", revision: "v1" }), false],
  ];
  for (const [what, key, counts] of rows) {
    it(`${what}: ${counts ? "counts" : "does not count"}`, async () => {
      const { deploys } = await listed([key]);
      assert.deepEqual(
        deploys?.map((mark) => [mark.revision, mark.key, mark.unsigned === true]),
        [["v1", key, !counts]],
      );
    });
  }
});

it("a list shows true marks, and of the others three", () => {
  const unsigned = ["a", "b", "c", "d", "e"].map((one) => ({
    revision: one,
    key: one,
    unsigned: true,
  }));
  const true1 = { revision: "1f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c", key: "k" };
  assert.deepEqual(markRemarks({ unsignedVerification: true, deploys: [...unsigned, true1] }), [
    "mark of verification not signed",
    "before deploy 1f2e3d4c5b6a",
    "before deploy a (mark not signed)",
    "before deploy b (mark not signed)",
    "before deploy c (mark not signed)",
    "2 more such marks",
  ]);
  assert.deepEqual(markRemarks({}), []);
});
