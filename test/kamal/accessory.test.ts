import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "yaml";
import type { Accessory } from "../../kamal/accessory.ts";
import { accessoryDigest } from "../../kamal/digest.ts";
import { dockerRunCommand, envFilePath, renderEnvFile } from "../../kamal/dockerRun.ts";
import { renderAccessoryBlock } from "../../kamal/renderBlock.ts";
import { ACCESSORY } from "./fixtures.ts";

/** The same accessory of a destination, with everything that the plain one leaves out. */
const FULL: Accessory = {
  ...ACCESSORY,
  destination: "staging",
  container: "shop-staging-db_backup",
  hosts: ["192.0.2.10", "db.example.com"],
  network: "private",
  options: { ...ACCESSORY.options, tmpfs: ["/tmp:size=1m", "/run"] },
  volumes: ["shop-scratch:/scratch", "/srv/a,b:/été:ro"],
  clear: { PGDUMP_EXTRA_OPTS: `-T 'a b' --x="$y" \`z\` \\ <%= é√ %>`, ON: "yes", NUMBER: "1,000" },
  logging: { driver: "local", options: { "max-size": "5m", mode: "non-blocking" } },
};

test("the block in deploy.yml", () => {
  assert.equal(
    renderAccessoryBlock(ACCESSORY),
    `  db_backup:
    image: registry.example.com/shop-db-backup@sha256:4f1c
    host: 192.0.2.10
    labels:
      kamal-postgres-backup.digest: "9b1d7c0e"
    options:
      read-only: true
      memory: 256m
      stop-timeout: "30"
    env:
      clear:
        SCHEDULE: "15 3 * * *"
        POSTGRES_HOST: shop-db
        POSTGRES_DATABASE: shop_production
        S3_BUCKET: shop-backups-4f2a
        S3_REGION: eu-west-3
        S3_PREFIX: shop/production
      secret:
        - POSTGRES_PASSWORD
        - S3_ACCESS_KEY_ID:DB_BACKUP_S3_ACCESS_KEY_ID
        - S3_SECRET_ACCESS_KEY:DB_BACKUP_S3_SECRET_ACCESS_KEY
`,
  );
});

test("the block with everything, deeper", () => {
  assert.equal(
    renderAccessoryBlock(FULL, 4),
    `    db_backup:
      service: shop-staging-db_backup
      image: registry.example.com/shop-db-backup@sha256:4f1c
      hosts:
        - 192.0.2.10
        - db.example.com
      network: private
      labels:
        kamal-postgres-backup.digest: "9b1d7c0e"
      options:
        read-only: true
        memory: 256m
        stop-timeout: "30"
        tmpfs:
          - "/tmp:size=1m"
          - /run
      volumes:
        - shop-scratch:/scratch
        - "/srv/a,b:/été:ro"
      env:
        clear:
          PGDUMP_EXTRA_OPTS: "-T 'a b' --x=\\"$y\\" \`z\` \\\\ <%%= é√ %>"
          "ON": "yes"
          NUMBER: "1,000"
        secret:
          - POSTGRES_PASSWORD
          - S3_ACCESS_KEY_ID:DB_BACKUP_S3_ACCESS_KEY_ID
          - S3_SECRET_ACCESS_KEY:DB_BACKUP_S3_SECRET_ACCESS_KEY
`,
  );
});

test("the smallest block", () => {
  const bare = { ...ACCESSORY, labels: {}, options: {}, clear: {}, secrets: [] };
  assert.equal(
    renderAccessoryBlock(bare, 0),
    "db_backup:\n  image: registry.example.com/shop-db-backup@sha256:4f1c\n  host: 192.0.2.10\n",
  );
});

test("values that YAML could take for something else stay text", () => {
  const values = [
    "yes",
    "No",
    "on",
    "y",
    "null",
    "~",
    "1",
    "1.0",
    "017",
    "0x1f",
    "1_000",
    "1,000",
    "1:20:30",
    "2026-11-24",
    ":symbol",
    ".inf",
    "<<",
    "=",
    "-",
    "? a",
    "a: b",
    "a #b",
    "#a",
    "&a",
    "*a",
    "!a",
    "@a",
    "%a",
    "{a",
    "[a",
    "> a",
    "| a",
    "'a'",
    '"a"',
    "a\\nb",
    " a ",
    "a:",
    "256m",
    "é",
    "192.0.2.10",
  ];
  const clear = Object.fromEntries(values.map((value, index) => [`V${index}`, value]));
  const text = renderAccessoryBlock({ ...ACCESSORY, clear });
  for (const version of ["1.1", "1.2"] as const) {
    assert.deepEqual(parse(text, { version }).db_backup.env.clear, clear);
  }
});

