import assert from "node:assert/strict";
import { it } from "node:test";
import {
  type AgentSettings,
  fromEnvironment,
  toEnvironment,
} from "../../common/contracts/agentEnvironment/environment.ts";

const FIRST = {
  POSTGRES_HOST: "db",
  POSTGRES_USER: "shop",
  POSTGRES_PASSWORD: "secret",
  POSTGRES_DATABASE: "shop",
  S3_BUCKET: "shop-backups",
  S3_PREFIX: "shop/production",
  S3_ACCESS_KEY_ID: "FIRST",
  S3_SECRET_ACCESS_KEY: "first-secret",
};
const COPY = {
  COPY_S3_BUCKET: "shop-copies",
  COPY_S3_ACCESS_KEY_ID: "SECOND",
  COPY_S3_SECRET_ACCESS_KEY: "second-secret",
};
const ALL = {
  ...COPY,
  COPY_S3_ENDPOINT: "https://s3.fr-par.scw.cloud",
  COPY_S3_REGION: "fr-par",
  COPY_S3_PREFIX: "far",
  COPY_S3_ALLOW_INSECURE: "true",
  COPY_S3_CHECKSUMS: "when-supported",
  COPY_EVERY: "@daily",
  COPY_TIERS: "true",
};

function there(settings: AgentSettings): Record<string, string> {
  const { clear, secret } = toEnvironment(settings);
  return { ...clear, ...secret };
}

it("the copy's settings come back from the environment as they went in", () => {
  for (const copy of [{}, COPY, ALL]) {
    const settings = fromEnvironment({ ...FIRST, ...copy });
    assert.deepEqual(fromEnvironment(there(settings)), settings);
  }
});

it("the copy's folder is that of the backups, unless it has its own; its keys are secrets", () => {
  const settings = fromEnvironment({ ...FIRST, ...COPY });
  assert.equal(settings.copy?.store.prefix, "shop/production");
  const { clear, secret } = toEnvironment(settings);
  assert.equal(clear["COPY_S3_PREFIX"], undefined);
  assert.equal(secret["COPY_S3_SECRET_ACCESS_KEY"], "second-secret");
  assert.doesNotMatch(JSON.stringify(clear), /SECOND|second-secret/);
  assert.equal(fromEnvironment(FIRST).copy, undefined);
});

const REFUSED: [Record<string, string>, RegExp][] = [
  [{ COPY_EVERY: "@daily" }, /^COPY_EVERY is set, so COPY_S3_BUCKET is required/],
  [{ ...COPY, COPY_S3_ACCESS_KEY_ID: "" }, /so COPY_S3_ACCESS_KEY_ID is required/],
  [{ ...COPY, COPY_TIERS: "yes" }, /^COPY_TIERS must be true or false/],
  [{ ...COPY, COPY_S3_CHECKSUMS: "never" }, /^COPY_S3_CHECKSUMS must be when-supported or/],
];
for (const [variables, sentence] of REFUSED) {
  it(`no copy, and nothing else is lost: ${Object.keys(variables).at(-1)}`, () => {
    const { copyFault, ...settings } = fromEnvironment({ ...FIRST, ...variables });
    assert.equal(copyFault?.name, "Problem");
    assert.match(copyFault.message, sentence);
    assert.match(copyFault.message, /deploy\.yml and reboot .*, or remove every COPY_ variable\.$/);
    assert.deepEqual(settings, fromEnvironment(FIRST));
  });
}
