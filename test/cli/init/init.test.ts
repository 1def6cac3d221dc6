import assert from "node:assert/strict";
import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import type { Outside } from "../support/run.ts";
import { layApplication, layRepository, playInit, runInit, type Typed } from "./world.ts";

const DB = `  db:
    image: postgres:17
    host: 192.0.2.10
    env:
      clear: { POSTGRES_DB: shop_production }
      secret: [POSTGRES_PASSWORD]
`;
const DEPLOY = `service: shop
image: acme/shop
registry: { username: acme, password: [RP] }
accessories:
${DB}`;
const TWO = `${DEPLOY.trimEnd()}\n  queue: { image: "postgres:16", host: 192.0.2.20, env: { secret: [POSTGRES_PASSWORD] } }\n`;
const FILES = {
  "config/deploy.yml": DEPLOY,
  ".kamal/secrets": "RP=registry\nPOSTGRES_PASSWORD=pw\n",
};
const KEYS = { S3_ACCESS_KEY_ID: "AKEXAMPLE", S3_SECRET_ACCESS_KEY: "s3-secret-of-the-test" };
/** Nobody listens there. */
const NOWHERE = [
  "--provider",
  "other",
  "--endpoint",
  "http://127.0.0.1:9",
  "--region",
  "us-east-1",
];

const read = (outside: Outside, path: string) => readFile(join(outside.folder, path), "utf8");
const filesIn = (outside: Outside, folder: string) =>
  readdir(join(outside.folder, folder)).catch(() => "none" as const);

test("five questions, each answered by Enter but for the key's last characters", async (t) => {
  const outside = await layApplication(t, FILES);
  await layRepository(outside);
  let key = "";
  const lastFive = (shown: string) => {
    key = /written to (\S+)\.\n/.exec(shown)?.[1] ?? "";
    return "wrong";
  };
  const { code, stdout, stderr } = await playInit(
    outside,
    [],
    [
      [/Where should backups go\?[\s\S]*Number \[1\]: $/, ""],
      [/AWS region \[us-east-1\]: $/, "eu-west-3"],
      [/How often\? .* \[03:15\]: $/, ""],
      [/how many days is a backup kept\? \[30\]: $/, ""],
      [/Which databases\? .* \[shop_production\]: $/, ""],
      [/Encrypt, .*\? \[yes\]: $/, ""],
      [/last five characters: $/, lastFive],
      [/not the last five[\s\S]*last five characters: $/, () => lastFiveOf(key)],
    ],
  );
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^Found: shop \(Kamal 2\), PostgreSQL 17 on 192\.0\.2\.10, 1 database\.$/m);
  assert.match(
    stdout,
    /^Next:\n {2}cd backup && npm install\n {2}pulumi up\n {2}cd \.\. && git add backup config && git commit/m,
  );
  assert.equal(key, join(outside.folder, "home/shop-backup-key.txt"));
  assert.equal((await stat(key)).mode & 0o777, 0o600);
  const recipient = /^# public key: (age1\S+)$/m.exec(await readFile(key, "utf8"))?.[1];
  assert.ok(
    (await read(outside, "backup/index.ts")).includes(`Encryption.recipient("${recipient}")`),
  );
  assert.deepEqual(parse(await read(outside, "backup/Pulumi.production.yaml")), {
    config: { "aws:region": "eu-west-3", "shop-backup:database": "shop_production" },
  });
  assert.match(await read(outside, "backup/Pulumi.yaml"), /^options:\n.*\n {2}refresh: always$/m);
  const calls = (await outside.calls("pulumi")).map((words) => words.slice(0, 3).join(" "));
  assert.deepEqual(calls, [
    "whoami --verbose --json",
    "stack init production",
    "stack select production",
  ]);
});

function lastFiveOf(path: string): string {
  const { readFileSync } = process.getBuiltinModule("node:fs");
  return readFileSync(path, "utf8").trimEnd().slice(-5).toLowerCase();
}

