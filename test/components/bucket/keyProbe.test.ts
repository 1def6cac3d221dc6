// tag: cloud
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import * as provider from "../../../components/internal/keyProbe.ts";
import { writerPolicy } from "../../../storage/bucket/iamPolicies.ts";
import { makeBucket } from "../../support/bucket.ts";
import { iamUser } from "../../support/iamUser.ts";
import { startStore, type TestStore } from "../../support/servers/store.ts";

const bucket = "backups";
const prefix = "shop";
let store: TestStore;

before(async () => {
  store = await startStore();
  await makeBucket(store, bucket, prefix);
});
after(() => store?.stop());

function inputs(changes: Partial<provider.KeyProbeInputs> = {}): provider.KeyProbeInputs {
  return {
    endpoint: store.endpoint,
    region: "us-east-1",
    bucket,
    prefix,
    allowInsecure: false,
    accessKeyId: store.accessKeyId,
    secretAccessKey: store.secretAccessKey,
    access: "restorable",
    patienceSeconds: 0,
    verdict: "fit",
    ...changes,
  };
}

test("a key that AWS does not know yet is waited for", async () => {
  const { key: late, allow } = await iamUser(store, "late");
  await assert.rejects(provider.create(inputs(late)), { name: "Problem", message: /may not/ });

  const waiting = provider.create(inputs({ ...late, patienceSeconds: 120 }));
  await sleep(1_000);
  await allow(writerPolicy({ bucket, prefix, read: true }));
  const { outs } = await waiting;
  assert.equal(outs.verdict, "fit");
  // This service does not judge If-None-Match in a policy.
  assert.match(outs.warnings.join(), /^whoever may add backups at \S+ may overwrite them, too/);
  assert.equal(outs.warnings.length, 1);
});

test("a service that is out of reach from here is a warning, because the container tries the key too", async () => {
  const unreachable = inputs({ endpoint: "http://127.0.0.1:2" });
  const { outs } = await provider.create(unreachable);
  assert.equal(outs.verdict, "fit");
  assert.match(outs.warnings.join(), /was not tried from here: .*refuses connections/);
});

test("reading tells what the key can do now, and only that is compared", async () => {
  const state = { ...inputs(), warnings: [] };
  const good = await provider.read("id", state);
  assert.equal(good.props?.warnings.length, 5, "the administrator's key can do everything");
  assert.deepEqual(await provider.diff("id", good.props as provider.KeyProbeState, inputs()), {
    changes: false,
  });
  const gone = await provider.read("id", { ...state, accessKeyId: "deleted" });
  assert.match(gone.props?.verdict ?? "", /does not know the access key id/);
  const { changes } = await provider.diff("id", gone.props as provider.KeyProbeState, inputs());
  assert.equal(changes, true);
});
