import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { drillRecord } from "../../support/manifest.ts";
import { entryOf, hoursAgo, inspected, outputs, recorded } from "../support/factories.ts";
import { Outside } from "../support/run.ts";

test("drift: clean is 0", async (t) => {
  const outside = await Outside.open(t);
  await outside.answer("refresh", { out: await recorded("clean") });
  await outside.backups(entryOf(hoursAgo(7)));
  const result = await outside.run(["drift", "--stack", "production"]);
  assert.equal(result.stderr, "");
  assert.equal(result.stdout, "no drift\n");
  assert.equal(result.code, 0);
  const refresh = (await outside.calls("pulumi")).find(([command]) => command === "refresh") ?? [];
  assert.ok(refresh.includes("--preview-only"), "the state is never changed");
  assert.equal(refresh[refresh.indexOf("--stack") + 1], "production");
});

test("drift: unfinished uploads are counted in a note, and are no drift", async (t) => {
  const outside = await Outside.open(t);
  await outside.answer("refresh", { out: await recorded("clean") });
  await outside.backups(entryOf(hoursAgo(7)));
  const uploads = { count: 2, oldest: `${hoursAgo(50)}Z` };
  const rest = { runs: [], kept: [], records: [], remarks: [] };
  await outside.answer("activity", { out: [{ event: "activity", uploads, ...rest }] });
  const { stdout, code } = await outside.run(["drift"]);
  assert.match(stdout, /^note: 2 unfinished uploads, the oldest 50 h old; a backup drops those/m);
  assert.match(stdout, /no drift\n/);
  assert.equal(code, 0);
});

test("drift: each plane has its rows, and the exit code is 7", async (t) => {
  const outside = await Outside.open(t);
  await outside.answer("refresh", { out: await recorded("drift") });
  await outside.backups(entryOf(hoursAgo(31.5)));
  const summary = join(outside.folder, "summary.md");
  const { stdout, code } = await outside.run(["drift"], { GITHUB_STEP_SUMMARY: summary });
  assert.equal(code, 7);
  assert.match(stdout, /^cloud +lifecycle rule "expire" +declared 30 days +found 7 days/m);
  assert.match(
    stdout,
    /^host +192\.0\.2\.10 shop-db_backup +declared running +found exited \(137\)/m,
  );
  assert.match(stdout, /^data +newest backup +RPO 26 h +31 h old/m);
  assert.match(stdout, /^note: 1 resource of the stack outside the backup/m);
  assert.match(stdout, /\n12 differences\n$/);
  const markdown = await readFile(summary, "utf8");
  assert.match(markdown, /\| data \| newest backup \| RPO 26 h \| 31 h old \|/);
  const json = await outside.run(["drift", "--json"]);
  assert.equal(json.code, 7);
  const document = JSON.parse(json.stdout);
  assert.equal(document.drift, true);
  assert.equal(document.differences.length, 12);
});