test("an existing bucket: its address as the console shows it, the keys typed unseen and stored as secrets", async (t) => {
  const outside = await layApplication(t, {
    ...FILES,
    "config/deploy.staging.yml": "accessories: { db: { host: 192.0.2.20 } }\n",
    ".kamal/secrets.staging": FILES[".kamal/secrets"],
  });
  const { code, stdout, stderr } = await playInit(
    outside,
    ["--no-encryption"],
    [
      [/Number \[1\]: $/, "other"],
      [/Bucket: .* \[shop-backups\]: $/, "http://127.0.0.1:9/acme-backups"],
      [/Region \[us-east-1\]: $/, ""],
      [/Access key id: $/, KEYS.S3_ACCESS_KEY_ID],
      [/Secret key \(not shown\): $/, KEYS.S3_SECRET_ACCESS_KEY],
      [/not tried from here: [\s\S]*How often\? .*: $/, "@every 6h"],
      [/kept\? \[30\]: $/, "0"],
      [/"0" is no number of days[\s\S]*kept\? \[30\]: $/, "14"],
      [/Enter for those of each environment \[shop_production\]: $/, ""],
    ],
  );
  assert.equal(code, 0, stderr);
  assert.ok(!`${stdout}${stderr}`.includes(KEYS.S3_SECRET_ACCESS_KEY), "the secret is not shown");
  assert.match(
    stdout,
    /Give the bucket acme-backups a rule of its own that expires backups after 14 days/,
  );
  const program = await read(outside, "backup/index.ts");
  assert.match(
    program,
    /name: config\.require\("bucket"\),\n {4}endpoint: "http:\/\/127\.0\.0\.1:9",\n {4}region: "us-east-1",/,
  );
  assert.match(program, /schedule: "@every 6h"/);
  assert.match(program, /retention: Retention\.days\(14\)/);
  assert.doesNotMatch(program, /encryption|s3-secret|AKEXAMPLE/);
  for (const stack of ["production", "staging"]) {
    const { config } = parse(await read(outside, `backup/Pulumi.${stack}.yaml`));
    assert.equal(config["shop-backup:bucket"], "acme-backups");
  }
  const set = (await outside.calls("pulumi")).filter(([word]) => word === "config");
  assert.deepEqual(
    set.map((words) => [words[3], words[4], words[6]]),
    ["production", "staging"].flatMap((stack) => [
      ["shop-backup:accessKeyId", "--secret", stack],
      ["shop-backup:secretAccessKey", "--secret", stack],
    ]),
  );
  const typed = await read(outside, "config.in");
  assert.equal(typed, `${KEYS.S3_ACCESS_KEY_ID}\n${KEYS.S3_SECRET_ACCESS_KEY}\n`.repeat(2));
});

/** Options, the application's files over the usual ones, and the sentence. */
const refusals: Readonly<
  Record<string, [readonly string[], Readonly<Record<string, string>>, RegExp]>
