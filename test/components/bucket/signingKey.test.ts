import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { parseSigningKeys } from "../../../common/contracts/manifestMac.ts";
import type * as Components from "../../../components/index.ts";
import * as provider from "../../../components/internal/signingKey.ts";
import { applied } from "../application.ts";
import { declare, inputs, isSecret, plainText, SIGNING_KEY } from "../mocks.ts";

const newKey = () => randomBytes(32).toString("base64url");
const inputsOf = (generation: string, given: readonly string[] = []) => ({ generation, given });
type State = provider.SigningKeyState;

async function created(): Promise<{ id: string; state: State }> {
  const { id, outs } = await provider.create(inputsOf("1"));
  return { id, state: outs as State };
}

test("a key is 32 random bytes, made once, and named by what tells nothing of it", async () => {
  const before = Date.now();
  const { id, state } = await created();
  const [key, ...more] = parseSigningKeys(state.made.join(","), "made");
  assert.deepEqual(more, []);
  assert.equal(id, key?.id);
  const since = Date.parse(state.since);
  assert.ok(since > before - 1000 && since <= Date.now(), state.since);
  assert.notDeepEqual((await created()).state.made, state.made);
});

test("a refresh keeps it: it exists in the state alone", async () => {
  const { id, state } = await created();
  assert.deepEqual(await provider.read(id, state), { id, props: state });
  await provider.delete();
});

test("another word makes a new key; the earlier ones stay and check, as many as three years of months", async () => {
  let { id, state } = await created();
  const { since } = state;
  let all = [...state.made];
  for (let generation = 2; generation <= 40; generation++) {
    const news = inputsOf(String(generation));
    assert.deepEqual(await provider.diff(id, state, news), { changes: true });
    state = (await provider.update(id, state, news)).outs as State;
    all = [...state.made.slice(0, 1), ...all];
    assert.deepEqual(await provider.diff(id, state, news), { changes: false });
  }
  assert.equal(new Set(all).size, 40);
  assert.deepEqual(state.made, all.slice(0, 36));
  assert.equal(state.since, since);
});

test("keys that are given, or given no longer, leave the made ones as they are", async () => {
  const { id, state } = await created();
  const given = inputsOf("1", [newKey()]);
  assert.deepEqual(await provider.diff(id, state, given), { changes: true });
  const { outs } = await provider.update(id, state, given);
  assert.deepEqual(outs, { ...state, ...given });
  assert.deepEqual(await provider.diff(id, outs, inputsOf("1")), { changes: true });
});

const app = applied();
type Changes = () => Partial<Components.PostgresBackupArgs>;
const declared = (changes: Changes) => declare(false, () => [app.backup(changes()).outputs]);
const given = () => ({
  bucket: {
    name: "shop-backups",
    endpoint: "https://s3.fr-par.scw.cloud",
    region: "fr-par",
    accessKeyId: "SCWEXAMPLE",
    secretAccessKey: "the-secret-key",
  },
});

test("every backup has one, whatever its bucket, and hands it to the container as a secret alone", async () => {
  for (const changes of [given, () => ({})]) {
    const resources = await declared(changes);
    assert.ok(resources.some(({ name }) => name === "shop-signing-key"));
    assert.match(
      String(inputs(resources, ":RenderedBlock")["block"]),
      /SIGNING_SINCE: "2026-11-24T03:15:02Z"\n[\s\S]*- SIGNING_KEYS:DB_BACKUP_SIGNING_KEYS\n/,
    );
    const boot = JSON.stringify(inputs(resources, "command:remote:Command")["stdin"]);
    assert.ok(boot.includes(`\\nSIGNING_KEYS=${SIGNING_KEY}\\n`), boot);
    const kamal = JSON.stringify(inputs(resources, ":SecretsBlock")["block"]);
    assert.ok(kamal.includes(`DB_BACKUP_SIGNING_KEYS='${SIGNING_KEY}'`), kamal);
    assert.ok(!plainText(resources.map((resource) => resource.inputs)).includes(SIGNING_KEY));
  }
});

test("the preview before it is made shows the whole block, with a stand-in that stays a secret", async () => {
  const resources = await declare(true, () => [app.backup(given()).outputs]);
  assert.match(
    String(inputs(resources, ":RenderedBlock")["block"]),
    /SIGNING_SINCE: "20\d\d-\S+Z"\n[\s\S]*- SIGNING_KEYS:DB_BACKUP_SIGNING_KEYS\n/,
  );
  const standIn = Buffer.alloc(32).toString("base64url");
  const boot = JSON.stringify(inputs(resources, "command:remote:Command")["stdin"]);
  assert.ok(boot.includes(`\\nSIGNING_KEYS=${standIn}\\n`), boot);
  assert.ok(!plainText(resources.map((resource) => resource.inputs)).includes(standIn));
});

test("keys of an earlier stack check behind the one that is made here", async () => {
  const earlier = [newKey(), newKey()];
  const resources = await declared(() => ({
    signing: { keys: ` ${earlier.join(", ")}\n` },
  }));
  const handed = inputs(resources, ":SigningKey")["given"];
  assert.ok(isSecret(handed));
  assert.deepEqual((handed as { value: unknown }).value, earlier);
  const boot = JSON.stringify(inputs(resources, "command:remote:Command")["stdin"]);
  assert.ok(boot.includes(`SIGNING_KEYS=${[SIGNING_KEY, ...earlier].join(",")}\\n`), boot);
  await assert.rejects(
    declared(() => ({ signing: { keys: "not-a-key" } })),
    (error: Error) => {
      assert.match(error.message, /^signing\.keys holds something that is no signing key/);
      assert.doesNotMatch(error.message, /not-a-key/);
      return true;
    },
  );
});

test("it follows the word of the access keys, unless it has one of its own", async () => {
  const generation = async (changes: Changes) =>
    inputs(await declared(changes), ":SigningKey")["generation"];
  const keys = { rotateAfter: "2026-12" };
  assert.equal(await generation(given), "");
  assert.equal(await generation(() => ({ ...given(), signing: { rotateAfter: 3 } })), "3");
  assert.equal(await generation(() => ({ keys })), "2026-12");
  const both = () => ({ keys, signing: { rotateAfter: "2027-01" } });
  assert.equal(await generation(both), "2027-01");
});