test("the docker run line", () => {
  assert.equal(
    dockerRunCommand(ACCESSORY, "192.0.2.10"),
    "docker run --name shop-db_backup --detach --restart unless-stopped --network kamal" +
      ' --log-opt max-size="10m" --env KAMAL_HOST="192.0.2.10" --env SCHEDULE="15 3 * * *"' +
      ' --env POSTGRES_HOST="shop-db" --env POSTGRES_DATABASE="shop_production"' +
      ' --env S3_BUCKET="shop-backups-4f2a" --env S3_REGION="eu-west-3" --env S3_PREFIX="shop/production"' +
      " --env-file .kamal/apps/shop/env/accessories/db_backup.env" +
      ' --label service="shop-db_backup" --label kamal-postgres-backup.digest="9b1d7c0e"' +
      ' --read-only --memory "256m" --stop-timeout "30" registry.example.com/shop-db-backup@sha256:4f1c',
  );
});

test("the docker run line with everything", () => {
  assert.equal(
    dockerRunCommand(FULL, "db.example.com"),
    "docker run --name shop-staging-db_backup --detach --restart unless-stopped --network private" +
      ' --log-driver "local" --log-opt max-size="5m" --log-opt mode="non-blocking"' +
      ' --env KAMAL_HOST="db.example.com"' +
      ` --env PGDUMP_EXTRA_OPTS="-T 'a b' --x=\\"\\$y\\" \\\`z\\\` \\\\ <%= "é√" %>"` +
      ' --env ON="yes" --env NUMBER="1,000"' +
      " --env-file .kamal/apps/shop-staging/env/accessories/db_backup.env" +
      " --volume shop-scratch:/scratch --volume /srv/a,b:/été:ro" +
      ' --label service="shop-staging-db_backup" --label kamal-postgres-backup.digest="9b1d7c0e"' +
      ' --read-only --memory "256m" --stop-timeout "30" --tmpfs "/tmp:size=1m" --tmpfs "/run"' +
      " registry.example.com/shop-db-backup@sha256:4f1c",
  );
});

test("log options alone, a log driver alone", () => {
  const line = (logging: NonNullable<Accessory["logging"]>) =>
    dockerRunCommand({ ...ACCESSORY, logging }, "h");
  assert.match(
    line({ options: { "max-file": "3" } }),
    / --network kamal --log-opt max-file="3" --env /,
  );
  assert.match(line({ driver: "journald" }), / --network kamal --log-driver "journald" --env /);
  assert.match(line({}), / --network kamal --log-opt max-size="10m" --env /);
});

test("the env file", () => {
  assert.equal(envFilePath(ACCESSORY), ".kamal/apps/shop/env/accessories/db_backup.env");
  assert.equal(envFilePath(FULL), ".kamal/apps/shop-staging/env/accessories/db_backup.env");
  assert.equal(renderEnvFile({ B: ` a"b'c#$ é `, A: "" }), `B= a"b'c#$ é \nA=\n`);
  assert.equal(renderEnvFile({}), "\n");
  assert.throws(() => renderEnvFile({ P: "hunter\n2" }), {
    name: "Problem",
    message: /^(?!.*hunter).*secret P contains a line end/,
  });
});