> = {
  "another deploy.yml than there is": [
    ["--config", "deploy.yml"],
    {},
    /^error: deploy\.yml is not here\. Run init in the folder of an application/,
  ],
  "Kamal 1": [
    [],
    { "config/deploy.yml": `${DEPLOY}traefik: { args: {} }\n` },
    /traefik is a setting of Kamal 1/,
  ],
  "no database": [
    [],
    { "config/deploy.yml": "service: shop\nimage: acme/shop\n" },
    /no accessory of config\/deploy\.yml runs PostgreSQL \(accessories: none\)\. For a managed server, or one on the host itself, give its address in the variable DATABASE_URL, its major version with --database-major and the host that runs the backups with --host\./,
  ],
  "a backup of another tool": [
    [],
    {
      "config/deploy.yml": `${DEPLOY}  s3: { image: eeshugerman/postgres-backup-s3:17, host: 192.0.2.10, env: { S3_BUCKET: b, POSTGRES_HOST: shop-db } }\n`,
    },
    /accessory s3 of config\/deploy\.yml backs up PostgreSQL already .* npx kamal-postgres-backup adopt\./,
  ],
  "a version that its image does not say": [
    [],
    { "config/deploy.yml": DEPLOY.replace("postgres:17", "acme/postgres:latest") },
    /does not say PostgreSQL's major version\. Give it with --database-major/,
  ],
  "a destination without a file": [
    ["-d", "qa"],
    {},
    /--destination qa: there is no config\/deploy\.qa\.yml \(destinations: none\)/,
  ],
  "a provider that there is not": [
    ["--provider", "azure"],
    {},
    /--provider azure is none of aws, aws-existing, scaleway/,
  ],
  "a bucket's name at AWS": [["--bucket", "b"], {}, /--provider aws-existing/],
  "no endpoint": [
    ["--provider", "r2", "--bucket", "backups"],
    {},
    /--endpoint, such as https:\/\/ACCOUNT\.r2/,
  ],
  "plain http elsewhere": [
    [
      "--provider",
      "other",
      "--bucket",
      "backups",
      "--endpoint",
      "http://192.0.2.9",
      "--region",
      "x",
    ],
    {},
    /Use https, or set --allow-insecure on a network that you trust\./,
  ],
  "a bucket in capitals": [
    ["--provider", "hetzner", "--bucket", "Shop", "--region", "fsn1"],
    {},
    /--bucket "Shop" cannot be a bucket/,
  ],
  "no bucket": [["--provider", "hetzner"], {}, /Give the bucket with --bucket/],
  "no region": [
    ["--provider", "hetzner", "--bucket", "shop-backups"],
    {},
    /Give the bucket's region with --region, such as fsn1\./,
  ],
  "a database without a name": [["--database", ""], {}, /"" names no database/],
  "a region by its town": [
    ["--provider", "aws", "--region", "Paris"],
    {},
    /"Paris" is no region\. Give its code, for instance eu-west-3\./,
  ],
  "a time that no clock shows": [
    ["--schedule", "25:00"],
    {},
    /"25:00" is no time of day\. Give one from 00:00 to 23:59 \(UTC\)\./,
  ],
  "a minute that no clock shows": [["--schedule", "3:60"], {}, /"3:60" is no time of day/],
  "two servers": [
    [],
    { "config/deploy.yml": TWO },
    /several accessories that run PostgreSQL \(db, queue\)\. Give one of them as --accessory\./,
  ],
  "an accessory that there is not": [
    ["--accessory", "redis"],
    {},
    /--accessory: deploy\.yml has no accessory "redis" \(it has: db\)/,
  ],
  "a version too old": [
    ["--database-major", "13"],
    {},
    /--database-major 13: backups are made of PostgreSQL 14 to 18\. Give the major version/,
  ],
  "a schedule that nobody can read": [
    ["--schedule", "sometimes"],
    {},
    /schedule "sometimes" cannot be read/,
  ],
  "a time of day that there is not": [["--schedule", "25:00"], {}, /from 00:00 to 23:59/],
  "days that leave nothing": [
    ["--schedule", "0 3 1 * *", "--days", "7"],
    {},
    /schedule and retention contradict each other/,
  ],
  "two keys": [["--recipient", "age1x", "--no-encryption"], {}, /contradict each other/],
  "a private key": [["--recipient", "AGE-SECRET-KEY-1X"], {}, /treat that one as leaked/i],
  "a key file that holds none": [
    ["--key-file", "config/deploy.yml"],
    {},
    /holds no key: .*--key-file\. Nothing was written/,
  ],
  "a bucket to make without keys": [
    [...NOWHERE, "--bucket", "b-b", "--make-bucket"],
    {},
    /--make-bucket needs the keys/,
  ],
  "a tarball that is gone": [["--package", "gone.tgz"], {}, /gone\.tgz is not there any more/],
  "a file that is there": [
    [],
    { "backup/package.json": "{}" },
    /backup\/package\.json is there already, and nothing is overwritten/,
  ],
};

for (const [name, [args, files, sentence]] of Object.entries(refusals)) {
  test(`${name}: one sentence, and nothing is written`, async (t) => {
    const outside = await layApplication(t, { ...FILES, ...files });
    const before = await filesIn(outside, "backup");
    const { code, stdout, stderr } = await runInit(outside, ["--yes", ...args]);
    assert.equal(code, 1, stdout);
    assert.match(stderr, sentence);
    assert.equal(stderr.trimEnd().split(/\n(?! )/).length, 1, stderr);
    assert.deepEqual(await filesIn(outside, "backup"), before);
    assert.deepEqual(await filesIn(outside, "home"), [".ssh"]);
    assert.deepEqual(
      (await outside.calls("pulumi")).filter(([word]) => word !== "whoami"),
      [],
    );
  });
}

