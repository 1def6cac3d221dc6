import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatRecipient, publicKeyOf } from "../../common/age/keys.ts";
import {
  type AgentSettings,
  fromEnvironment,
  toEnvironment,
} from "../../common/contracts/agentEnvironment/environment.ts";

const SETTINGS: AgentSettings = {
  schedule: "15 3 * * *",
  postgres: {
    host: "shop-db",
    port: 5433,
    user: "shop",
    password: "p w",
    database: "shop_production",
    dumpOptions: "--no-comments",
  },
  store: {
    endpoint: "https://s3.fr-par.scw.cloud",
    region: "fr-par",
    bucket: "b",
    prefix: "shop/production",
    accessKeyId: "SCW",
    secretAccessKey: "secret",
    allowInsecure: true,
  },
  jitterSeconds: 30,
  databases: ["shop_production", "shop_production_queue"],
  excludedDatabases: [],
  encryption: { recipients: [1, 2].map((n) => formatRecipient(publicKeyOf(Buffer.alloc(32, n)))) },
  compressionLevel: 3,
  globals: false,
  verify: true,
  keep: { days: 30, atLeast: 3 },
  tiers: true,
  maxShrinkPercent: 20,
  maxRunHours: 12,
  notifications: {
    pingUrl: "https://p/x",
    webhookUrl: "https://w/x",
    webhookFormat: "slack",
    metricsFile: "/m/x.prom",
  },
};

describe("environment", () => {
  it("reads back what it renders, with everything set and with defaults", () => {
    const { schedule: _, encryption: ___, keep: ____, ...unscheduled } = SETTINGS;
    const { endpoint: __, ...aws } = SETTINGS.store;
    const plain: AgentSettings = {
      ...unscheduled,
      postgres: { ...SETTINGS.postgres, port: 5432, dumpOptions: "" },
      store: { ...aws, region: "us-west-1", prefix: "backup", allowInsecure: false },
      jitterSeconds: 0,
      databases: ["shop_production"],
      compressionLevel: 1,
      globals: true,
      verify: false,
      tiers: false,
      maxShrinkPercent: 50,
      notifications: {},
    };
    const secretly: AgentSettings = { ...plain, encryption: { passphrase: "p w" } };
    const everything: AgentSettings = {
      ...plain,
      databases: "all",
      postgres: { ...plain.postgres, database: "postgres" },
      excludedDatabases: ["scratch"],
    };
    for (const settings of [SETTINGS, plain, secretly, everything]) {
      const { clear, secret } = toEnvironment(settings);
      assert.deepEqual(fromEnvironment({ ...clear, ...secret }), settings);
    }
  });

  it("takes a database that is named twice once", () => {
    const { clear, secret } = toEnvironment(SETTINGS);
    const env = { ...clear, ...secret, POSTGRES_DATABASE: "shop, blog,,shop" };
    assert.deepEqual(fromEnvironment(env).databases, ["shop", "blog"]);
  });

  it("names the variable that is missing or wrong", () => {
    const { clear, secret } = toEnvironment(SETTINGS);
    const env = { ...clear, ...secret };
    for (const name of ["POSTGRES_HOST", "POSTGRES_DATABASE", "S3_BUCKET"]) {
      assert.throws(() => fromEnvironment({ ...env, [name]: "" }), {
        name: "Problem",
        message: new RegExp(`^${name} is required`),
      });
    }
    assert.throws(() => fromEnvironment({ ...env, PASSPHRASE: "x" }), /PASSPHRASE are both set/);
    assert.throws(
      () => fromEnvironment({ ...env, COMPRESSION_LEVEL: "9" }),
      /COMPRESSION_LEVEL must be/,
    );
  });
});
