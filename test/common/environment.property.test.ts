import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatRecipient, publicKeyOf } from "../../common/age/keys.ts";
import {
  fromEnvironment,
  toEnvironment,
} from "../../common/contracts/agentEnvironment/environment.ts";

/** Any text that an environment can hold: not empty, which counts as unset, and without NUL. */
/** fast-check's own `unit: "binary"` makes a table of every character there is, which takes a second. */
const character = fc
  .oneof(fc.integer({ min: 1, max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10ffff }))
  .map((code) => String.fromCodePoint(code));
const text = fc.oneof(fc.string({ minLength: 1 }), fc.string({ unit: character, minLength: 1 }));
const word = fc.stringMatching(/^[a-z][a-z0-9_./-]{0,12}$/);
const names = fc.uniqueArray(word, { minLength: 1, maxLength: 4 }).map((list) => list.join(","));
const recipients = fc
  .array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { minLength: 1, maxLength: 3 })
  .map((keys) => keys.map((key) => formatRecipient(publicKeyOf(Buffer.from(key)))).join(","));

/** A whole number that is not the default, for a default is left out again. */
const whole = (min: number, max: number, fallback?: number) =>
  fc
    .integer({ min, max })
    .filter((value) => value !== fallback)
    .map(String);

const required = {
  POSTGRES_HOST: text,
  POSTGRES_USER: text,
  POSTGRES_PASSWORD: text,
  S3_REGION: text,
  S3_BUCKET: text,
  S3_ACCESS_KEY_ID: text,
  S3_SECRET_ACCESS_KEY: text,
};
const optional = {
  SCHEDULE: text,
  SCHEDULE_JITTER: whole(0, 86_400, 0),
  POSTGRES_PORT: whole(1, 65_535, 5432),
  POSTGRES_EXCLUDE_DATABASES: names,
  POSTGRES_SSL_MODE: fc.constantFrom("disable", "prefer", "verify-full"),
  POSTGRES_SSL_ROOT_CERT: text,
  PGDUMP_EXTRA_OPTS: text,
  S3_ENDPOINT: text,
  S3_PREFIX: word.filter((value) => value !== "backup"),
  S3_ALLOW_INSECURE: fc.constant("true"),
  S3_CHECKSUMS: fc.constantFrom("when-supported", "when-required"),
  COMPRESSION_LEVEL: whole(1, 3, 1),
  BACKUP_GLOBALS: fc.constant("false"),
  BACKUP_VERIFY: fc.constant("true"),
  BACKUP_TIERS: fc.constant("true"),
  BACKUP_MAX_SHRINK_PERCENT: whole(1, 100, 50),
  BACKUP_MAX_RUN_HOURS: whole(1, 596),
  BACKUP_TRANSIENT_TABLES: names,
  SIGNING_KEYS: fc
    .array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { minLength: 1, maxLength: 3 })
    .map((keys) => keys.map((key) => Buffer.from(key).toString("base64url")).join(",")),
  SIGNING_SINCE: fc.constant("2026-11-24T03:15:02Z"),
  PING_URL: word.map((path) => `https://hc.example.com/${path}`),
  WEBHOOK_URL: word.map((path) => `http://hooks:8080/${path}`),
  WEBHOOK_FORMAT: fc.constantFrom("json", "slack", "teams"),
  METRICS_FILE: word.map((path) => `/metrics/${path}`),
};
const databases = fc.oneof(
  fc.record({ POSTGRES_DATABASE: names }),
  fc.constant({ POSTGRES_BACKUP_ALL: "true" }),
);
const encryption = fc.oneof(
  fc.constant({}),
  fc.record({ AGE_RECIPIENTS: recipients }),
  fc.record({ PASSPHRASE: text }),
);
const keep = fc.oneof(
  fc.constant({}),
  fc.record(
    { BACKUP_KEEP_DAYS: whole(1, 36_500), BACKUP_KEEP_AT_LEAST: whole(1, 10_000, 7) },
    { requiredKeys: ["BACKUP_KEEP_DAYS"] },
  ),
);
const copy = fc.oneof(
  fc.constant({}),
  fc.record(
    {
      COPY_S3_REGION: text,
      COPY_S3_BUCKET: text,
      COPY_S3_ACCESS_KEY_ID: text,
      COPY_S3_SECRET_ACCESS_KEY: text,
      COPY_S3_ENDPOINT: text,
      // Not the first bucket's, which it is by default.
      COPY_S3_PREFIX: word.map((value) => `copies/${value}`),
      COPY_S3_ALLOW_INSECURE: fc.constant("true"),
      COPY_S3_CHECKSUMS: fc.constantFrom("when-supported", "when-required"),
      COPY_EVERY: text,
      COPY_TIERS: fc.constant("true"),
    },
    {
      requiredKeys: [
        "COPY_S3_REGION",
        "COPY_S3_BUCKET",
        "COPY_S3_ACCESS_KEY_ID",
        "COPY_S3_SECRET_ACCESS_KEY",
      ],
    },
  ),
);
const environment: fc.Arbitrary<Record<string, string>> = fc
  .tuple(
    fc.record(required),
    fc.record(optional, { requiredKeys: [] }),
    databases,
    encryption,
    keep,
    copy,
  )
  .map((parts) => Object.assign({}, ...parts));

const flat = (env: ReturnType<typeof toEnvironment>) => ({ ...env.clear, ...env.secret });

test("an environment that is read and written again has the same variables", () => {
  fc.assert(
    fc.property(environment, (env) => {
      assert.deepEqual(flat(toEnvironment(fromEnvironment(env))), env);
    }),
  );
});

test("settings that are written and read again are the same, defaults included", () => {
  fc.assert(
    fc.property(environment, (env) => {
      const settings = fromEnvironment(env);
      assert.deepEqual(fromEnvironment(flat(toEnvironment(settings))), settings);
    }),
  );
});

test("every variable that carries a secret stands among the secrets", () => {
  fc.assert(
    fc.property(environment, (env) => {
      const { clear } = toEnvironment(fromEnvironment(env));
      const open = Object.keys(clear).filter((name) => /PASSWORD|PASSPHRASE|KEY|_URL/.test(name));
      assert.deepEqual(open, []);
    }),
  );
});
