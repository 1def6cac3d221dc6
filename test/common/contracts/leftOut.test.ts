import assert from "node:assert/strict";
import { test } from "node:test";
import { webhookPayload } from "../../../agent/notify/webhookPayload.ts";
import { leftOut, partialText, remarksOn } from "../../../common/contracts/leftOut.ts";
import { manifestOf } from "../../cli/support/factories.ts";

const manifest = manifestOf("2026-11-24T03:15:02");
const nothing = { options: [], tablesLeftOut: [], dataLeftOut: [], otherLeftOut: {}, warnings: [] };

test("of a whole backup, and of one that does not say it, nothing is left out", () => {
  for (const whole of [manifest, { ...manifest, dump: nothing }]) {
    assert.deepEqual(leftOut(whole), []);
    assert.equal(partialText(whole), null);
    assert.equal(remarksOn(whole), "");
    const payload = webhookPayload({ database: "a", manifest: whole, durationMs: 1 }, []);
    assert(!("leftOut" in payload) && !("warnings" in payload));
  }
});

test("what is left out is named, a long list in part", () => {
  const table = (name: string) => ({ schema: "public", name });
  const dump = {
    ...nothing,
    tablesLeftOut: ["a", "b", "c", "d", "e", "f", "g"].map(table),
    dataLeftOut: [table("s")],
    otherLeftOut: { VIEW: 1, ACL: 2, POLICY: 3, "EVENT TRIGGER": 1 },
    warnings: ["subscriptions not dumped"],
  };
  const parts = [
    "the tables public.a, public.b, public.c, public.d, public.e and 2 more",
    "the rows of public.s",
    "1 view",
    "2 grants",
    "3 policies",
    "1 event trigger",
  ];
  assert.deepEqual(leftOut({ dump }), parts);
  assert.equal(partialText({ dump }), `partial: without ${parts.join(", ")}`);
  const payload = webhookPayload(
    { database: "a", manifest: { ...manifest, dump }, durationMs: 1 },
    [],
  );
  assert.deepEqual(payload.leftOut, parts);
  assert.deepEqual(payload.warnings, ["subscriptions not dumped"]);
});
