import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { LEFT, type Left } from "../../../cli/recovery/left.ts";
import { type Facts, type Step, stepsFor } from "../../../cli/recovery/steps.ts";
import { EXAMPLE, stockCommands } from "../../../cli/recovery/stockTools.ts";
import { blockOf, commandsIn } from "../../support/recoveryPage.ts";

const facts: Facts = {
  host: "192.0.2.10",
  oldHost: "192.0.2.10",
  sshPort: 22,
  sshUser: "root",
  container: "shop-db_backup",
  databaseAccessory: "db",
  config: "config/deploy.yml",
  destination: undefined,
  stack: "production",
  bucket: "shop-backups-4f2a",
  prefix: "shop/production",
  onAws: true,
  databases: [],
  wanted: "latest",
  identity: "identity.txt",
  command: (words) => `npx kamal-postgres-backup ${words}`,
  stock: EXAMPLE,
};
const commandsOf = (steps: readonly Step[]) => steps.flatMap(({ commands }) => commands);
const text = (left: Left, over: Partial<Facts> = {}) =>
  stepsFor(left, { ...facts, ...over })
    .flatMap(({ what, action, commands, notes = [] }) => [
      action === undefined ? what : `${what} (${action})`,
      ...commands.map((command) => `  ${command}`),
      ...notes.map((note) => `    ${note}`),
    ])
    .join("\n");

const KNOWN = `Take the new server's key into known_hosts.
  ssh-keygen -R 192.0.2.10
  ssh-keyscan -t ed25519 192.0.2.10 | tee -a ~/.ssh/known_hosts | ssh-keygen -lf -
    Compare the fingerprint with the one that your provider shows. If they differ, stop.
    If the program or its stack gives hostKeys, put the new key there too.
Install Docker on the server, and start the empty database.
  kamal server bootstrap
  kamal accessory boot db
    Run this in the application's folder.`;
const UP = `Boot the backup's container. (up)
  pulumi up`;
const FILL = `Restore on 192.0.2.10. The database that is there is kept under another name. (restore)
  npx kamal-postgres-backup restore latest --globals --identity identity.txt
    It makes the roles of the backup, and lists those that need a password.
    In psql, \\password NAME gives a role its password.`;
const CHECK = `Take a backup. (backup)
  npx kamal-postgres-backup backup
Read it to its end. (verify)
  npx kamal-postgres-backup verify latest --identity identity.txt`;
const APPLICATION = `Bring back what no backup has, and deploy the application.
  kamal setup
    Passwords of roles, config/master.key, Kamal's secrets, and the application's own files are in no backup.`;
const STACK = `Make the stack again.
  pulumi stack init production
    Run this in the folder of the Pulumi project, as it is in git.
Let the stack take the bucket that is there, and not make a new one.
  pulumi config set importBucket shop-backups-4f2a
  pulumi config set prefix shop/production
    Keep importBucket in the stack from now on.
    If the bucket is given with its key, set the secrets accessKeyId and secretAccessKey instead.
    The program that init writes reads both. In another, give import and prefix to AwsBackupBucket in index.ts.`;
const OLD_KEYS = `Delete the keys of the lost stack.
    They belong to IAM users that the lost stack has made. The new ones have the same names with another ending.`;
const SIGNING = "Give the stack the signing keys, so that the backups there count.";
const OWN =
  '    The program that init writes reads them. Another one needs signing: { keys: config.requireSecret("signingKeys") } in PostgresBackup.';
const WITHOUT =
  "    Without them, run pulumi config set firstBackup false before pulumi up, and restore a backup by its time and with --accept-origin.";

const TABLE: Record<Left, string> = {
  all: `Restore on 192.0.2.10. The database that is there is kept under another name. (restore)
  npx kamal-postgres-backup restore latest --identity identity.txt`,
  stack: [KNOWN, UP, FILL, CHECK, APPLICATION].join("\n"),
  server: [
    STACK,
    SIGNING,
    "  ssh root@192.0.2.10 docker exec shop-db_backup printenv SIGNING_KEYS | pulumi config set --secret signingKeys",
    OWN,
    WITHOUT,
    UP,
    CHECK,
    OLD_KEYS,
  ].join("\n"),
  project: [
    KNOWN,
    STACK,
    SIGNING,
    "  pulumi config set --secret signingKeys < signing-keys.txt",
    OWN,
    "    They also stand in Kamal's secrets on a machine that ran pulumi up, as DB_BACKUP_SIGNING_KEYS.",
    WITHOUT,
    UP,
    FILL,
    CHECK,
    OLD_KEYS,
    APPLICATION,
  ].join("\n"),
  bucket: [
    "Restore with stock tools alone, in bash, in an empty folder.",
    ...stockCommands(EXAMPLE)
      .trimEnd()
      .split("\n")
      .map((line) => `  ${line}`),
    "    It takes aws, jq, age, zstd, and PostgreSQL's programs of the backup's major version or a later one.",
  ].join("\n"),
};