test("databases can be named, or all of them taken", async (t) => {
  const outside = await layApplication(t, FILES);
  for (const [typed, databases] of [
    ["shop_production, shop_queue", ["shop_production", "shop_queue"]],
    ["all", "all"],
  ] as const) {
    const args = ["--yes", "--dry-run", "--json", "--database", typed];
    const { code, stdout, stderr } = await runInit(outside, args);
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(stdout).environments[0].databases, databases);
  }
});

test("half a key in the environment is named before anything is asked", async (t) => {
  const outside = await layApplication(t, FILES);
  const place = ["--provider", "hetzner", "--bucket", "shop-backups", "--region", "fsn1"];
  for (const [there, missing] of [
    ["S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"],
    ["S3_SECRET_ACCESS_KEY", "S3_ACCESS_KEY_ID"],
  ] as const) {
    const { code, stderr } = await runInit(outside, ["--yes", ...place], { [there]: "half" });
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`^error: ${there} is set, and ${missing} is not\\.`, "m"));
  }
  assert.equal(await filesIn(outside, "backup"), "none");
});

test("without a terminal nothing is asked: --yes is demanded; and a question that is broken off leaves nothing", async (t) => {
  const outside = await layApplication(t, FILES);
  const { code, stderr } = await runInit(outside, []);
  assert.equal(code, 1);
  assert.match(stderr, /standard input is no terminal\. Run it in a terminal, or add --yes\./);
  const broken: Typed[] = [
    [/Number \[1\]: $/, ""],
    [/AWS region.*: $/, ""],
    [/How often.*: $/, ""],
    [/kept.*: $/, ""],
    [/databases.*: $/, ""],
    [/Encrypt.*: $/, ""],
    [/last five characters: $/, "\u0003"],
  ];
  const interrupted = await playInit(outside, [], broken);
  assert.equal(interrupted.code, 130);
  assert.match(interrupted.stderr, /error: interrupted; nothing was written\./);
  assert.deepEqual(await filesIn(outside, "backup"), "none");
  assert.deepEqual(await filesIn(outside, "home"), [".ssh"]);
});

test("--dry-run shows the files, --json one document, and neither writes or asks Pulumi", async (t) => {
  const outside = await layApplication(t, FILES);
  const { code, stdout } = await runInit(outside, ["--dry-run"]);
  assert.equal(code, 0);
  assert.match(stdout, /^ {2}backup\/index\.ts$/m);
  assert.match(stdout, /Nothing was written \(--dry-run\)\.\n$/);
  const json = JSON.parse((await runInit(outside, ["--dry-run", "--json"])).stdout);
  assert.deepEqual(json.environments, [
    {
      name: "production",
      destination: null,
      host: "192.0.2.10",
      major: 17,
      databases: ["shop_production"],
    },
  ]);
  assert.equal(json.written, false);
  assert.deepEqual(await filesIn(outside, "backup"), "none");
  assert.deepEqual(await filesIn(outside, "home"), [".ssh"]);
  assert.deepEqual(await outside.calls("pulumi"), []);
});

test("a host whose key is not known, and a secret that is not set, are said before pulumi up would", async (t) => {
  const outside = await layApplication(t, {
    ...FILES,
    "config/deploy.yml": `${DEPLOY.replace("192.0.2.10", "192.0.2.77")}ssh: { user: deploy, port: 2222 }\n`,
    ".kamal/secrets": "RP=$NOT_SET_HERE\n",
  });
  const { code, stdout, stderr } = await runInit(outside, ["--yes", "--no-encryption"]);
  assert.equal(code, 0, stderr);
  for (const line of [
    /The host key of 192\.0\.2\.77 is not in .*known_hosts\. Log in once .*: ssh -p 2222 deploy@192\.0\.2\.77$/m,
    /The secret RP comes from NOT_SET_HERE, which is not set here\./,
    /The secret POSTGRES_PASSWORD is not in .*\.kamal\/secrets\. Add it there/,
  ]) {
    assert.match(stdout, line);
  }
});

