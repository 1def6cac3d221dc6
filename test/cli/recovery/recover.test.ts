import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { encodeBech32 } from "../../../common/age/bech32.ts";
import { entryOf, manifestOf, outputs } from "../support/factories.ts";
import { Outside } from "../support/run.ts";

const STAMP = "2026-11-24T03:15:02";
const DEPLOY = `service: shop
image: acme/shop
ssh: { user: deploy, port: 2222 }
accessories:
  database:
    service: shop-db
    image: postgres:17
    host: 192.0.2.10
  # >>> kamal-postgres-backup shop (written by pulumi up; edits here count as drift)
  db_backup:
    image: registry.example.com/acme/shop-db-backup@sha256:4f1c
    host: 192.0.2.10
    env:
      clear:
        POSTGRES_HOST: shop-db
        POSTGRES_USER: shop
        POSTGRES_DATABASE: shop_production
        S3_REGION: eu-west-3
        S3_BUCKET: shop-backups-4f2a
        S3_PREFIX: shop/production
  # <<< kamal-postgres-backup shop
`;
const restored = {
  ...{ event: "restored", database: "shop_production", from: STAMP, previous: null, undo: null },
  ...{ tables: 2, rows: 18_204_117, compared: true, elapsedMs: 36_400 },
  ...{ server: "8", loginRoles: ["reporter", 'odd "one"'] },
};
const verified = {
  ...{ event: "verified", database: "shop_production", from: STAMP, key: "k", depth: "full" },
  ...{ bytes: 412_000_000, tables: 2, unchecked: null, signature: "signed", elapsedMs: 2_000 },
};

/** A stack and a server that answer, with the application's folder beside the project's. */
async function opened(t: TestContext): Promise<Outside> {
  const outside = await Outside.open(t);
  await mkdir(join(outside.folder, "config"));
  await writeFile(join(outside.folder, "config/deploy.yml"), DEPLOY);
  await outside.backups(entryOf(STAMP));
  await outside.answer("restore", { out: [restored] });
  await outside.answer("backup", { out: [{ event: "backup", manifest: manifestOf(STAMP) }] });
  await outside.answer("verify", { out: [verified] });
  return outside;
}

const noHost = { err: "ssh: connect to host 192.0.2.10 port 2222: No route to host\n", code: 255 };
const noStack = { err: "error: no stack named 'production' found\n", code: 255 };
const agentCalls = async (outside: Outside) =>
  (await outside.calls("ssh")).flatMap((call) =>
    call.includes("agent") ? [call.slice(call.indexOf("agent") + 1).join(" ")] : [],
  );
const upCalls = async (outside: Outside) =>
  (await outside.calls("pulumi")).filter(([word]) => word === "up");

test("recover guesses what is left from what answers, and Enter takes the guess", async (t) => {
  const outside = await opened(t);
  const first = await outside.run(["recover"], {}, "\u0003");
  assert.equal(first.code, 130);
  assert.match(
    first.stderr,
    /^The stack answers: the backup shop in s3:\/\/shop-backups-4f2a\.\n192\.0\.2\.10 answers\.\n {2}1 {2}server and stack; the data is damaged\n {2}2 {2}the stack, but not the server\n {2}3 .*\n {2}4 .*\n {2}5 .*\nWhat is left\?\n.*Enter takes 1, to continue:/,
  );
  assert.match(first.stderr, /error: interrupted; nothing was changed\.\n$/);

  await outside.answer("inspect", noHost);
  const second = await outside.run(["recover"], {}, "9\n");
  assert.match(second.stderr, /192\.0\.2\.10 does not answer: .*No route to host.*Enter takes 2,/s);
  assert.match(second.stderr, /"9" is none of the numbers 1 to 5; nothing was changed\.\n$/);

  await outside.answer("outputs", noStack);
  const third = await outside.run(["recover"], {}, "\u0004");
  assert.match(
    third.stderr,
    /The stack does not answer: pulumi stack output .*no stack named 'production' found.*config\/deploy\.yml has the backup in s3:\/\/shop-backups-4f2a\..*Enter takes 4,/s,
  );
  assert.match(third.stderr, /error: nothing was typed; nothing was changed\.\n$/);

  const fourth = await outside.run(["recover", "--config", "none.yml"], {}, "\u0003");
  assert.match(
    fourth.stderr,
    /No project: .*none\.yml cannot be read: there is no such\s+file\..*Enter takes 5,/s,
  );
  assert.deepEqual(await agentCalls(outside), []);
});

test("the data is damaged: the list, the question which backup, and the restore's own question", async (t) => {
  const outside = await opened(t);
  const answers = ["\r", `${STAMP.replace("T", " ")}\r`, "shop_production\r"];
  const { code, stdout, stderr } = await outside.run(["recover"], {}, ...answers);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /2026-11-24 03:15:02 +412 MB/, "the list");
  assert.match(stderr, /Which backup, by its time\?\n.*Enter takes latest/);
  assert.match(stdout, /Step 1 of 1: Restore on 192\.0\.2\.10\./);
  assert.match(stdout, /npx kamal-postgres-backup restore 2026-11-24 03:15:02\n/);
  assert.match(stdout, /Recovered in 1 step and /);
  assert.deepEqual((await agentCalls(outside)).at(-1), `restore --attached ${STAMP} --ask --json`);
});