test("drift: files that are not on this machine are named as not checked, and are neither drift nor silence", async (t) => {
  const outside = await Outside.open(t);
  const events = (await recorded("clean")).split("\n").map((line) => {
    const file = /:RenderedBlock::/.test(line) ? "config/deploy.yml" : ".kamal/secrets";
    if (!/"resOutputsEvent".*:(Rendered|Secrets)Block::/.test(line)) return line;
    const event = JSON.parse(line);
    event.resOutputsEvent.metadata.new.outputs.notChecked = `../shop/${file} is not here`;
    return JSON.stringify(event);
  });
  await outside.answer("refresh", { out: events.join("\n") });
  await outside.backups(entryOf(hoursAgo(7)));
  const summary = join(outside.folder, "summary.md");
  const { stdout, code } = await outside.run(["drift"], { GITHUB_STEP_SUMMARY: summary });
  assert.equal(code, 0);
  assert.equal(
    stdout,
    `not checked: deploy.yml block (../shop/config/deploy.yml is not here)
not checked: secrets block (../shop/.kamal/secrets is not here)
no drift in what was checked
`,
  );
  assert.match(
    await readFile(summary, "utf8"),
    /^No drift in what was checked\.\n\nNot checked: deploy\.yml block \(/m,
  );
  const document = JSON.parse((await outside.run(["drift", "--json"])).stdout);
  assert.deepEqual(
    document.notChecked.map(({ subject }: { subject: string }) => subject),
    ["deploy.yml block", "secrets block"],
  );

  await outside.backups(entryOf(hoursAgo(31)));
  const late = await outside.run(["drift"]);
  assert.equal(late.code, 7);
  assert.match(late.stdout, /^not checked: deploy\.yml block .*\n.*\n1 difference\n$/m);
});

test("drift: a hook that lost the backup before a deploy is named by its file", async (t) => {
  const outside = await Outside.open(t);
  const events = (await recorded("drift")).split("\n").map((line) => {
    if (!/"resOutputsEvent".*:RenderedBlock::/.test(line)) return line;
    const event = JSON.parse(line.replaceAll(":RenderedBlock", ":DeployHook"));
    const { metadata } = event.resOutputsEvent;
    metadata.old.inputs.file = metadata.old.outputs.file = "../shop/.kamal/hooks/pre-deploy";
    return JSON.stringify({
      resOutputsEvent: { metadata: { ...metadata, op: "delete", new: null } },
    });
  });
  await outside.answer("refresh", { out: events.join("\n") });
  await outside.backups(entryOf(hoursAgo(7)));
  const { stdout, code } = await outside.run(["drift"]);
  assert.equal(code, 7);
  assert.match(stdout, /^host +pre-deploy block +declared as rendered +found missing +pulumi up/m);
});

test("drift: the remedy is the command that heals in this project", async (t) => {
  const outside = await Outside.open(t);
  await outside.answer("refresh", { out: await recorded("drift") });
  await outside.backups(entryOf(hoursAgo(7)));
  const remedies = async () => {
    const { stdout } = await outside.run(["drift", "--json"]);
    const { differences } = JSON.parse(stdout) as { differences: { remedy: string }[] };
    return [
      ...new Set(differences.map(({ remedy }) => remedy.replace(/ (puts|starts|boots) .*/, ""))),
    ];
  };
  assert.deepEqual(await remedies(), ["pulumi up --refresh"]);
  await writeFile(join(outside.folder, "Pulumi.yaml"), "name: shop\noptions:\n  refresh: always\n");
  assert.deepEqual(await remedies(), ["pulumi up"]);
});

test("drift: a host that no longer lets anyone in breaks the check, unless drift is known", async (t) => {
  const outside = await Outside.open(t);
  const reason = "ssh deploy@192.0.2.11:22: the host key of the server is not the expected one.";
  const unseen = async (name: "clean" | "drift") =>
    (await recorded(name)).split("\n").map((line) => {
      if (!/"resOutputsEvent".*::shop-state-192\.0\.2\.11"/.test(line)) return line;
      const event = JSON.parse(line);
      const { metadata } = event.resOutputsEvent;
      metadata.op = "update";
      metadata.new.inputs.status = `not seen: ${reason}`;
      metadata.new.outputs = { ...metadata.new.inputs, notChecked: reason };
      return JSON.stringify(event);
    });
  await outside.backups(entryOf(hoursAgo(7)));
  await outside.answer("refresh", { out: (await unseen("clean")).join("\n") });
  const broken = await outside.run(["drift"]);
  assert.equal(broken.code, 1);
  assert.equal(
    broken.stderr,
    `error: the check could not be made: 192.0.2.11 shop-db_backup: ${reason}\n`,
  );
  await outside.answer("refresh", { out: (await unseen("drift")).join("\n") });
  const known = await outside.run(["drift"]);
  assert.equal(known.code, 7);
  assert.match(known.stdout, /^not checked: 192\.0\.2\.11 shop-db_backup \(ssh deploy@/m);
  assert.doesNotMatch(known.stdout, /^host +192\.0\.2\.11/m);
});

test("drift: a container that runs and is unhealthy differs from what was declared, and says why", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf(hoursAgo(7)));
  const broken = "broken: the last backup failed 2 s ago: no space";
  const Health = { Status: "unhealthy", Log: [{ Output: `${broken}\n`, ExitCode: 1 }] };
  for (const [name, code, last] of [
    ["clean", 7, /\n1 difference\n$/],
    ["drift", 7, /\n12 differences\n$/],
  ] as const) {
    await outside.answer("refresh", { out: await recorded(name) });
    await outside.answer("inspect", { out: inspected({ Health }) });
    const { stdout, ...result } = await outside.run(["drift"]);
    assert.match(
      stdout,
      new RegExp(
        `^host +192\\.0\\.2\\.10 shop-db_backup +declared healthy +found ${broken} +see why: docker`,
        "m",
      ),
    );
    assert.match(stdout, last);
    assert.equal(result.code, code);
  }
  await outside.answer("refresh", { out: await recorded("clean") });
  await outside.answer("inspect", { out: "banner\n" });
  const unknown = await outside.run(["drift"]);
  assert.match(unknown.stdout, /^not checked: 192\.0\.2\.10 shop-db_backup \(its health: docker/m);
  assert.match(unknown.stdout, /\nno drift in what was checked\n$/);
});

test("drift: no backup at all is drift of the data", async (t) => {
  const outside = await Outside.open(t);
  await outside.answer("refresh", { out: await recorded("clean") });
  await outside.backups();
  const { stdout, code } = await outside.run(["drift"]);
  assert.match(stdout, /^data +newest backup +RPO 26 h +none/m);
  assert.match(stdout, /1 difference\n$/);
  assert.equal(code, 7);
});

test("drift: a container that is down leaves the data unjudged and is drift", async (t) => {
  const outside = await Outside.open(t);
  await outside.answer("list", { err: "Error: No such container: x\n", code: 1 });
  for (const name of ["drift", "clean"] as const) {
    await outside.answer("refresh", { out: await recorded(name) });
    const { stdout, code } = await outside.run(["drift"]);
    assert.equal(code, 7);
    assert.match(stdout, /^host +192\.0\.2\.10 shop-db_backup +declared running/m);
    assert.match(stdout, /^note: the age of the newest backup could not be judged/m);
    assert.doesNotMatch(stdout, /^data/m);
  }
});

test("drift: what keeps the check from being made is neither 0 nor 7", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf(hoursAgo(7)));
  const cut = (await recorded("clean")).split("\n").slice(0, 6).join("\n");
  const rows = [
    {
      name: "a resource that could not be read",
      refresh: { out: await recorded("broken"), code: 1 },
      sentence: /the check could not be made: shop-state-192\.0\.2\.10: /,
    },
    {
      name: "Pulumi failed before the first event",
      refresh: { err: "error: passphrase must be set with PULUMI_CONFIG_PASSPHRASE\n", code: 1 },
      sentence: /pulumi refresh --preview-only .*passphrase must be set/,
    },
    {
      name: "exit 0, but no events",
      refresh: { out: "" },
      sentence: /ended without its summary/,
    },
    { name: "exit 0, but cut", refresh: { out: cut }, sentence: /ended without its summary/ },
    {
      name: "no engine event",
      refresh: { out: "{}x\n" },
      sentence: /writes events that this program does not read/,
    },
  ];
  for (const { name, refresh, sentence } of rows) {
    await outside.answer("refresh", refresh);
    const { stdout, stderr, code } = await outside.run(["drift"]);
    assert.equal(code, 1, name);
    assert.match(stderr, sentence, name);
    assert.equal(stdout, "", name);
  }
});