test("without Pulumi the files are written, and the lines that make the stack are shown", async (t) => {
  const outside = await layApplication(t, FILES);
  await rm(join(outside.folder, "pulumi"));
  const { code, stdout, stderr } = await runInit(
    outside,
    ["--yes", "--no-encryption", ...NOWHERE, "--bucket", "backups"],
    {},
  );
  assert.equal(code, 0, stderr);
  const lines = stdout.split("\n").filter((line) => line.startsWith("  "));
  assert.match(
    stdout,
    /pulumi is not installed: https:\/\/www\.pulumi\.com\/docs\/install\. Then:/,
  );
  assert.deepEqual(lines, [
    "  pulumi login --local",
    "  cd backup && npm install",
    "  pulumi stack init production",
    "  pulumi config set --secret accessKeyId --stack production",
    "  pulumi config set --secret secretAccessKey --stack production",
    "  pulumi stack select production",
    "  pulumi up",
  ]);
});

test("without a login the stacks are made in the files of this machine, with a passphrase of their own", async (t) => {
  const outside = await layApplication(t, FILES);
  await outside.answer("whoami", {
    err: "error: PULUMI_ACCESS_TOKEN must be set for login\n",
    code: 255,
  });
  const seen = join(outside.folder, "seen");
  const script = await read(outside, "pulumi");
  const spy = `#!/bin/sh\necho "$1 $2 $PULUMI_BACKEND_URL $PULUMI_CONFIG_PASSPHRASE_FILE" >> ${seen}\n`;
  await writeFile(join(outside.folder, "pulumi"), script.replace("#!/bin/sh\n", spy));
  const { code, stdout, stderr } = await runInit(outside, ["--yes"]);
  assert.equal(code, 0, stderr);
  const passphrase = join(outside.folder, "home/shop-backup-passphrase.txt");
  assert.equal((await stat(passphrase)).mode & 0o777, 0o600);
  assert.match(await readFile(passphrase, "utf8"), /^[\w-]{32}$/);
  assert.match(
    await readFile(seen, "utf8"),
    new RegExp(`^stack init file://~ ${passphrase}$`, "m"),
  );
  const commands = stdout.split("\n").filter((line) => line.startsWith("  "));
  assert.equal(1 + commands.indexOf("  pulumi up") + 1, 5, "commands to the first backup");
  assert.match(
    stdout,
    new RegExp(
      `^Next:\n  export PULUMI_CONFIG_PASSPHRASE_FILE='?${passphrase}'?\n  pulumi login --local\n  cd backup && npm install\n  pulumi up\n$`,
      "m",
    ),
  );
  assert.match(stdout, /^Recovery key: .*^Passphrase of .*Keep it\s+beside the key\.$/ms);
});

test("a passphrase without a recovery key is not to be kept beside one", async (t) => {
  const outside = await layApplication(t, FILES);
  await outside.answer("whoami", { err: "error: not logged in\n", code: 255 });
  const { code, stdout, stderr } = await runInit(outside, ["--yes", "--no-encryption"]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^Passphrase of .*Keep it\s+somewhere safe\.$/ms);
  assert.doesNotMatch(stdout, /key/i);
});

test("of two servers the one that is named is backed up", async (t) => {
  const outside = await layApplication(t, { ...FILES, "config/deploy.yml": TWO });
  const { code, stdout, stderr } = await runInit(outside, ["--yes", "--accessory", "queue"]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^Found: shop \(Kamal 2\), PostgreSQL 16 on 192\.0\.2\.20/m);
  assert.match(
    await read(outside, "backup/index.ts"),
    /kamal: \{ config: "\.\.\/config\/deploy\.yml", databaseAccessory: "queue" \},/,
  );
});

test("a stack left from a folder that was removed is used, and the lines do not make it again", async (t) => {
  const outside = await layApplication(t, FILES);
  // As Pulumi 3.274 prints it for state in files.
  const there = "error: stack 'organization/shop-backup/production' already exists";
  const refusal = `#!/bin/sh\n[ "$1 $2" = "stack init" ] && { echo "${there}" >&2; exit 255; }\n`;
  const script = await read(outside, "pulumi");
  await writeFile(join(outside.folder, "pulumi"), script.replace("#!/bin/sh\n", refusal));
  const { code, stdout, stderr } = await runInit(outside, ["--yes"]);
  assert.equal(code, 0, stderr);
  assert.match(
    stdout,
    /^The stack production was there already\. It is used, with what it holds: /m,
  );
  assert.doesNotMatch(stdout, /stack init/);
  const calls = (await outside.calls("pulumi")).map((words) => words.slice(0, 3).join(" "));
  assert.equal(calls.at(-1), "stack select production");
});