test("the server is gone: each step waits, and what the new server lacks is listed at the end", async (t) => {
  const outside = await opened(t);
  await outside.answer("inspect", noHost);
  const enter = "\r";
  // What is left, the address, two steps by hand, pulumi up, the restore, the backup, the application.
  const answers = [enter, enter, enter, enter, enter, "shop_production\r", enter, enter];
  const { code, stdout, stderr } = await outside.run(["recover"], {}, ...answers);
  assert.equal(code, 0, stderr + stdout);
  assert.match(stderr, /Which address has the new server\?\n.*Enter takes 192\.0\.2\.10/);
  assert.match(stdout, /kamal accessory boot database\n/, "by its key in deploy.yml");
  assert.deepEqual(await upCalls(outside), [["up"]], "Pulumi shows its preview and asks by itself");
  assert.deepEqual(
    (await agentCalls(outside)).filter((call) => !/^(?:list|activity)/.test(call)),
    [
      `restore --attached ${STAMP} --globals --ask --json`,
      "backup --attached --json",
      `verify --attached ${STAMP} --json`,
    ],
  );
  assert.match(
    stdout,
    /This server is another one than in the backup\. The next backup accepts it\.\nThese roles may log in and have no password yet\. In psql:\n {2}ALTER ROLE "reporter" PASSWORD '\.\.\.';\n {2}ALTER ROLE "odd ""one""" PASSWORD '\.\.\.';\npsql's \\password asks for one instead/,
  );
  assert.match(stdout, /Verified shop_production/);
  assert.match(stdout, /Recovered in 7 steps and /);
});

test("the age identity is asked for before anything is run, where the backups need it", async (t) => {
  const outside = await opened(t);
  const deploy = DEPLOY.replace(
    "        S3_REGION",
    "        AGE_RECIPIENTS: age1example\n        S3_REGION",
  );
  await writeFile(join(outside.folder, "config/deploy.yml"), deploy);
  await outside.answer("inspect", noHost);
  const missing = await outside.run(["recover"], {}, "\r", "\r", "none.txt\r");
  assert.match(missing.stderr, /Which file has the age identity\?\n.*Enter takes none/);
  assert.match(
    missing.stderr,
    /error: --identity none\.txt cannot be read: there is no such file\.\n$/,
  );
  const key = encodeBech32("age-secret-key-", Buffer.alloc(32, 7)).toUpperCase();
  await writeFile(join(outside.folder, "key.txt"), `${key}\n`);
  const enter = "\r";
  const answers = [
    enter,
    enter,
    "key.txt\r",
    enter,
    enter,
    enter,
    "shop_production\r",
    enter,
    enter,
  ];
  const { code, stdout, stderr } = await outside.run(["recover"], {}, ...answers);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /restore latest --globals --identity key\.txt\n/);
  assert.equal(await outside.input("restore"), `${key}\n`);
  assert.equal(await outside.input("verify"), `${key}\n`);
  assert.ok(!(stdout + stderr).includes(key));
});

test("any other word than Enter stops, and says where", async (t) => {
  const outside = await opened(t);
  await outside.answer("inspect", noHost);
  const stopped = await outside.run(["recover"], {}, "\r", "192.0.2.20\r", "\r", "no\r");
  assert.equal(stopped.code, 1);
  assert.match(stopped.stdout, /Write 192\.0\.2\.20 in the place of 192\.0\.2\.10/);
  assert.match(
    stopped.stderr,
    /error: stopped before step 2 of 8\. Run recover again to continue: what is done already does no harm\.\n$/,
  );
  const interrupted = await outside.run(["recover"], {}, "\r", "\r", "\u0003");
  assert.equal(interrupted.code, 130);
  assert.match(interrupted.stderr, /error: interrupted; stopped before step 1 of 7\./);
  assert.deepEqual(await upCalls(outside), []);
});

test("--yes runs everything without a question, and --json is one document", async (t) => {
  const outside = await opened(t);
  const { code, stdout, stderr } = await outside.run([
    "recover",
    "--left",
    "stack",
    "--yes",
    "--json",
  ]);
  assert.equal(code, 0, stderr);
  const document = JSON.parse(stdout);
  assert.equal(document.left, "stack");
  assert.equal(document.steps.length, 7);
  assert.deepEqual(Object.keys(document.results), ["restore", "backup", "verify"]);
  assert.deepEqual(document.results.restore[0].loginRoles, ["reporter", 'odd "one"']);
  assert.deepEqual(await upCalls(outside), [
    ["up", "--yes", "--non-interactive", "--color", "never"],
  ]);
});