test("drift: data that cannot be judged breaks the check only where no drift is known", async (t) => {
  const outside = await Outside.open(t);
  await outside.answer("list", { out: [{ event: "error", message: "access denied." }], code: 1 });
  await outside.answer("refresh", { out: await recorded("clean") });
  const broken = await outside.run(["drift"]);
  assert.equal(broken.code, 1);
  assert.match(
    broken.stderr,
    /^error: access denied\. The bucket could not be asked either: the stack.s state holds no key for it\.\n$/,
  );
  await outside.answer("refresh", { out: await recorded("drift") });
  const known = await outside.run(["drift"]);
  assert.equal(known.code, 7);
  assert.match(known.stdout, /note: .*could not be judged: access denied\./);
});

test("drift and status: a drill that is older than declared is bad news, and an unknown one is said", async (t) => {
  const outside = await Outside.open(t);
  await outside.answer("refresh", { out: await recorded("clean") });
  const weekly = { ...outputs, drill: { everyMs: 7 * 24 * 3_600_000 } };
  await outside.answer("outputs", { out: JSON.stringify({ backup: weekly }) });
  const backups = [entryOf(hoursAgo(7)), entryOf(hoursAgo(1000))];
  const listing = (days: number, verdict: "passed" | "failed") => {
    const startedAt = `${hoursAgo(days * 24)}.000Z`;
    const drills = [
      drillRecord({ startedAt, verdict, reason: verdict === "failed" ? "no." : null }),
    ];
    return outside.answer("list", { out: [{ event: "list", backups, drills }] });
  };
  await listing(6, "passed");
  const young = await outside.run(["drift"]);
  assert.deepEqual([young.code, young.stdout], [0, "no drift\n"]);
  assert.equal((await outside.run(["status"])).code, 0);
  await listing(9, "passed");
  const old = await outside.run(["drift", "--stack", "production"]);
  assert.equal(old.code, 7);
  assert.match(
    old.stdout,
    /^data +newest drill +every 7 d +passed 9 d ago +npx kamal-postgres-backup --stack production drill\n/m,
  );
  const status = await outside.run(["status"]);
  assert.equal(status.code, 7);
  assert.match(status.stdout, /^ +drill +passed 9 d ago$/m);
  await listing(1, "failed");
  const failed = await outside.run(["drift"]);
  assert.equal(failed.code, 7);
  assert.match(failed.stdout, /none has passed, the newest failed: no\./);
  await outside.backups(...backups);
  const unknown = await outside.run(["drift"]);
  assert.equal(unknown.code, 0);
  assert.match(unknown.stdout, /^note: the age of the newest drill is not known$/m);
});