test("a stack that cannot be made: the files stay, the reason is said, and the lines for it are shown", async (t) => {
  const outside = await layApplication(t, FILES);
  await outside.answer("made", { err: "error: no access to the organization\n", code: 255 });
  const { code, stdout, stderr } = await runInit(outside, ["--yes"]);
  assert.equal(code, 1);
  assert.match(stderr, /error: the files were written, but pulumi stack init .*no access/);
  assert.match(stdout, /^ {2}pulumi stack init production$/m);
  assert.ok((await filesIn(outside, "backup")).includes("index.ts"));
});

test("a key of one's own, or one that is there, is taken and stays as it is", async (t) => {
  const outside = await layApplication(t, FILES);
  assert.equal((await runInit(outside, ["--yes"])).code, 0);
  const first = await read(outside, "home/shop-backup-key.txt");
  assert.equal((await runInit(outside, ["--yes", "--into", "again"])).code, 0);
  assert.equal(await read(outside, "home/shop-backup-key.txt"), first);
  const recipient = /(age1\S+)/.exec(first)?.[1] as string;
  assert.ok((await read(outside, "again/index.ts")).includes(recipient));
  const { code, stdout, stderr } = await runInit(outside, [
    "--yes",
    "--into",
    "third",
    "--recipient",
    recipient,
  ]);
  assert.equal(code, 0, stderr);
  assert.doesNotMatch(stdout, /Recovery key/);
});

test("a region that AWS does not have is warned of, and taken: it may be newer than this version", async (t) => {
  const outside = await layApplication(t, FILES);
  const { code, stderr } = await runInit(outside, ["--yes", "--region", "eu-west-9"]);
  assert.equal(code, 0);
  const text = stderr.replaceAll(/\s+/g, " ");
  assert.match(
    text,
    /eu-west-9 is no region of AWS that this version knows\. There are eu-central-1, /,
  );
  assert.match(text, / eu-west-3\. If it does not exist, pulumi up will fail/);
  assert.match(await read(outside, "backup/Pulumi.production.yaml"), /aws:region: eu-west-9/);
  const known = await runInit(outside, ["--yes", "--region", "us-east-1", "--into", "second"]);
  assert.equal(known.stderr, "");
});

for (const [what, args] of Object.entries({
  "the project": ["--into", "/proc/backup"],
  "the recovery key": ["--key-file", "/proc/other/key.txt"],
})) {
  const skip = process.platform !== "linux" && "there is no /proc";
  test(`where no folder can be made for ${what}, nothing is written`, { skip }, async (t) => {
    const outside = await layApplication(t, FILES);
    const { code, stdout, stderr } = await runInit(outside, ["--yes", ...args]);
    assert.equal(code, 1);
    assert.match(stderr, /^error: \/proc\/\S+ cannot be written: ENOENT.*Nothing was\s+written/s);
    assert.doesNotMatch(stdout, /Wrote|Recovery key/);
    assert.equal(await filesIn(outside, "backup"), "none");
    assert.ok(!(await filesIn(outside, "home")).includes("shop-backup-key.txt"));
  });
}

test("the tarball that it was started from lies beside package.json", async (t) => {
  const outside = await layApplication(t, {
    ...FILES,
    "kamal-postgres-backup-0.1.0.tgz": "tarball",
  });
  const { code, stderr } = await runInit(outside, [
    "--yes",
    "--package",
    "kamal-postgres-backup-0.1.0.tgz",
  ]);
  assert.equal(code, 0, stderr);
  assert.equal(await read(outside, "backup/kamal-postgres-backup-0.1.0.tgz"), "tarball");
  const { dependencies } = JSON.parse(await read(outside, "backup/package.json"));
  assert.equal(dependencies["kamal-postgres-backup"], "file:kamal-postgres-backup-0.1.0.tgz");
});