test("every database of the backup is restored and read, in its order", async (t) => {
  const outside = await opened(t);
  const two = { ...outputs, databases: ["shop_production", "shop_queue"] };
  await outside.answer("outputs", { out: JSON.stringify({ backup: two }) });
  await outside.backups(entryOf(STAMP), entryOf(STAMP, { database: "shop_queue" }));
  const { code, stdout, stderr } = await outside.run(["recover", "--left", "stack", "--yes"]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /\n {2}npx \S+ restore latest --globals --database shop_queue\n/);
  assert.deepEqual(
    (await agentCalls(outside)).filter((call) => /^(?:restore|backup|verify)/.test(call)),
    [
      `restore --attached ${STAMP} --database shop_production --globals --ask --json`,
      `restore --attached ${STAMP} --database shop_queue --globals --ask --json`,
      "backup --attached --json",
      `verify --attached ${STAMP} --database shop_production --json`,
      `verify --attached ${STAMP} --database shop_queue --json`,
    ],
  );
});

test("a step that fails ends the recovery with its sentence", async (t) => {
  const outside = await opened(t);
  const args = ["recover", "--left", "stack", "--yes"];
  await outside.answer("restore", { out: [{ event: "error", message: "no space" }], code: 1 });
  const failed = await outside.run(args);
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /error: no space\n$/);
  assert.ok(!(await agentCalls(outside)).some((call) => call.startsWith("backup")));
  await outside.answer("up", { err: "error: the host key is another one\n", code: 255 });
  const refused = await outside.run(args);
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /error: the host key is another one\n.*error: pulumi up ended with exit code 255, for the reason that it printed\. Mend that, and run this command again\.\n$/s,
  );
});

test("the stack is lost: what deploy.yml says stands in the commands, and nothing is asked of a host", async (t) => {
  const outside = await opened(t);
  await outside.answer("outputs", noStack);
  const run = async (left: string, ...more: string[]) => {
    const args = ["recover", "--left", left, "--dry-run", ...more];
    const { code, stdout, stderr } = await outside.run(args);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const project = await run("project", "--identity", "key.txt");
  for (const line of [
    "ssh-keygen -R '[192.0.2.10]:2222'",
    "kamal accessory boot database",
    "pulumi stack init production",
    "pulumi config set importBucket shop-backups-4f2a",
    "pulumi config set prefix shop/production",
    "npx kamal-postgres-backup restore latest --globals --identity key.txt",
  ]) {
    assert.ok(project.includes(`\n  ${line}\n`), `${line} in ${project}`);
  }
  const server = await run("server");
  assert.match(
    server,
    / {2}ssh -p 2222 deploy@192\.0\.2\.10 docker exec shop-db_backup printenv SIGNING_KEYS \| pulumi config set --secret signingKeys\n/,
  );
  const bucket = await run("bucket", "2026-11-24 03:15:02");
  // As it is copied: a shell looks for the end of a here-document at the beginning of a line.
  assert.match(bucket, /^END$/m);
  assert.match(bucket, /^export AWS_ENDPOINT_URL=https:\/\/s3\.eu-west-3\.amazonaws\.com\n/m);
  assert.match(bucket, /^FOLDER=s3:\/\/shop-backups-4f2a\/shop\/production\n/m);
  assert.match(bucket, /^BACKUP="\$\{DATABASE\}_2026-11-24T03:15:02"\n/m);
  assert.match(bucket, /PGUSER=shop\n/);
  assert.deepEqual(await outside.calls("ssh"), []);

  const refused = await outside.run(["recover", "--left", "stack", "--dry-run"]);
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /error: --left stack needs the stack\. The stack does not answer: .* If its state is lost, take --left project\.\n$/,
  );
  const nowhere = await outside.run([
    "recover",
    "--left",
    "server",
    "--config",
    "no.yml",
    "--dry-run",
  ]);
  assert.match(
    nowhere.stderr,
    /no\.yml cannot be read: there is no such file\. Give the application's deploy\.yml/,
  );
});

test("without a terminal and without --yes nothing begins; without --left nothing is guessed", async (t) => {
  const outside = await opened(t);
  const noTerminal = await outside.run(["recover"]);
  assert.match(noTerminal.stderr, /^error: recover asks before each step.*or add --yes\.\n$/);
  assert.deepEqual(await outside.calls("pulumi"), []);
  const noLeft = await outside.run(["recover", "--yes"]);
  assert.match(
    noLeft.stderr,
    /error: what is left is not known, and nobody is asked\. Give --left all, stack, server, project or bucket\.\n$/,
  );
  const wrong = await outside.run(["recover", "--left", "nothing"]);
  assert.equal(wrong.code, 64);
});

test("only the bucket is left, and no file says where: the page's examples are to be filled in", async (t) => {
  const outside = await Outside.open(t);
  await outside.answer("outputs", noStack);
  const { code, stdout } = await outside.run(["recover", "--left", "bucket", "--yes", "--json"]);
  assert.equal(code, 0);
  const { steps } = JSON.parse(stdout) as { steps: { commands: string[] }[] };
  assert.equal(steps.length, 1);
  assert.ok(steps[0]?.commands.includes("FOLDER=s3://shop-backups-4f2a/shop/production"));
  assert.ok(steps[0]?.commands.includes("export AWS_ACCESS_KEY_ID=AKIAEXAMPLE"));
});