for (const [left, expected] of Object.entries(TABLE) as [Left, string][]) {
  test(`what is left is ${LEFT[left]}: each step, each command`, () => {
    assert.equal(text(left), expected);
  });
}

test("another address is written into deploy.yml first, and stands in every command", () => {
  const moved = text("stack", { host: "192.0.2.20", sshPort: 2222, config: "my app/deploy.yml" });
  assert.match(
    moved,
    /^Write 192\.0\.2\.20 in the place of 192\.0\.2\.10\.\n {2}grep -n 192\.0\.2\.10 'my app\/deploy\.yml'\n {4}If the program or its stack names hosts, write the new address there too\.\n/,
  );
  assert.match(moved, /ssh-keygen -R '\[192\.0\.2\.20\]:2222'\n/);
  assert.match(moved, /ssh-keyscan -t ed25519 -p 2222 192\.0\.2\.20 \|/);
  assert.match(moved, /Restore on 192\.0\.2\.20\./);
});

test("a destination, a database of one's own, another service, no identity", () => {
  assert.match(
    text("stack", { destination: "staging" }),
    /kamal server bootstrap -d staging\n {2}kamal accessory boot db -d staging\n.*kamal setup -d staging\n/s,
  );
  assert.match(
    text("stack", { databaseAccessory: undefined }),
    /kamal server bootstrap\n {4}Run this in the application's folder\.\n {4}The database is no accessory of the application: start its server by hand\.\n/,
  );
  assert.match(
    text("server", { onAws: false, sshPort: 2222 }),
    /Give the stack the key of the bucket\. Pulumi asks for each value\.\n {2}pulumi config set --secret accessKeyId\n {2}pulumi config set --secret secretAccessKey\n {4}The key that the container had stands in Kamal's secrets, as DB_BACKUP_S3_ACCESS_KEY_ID and DB_BACKUP_S3_SECRET_ACCESS_KEY\.\n.*ssh -p 2222 root@192\.0\.2\.10 docker exec.*Make a new key at the provider, give it to the stack, run pulumi up, and delete the old one\./s,
  );
  assert.match(
    text("stack", { databases: ["shop", "shop queue"] }),
    /\n {2}npx \S+ restore latest --globals --identity identity\.txt --database shop\n {2}npx \S+ restore latest --globals --identity identity\.txt --database 'shop queue'\n.*\n {2}npx \S+ backup\n.*\n {2}npx \S+ verify latest --identity identity\.txt --database shop\n {2}npx \S+ verify latest --identity identity\.txt --database 'shop queue'\n/s,
  );
  const open = text("stack", { identity: undefined });
  assert.match(open, /restore latest --globals\n/);
  assert.match(open, /verify latest\n/);
});

test("docs/recovery.md has the same commands, in the same order", () => {
  const typed = (section: string) =>
    commandsIn(blockOf(section)).filter((line) => !/^cd /.test(line));
  const steps = (left: Left, over: Partial<Facts> = {}) =>
    commandsOf(stepsFor(left, { ...facts, ...over })).filter((line) => line !== "kamal setup");
  assert.deepEqual(typed("Someone dropped the table"), [
    "npx kamal-postgres-backup list",
    ...steps("all", { wanted: "2026-11-24 03:15:02" }),
  ]);
  assert.deepEqual(typed("The server is gone"), steps("stack"));
  assert.deepEqual(typed("The server and the stack are gone"), steps("project"));
  assert.equal(blockOf("Only the bucket is left"), stockCommands(EXAMPLE));
});

test("docs/recovery.md counts its commands right", () => {
  const page = readFileSync("docs/recovery.md", "utf8");
  const rows = [...page.matchAll(/^\| .* \| \[(.+)\]\(#.*\) \| (\d+) \|/gm)];
  assert.equal(rows.length, 4);
  for (const [, section = "", count] of rows) {
    assert.equal(Number(count), commandsIn(blockOf(section)).length, section);
  }
});