const BAD: readonly (readonly [change: Partial<Accessory>, message: RegExp])[] = [
  [
    { clear: { A: "${HOME}" } },
    /^accessory db_backup: A contains "\$\{", which Kamal does not hand/,
  ],
  [{ clear: { A: "#{x}" } }, /A contains "#\{"/],
  [{ clear: { A: "#$x" } }, /A contains "#\$"/],
  [{ clear: { A: "a\nb" } }, /A contains a line end/],
  [{ clear: { A: "a\u2028b" } }, /A contains a line end/],
  [{ clear: { A: "a\tb" } }, /A contains a tab/],
  [{ clear: { A: "a\u001bb" } }, /A contains a control character/],
  [{ clear: { A: "\udc00" } }, /A contains half a Unicode character/],
  [{ clear: { A: "" } }, /A is empty/],
  [{ clear: { A: "  " } }, /A is empty/],
  [{ clear: { "A-B": "x" } }, /"A-B" cannot name a variable/],
  [{ clear: { POSTGRES_PASSWORD: "x" } }, /POSTGRES_PASSWORD is set twice/],
  [{ secrets: [{ name: "A", from: "B C" }] }, /"B C" cannot name a variable/],
  [{ options: { restart: "always" } }, /option "restart" is refused by Kamal/],
  [{ options: { e: "A=1" } }, /option "e" is no long option/],
  [{ options: { memory: "" } }, /option memory is empty/],
  [{ options: { tmpfs: ["/tmp", "${X}"] } }, /option tmpfs contains/],
  [{ volumes: ["/scratch"] }, /volume "\/scratch" must be FROM:TO/],
  [{ volumes: ["a:/b:ro:z"] }, /volume "a:\/b:ro:z" must be FROM:TO/],
  [{ volumes: ["a b:/c"] }, /volume "a b:\/c" .*as it is/],
  [{ volumes: ["$(id):/c"] }, /volume "\$\(id\):\/c" .*as it is/],
  [{ labels: { service: "x" } }, /label "service" belongs to Kamal/],
  [{ labels: { "a b": "x" } }, /label "a b" must be letters/],
  [{ labels: { a: "" } }, /label a is empty/],
  [{ hosts: [] }, /has no host/],
  [{ hosts: ["a b"] }, /host "a b" is not a host name/],
  [{ image: "a;b" }, /image "a;b" is not an image reference/],
  [{ container: "a b" }, /container "a b" must be letters/],
  [{ key: "a:b" }, /key "a:b" must be letters/],
  [{ network: "$(id)" }, /network "\$\(id\)" must be letters/],
  [{ destination: "" }, /destination "" must be letters/],
  [{ logging: { options: { "max-size": "" } } }, /logging\.options\.max-size is empty/],
];

for (const [change, message] of BAD) {
  test(`refused: ${JSON.stringify(change)}`, () => {
    const accessory = { ...ACCESSORY, ...change };
    assert.throws(() => renderAccessoryBlock(accessory), { name: "Problem", message });
    assert.throws(() => dockerRunCommand(accessory, "192.0.2.10"), { name: "Problem", message });
  });
}

test("the digest", () => {
  const secrets = { POSTGRES_PASSWORD: "hunter2" };
  const digest = accessoryDigest(ACCESSORY, secrets, "a random key");
  assert.match(digest, /^[0-9a-f]{16}$/);
  const same: Accessory = {
    ...ACCESSORY,
    hosts: ["192.0.2.99"],
    labels: { "kamal-postgres-backup.digest": "another" },
    clear: Object.fromEntries(Object.entries(ACCESSORY.clear).reverse()),
  };
  assert.equal(accessoryDigest(same, secrets, "a random key"), digest);
  const others = [
    accessoryDigest(ACCESSORY, { POSTGRES_PASSWORD: "hunter3" }, "a random key"),
    accessoryDigest(ACCESSORY, secrets, "another key"),
    accessoryDigest({ ...ACCESSORY, image: "x" }, secrets, "a random key"),
    accessoryDigest({ ...ACCESSORY, labels: { a: "b" } }, secrets, "a random key"),
    accessoryDigest(
      { ...ACCESSORY, clear: { ...ACCESSORY.clear, A: "b" } },
      secrets,
      "a random key",
    ),
    accessoryDigest({ ...ACCESSORY, options: {} }, secrets, "a random key"),
    accessoryDigest({ ...ACCESSORY, volumes: ["a:/b"] }, secrets, "a random key"),
  ];
  assert.equal(new Set([digest, ...others]).size, others.length + 1);
  assert.throws(() => accessoryDigest(ACCESSORY, secrets, ""), {
    name: "Problem",
    message: /key of the digest/,
  });
});
