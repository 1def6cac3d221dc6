import assert from "node:assert/strict";
import { test } from "node:test";
import { type DriftReport, printReport, renderSummary } from "../../../cli/backups/driftReport.ts";
import { findDifferences as differencesIn } from "../../../cli/stack/differences.ts";
import { type EngineEvent, parseEngineEvents } from "../../../cli/stack/engineEvents.ts";
import { lifecycleDifferences } from "../../../cli/stack/lifecycleDifferences.ts";
import { changesBetween } from "../../../cli/stack/propertyChanges.ts";
import { recorded } from "../support/factories.ts";
import { printed } from "../support/run.ts";

const findDifferences = (events: readonly EngineEvent[], boot = "pulumi up") =>
  differencesIn(events, "pulumi up", boot);

test("the rows of a refresh that the real engine recorded", async () => {
  const { differences, others } = findDifferences(parseEngineEvents(await recorded("drift")));
  const image = (figure: string) => `registry.example.com/shop-db-backup@sha256:${figure}`;
  assert.deepEqual(
    differences.map((d) => [d.plane, d.subject, d.declared, d.found, d.remedy]),
    [
      [
        "cloud",
        "bucket versioning shop-versioning",
        "versioningConfiguration.status Enabled",
        "Suspended",
        "pulumi up puts it back",
      ],
      [
        "cloud",
        'lifecycle rule "abort"',
        "status Enabled",
        "status Disabled",
        "pulumi up puts it back",
      ],
      ["cloud", 'lifecycle rule "by-hand"', "none", "1 day", "pulumi up puts it back"],
      ["cloud", 'lifecycle rule "expire"', "30 days", "7 days", "pulumi up puts it back"],
      ["cloud", 'lifecycle rule "noncurrent"', "present", "none", "pulumi up puts it back"],
      ["host", "192.0.2.10 shop-db_backup", "running", "exited (137)", "pulumi up starts it"],
      [
        "host",
        "192.0.2.11 shop-db_backup",
        "environment aa1100000000",
        "bb2200000000",
        "pulumi up puts it back",
      ],
      [
        "host",
        "192.0.2.11 shop-db_backup",
        `image ${image("4f1c6d3e0000")}`,
        image("777777777777"),
        "pulumi up puts it back",
      ],
      ["host", "192.0.2.12 shop-db_backup", "running", "missing", "pulumi up boots it"],
      [
        "host",
        "deploy.yml block",
        'SCHEDULE: "15 3 * * *"',
        'edited by hand: SCHEDULE: "0 0 1 1 *"',
        "pulumi up puts it back",
      ],
      ["host", "secrets block", "as rendered", "edited by hand", "pulumi up puts it back"],
    ],
  );
  assert.equal(others, 1, "a bucket of the user's own, beside the component");
});

test("a refresh that finds nothing has no rows", async () => {
  const events = parseEngineEvents(await recorded("clean"));
  assert.ok(events.length > 10);
  assert.deepEqual(findDifferences(events), { differences: [], notChecked: [], others: 0 });
});

test("a line that is no engine event breaks the check", () => {
  assert.throws(() => parseEngineEvents('{"sequence":0}\n{"resOutputs'), {
    name: "Problem",
    message: /the check could not be made/,
  });
});

const urn = (type: string, name: string) =>
  `urn:pulumi:p::s::kamal-postgres-backup:index:PostgresBackup$${type}::${name}`;

function step(
  op: string,
  type: string,
  inputs: [object, object | null],
  outputs = inputs,
): EngineEvent {
  const state = (at: 0 | 1) => ({
    id: "id",
    inputs: inputs[at] as Record<string, unknown>,
    outputs: outputs[at] as Record<string, unknown>,
  });
  return {
    resOutputsEvent: {
      metadata: {
        op,
        type,
        urn: urn(type, "shop-x"),
        old: state(0),
        new: inputs[1] === null ? null : state(1),
      },
    },
  };
}

test("a difference in outputs alone, and one that cannot be shown, still make a row", () => {
  const key = "aws:iam/accessKey:AccessKey";
  const rows: [EngineEvent, string, string][] = [
    [
      step("update", key, [{}, {}], [{ status: "Active" }, { status: "Inactive" }]),
      "status Active",
      "Inactive",
    ],
    [step("update", key, [{ a: 1 }, { a: 1 }]), "as in the state", "changed"],
    [step("delete", key, [{ a: 1 }, null]), "present", "missing"],
  ];
  for (const [event, declared, found] of rows) {
    const [row, ...more] = findDifferences([event]).differences;
    assert.deepEqual(more, []);
    assert.equal(row?.subject, "access key shop-x");
    assert.equal(row?.plane, "cloud");
    assert.deepEqual([row?.declared, row?.found], [declared, found]);
  }
});

test("a bucket that is not on AWS is of the cloud too, though dynamic resources watch it", () => {
  const type = (name: string) => `pulumi-nodejs:dynamic/kamal-postgres-backup:${name}`;
  const rule = (expirationDays: number) => ({ id: "expire@p-s-x", prefix: "", expirationDays });
  const rules = (days: number, conflicts: string[]) => ({ rules: [rule(days)], conflicts });
  const rows = findDifferences([
    step("update", type("S3BucketVersioning"), [{ status: "Enabled" }, { status: "Suspended" }]),
    step("update", type("S3BucketLifecycleConfiguration"), [rules(30, []), rules(7, [])]),
    step("update", type("S3BucketLifecycleConfiguration"), [rules(30, []), rules(30, ["theirs"])]),
  ]).differences;
  assert.deepEqual(
    rows.map((row) => [row.plane, row.subject, row.declared, row.found, row.remedy]),
    [
      ["cloud", 'lifecycle rule "expire@p-s-x"', "30 days", "7 days", "pulumi up puts it back"],
      [
        "cloud",
        "s3 bucket lifecycle configuration shop-x",
        "conflicts[0] none",
        "theirs",
        "remove that rule: this stack did not make it",
      ],
      [
        "cloud",
        "s3 bucket versioning shop-x",
        "status Enabled",
        "Suspended",
        "pulumi up puts it back",
      ],
    ],
  );
});

test("what the engine calls the same, or only plans, makes no row", () => {
  for (const op of ["same", "refresh", "read"]) {
    assert.deepEqual(
      findDifferences([step(op, "aws:s3/bucket:Bucket", [{ a: 1 }, { a: 2 }])]).differences,
      [],
    );
  }
});

test("properties are compared leaf by leaf", () => {
  const rows: [object, object, string[]][] = [
    [{ a: { b: 1 } }, { a: { b: 1 } }, []],
    [{ a: { b: 1 } }, { a: { b: 2 } }, ["a.b: 1 > 2"]],
    [{ a: [1, 2] }, { a: [1] }, ["a[1]: 2 > none"]],
    [{ rules: [{ id: "x", n: 1 }, { id: "y" }] }, { rules: [{ id: "y" }, { id: "x", n: 1 }] }, []],
    [{}, { a: false, b: "", c: null }, []],
    [{}, { a: 0 }, ["a: none > 0"]],
    [{ a: true }, {}, ["a: true > none"]],
    [{ a: "" }, { a: "x" }, ["a:  > x"]],
    [{ __provider: "1", __defaults: [] }, { __provider: "2" }, []],
    [
      { a: "x" },
      { a: { "4dabf18193072939515e22adb298388d": "1b47", ciphertext: "hidden" } },
      ["a: x > [secret]"],
    ],
  ];
  for (const [declared, found, expected] of rows) {
    const changes = changesBetween({ ...declared }, { ...found });
    assert.deepEqual(
      changes.map((c) => `${c.path}: ${c.declared} > ${c.found}`),
      expected,
    );
  }
});

test("lifecycle rules are told by their ids and in days", () => {
  const rule = (id: string, over: object) => ({ id, status: "Enabled", ...over });
  const days = (n: number) => rule("expire", { expiration: { days: n } });
  const rows: [object[], object[], string[]][] = [
    [[days(30)], [days(7)], ['lifecycle rule "expire": 30 days > 7 days']],
    [[days(30)], [days(1)], ['lifecycle rule "expire": 30 days > 1 day']],
    [[days(30)], [rule("expire", {})], ['lifecycle rule "expire": 30 days > none']],
    [[days(30)], [], ['lifecycle rule "expire": 30 days > none']],
    [
      [rule("n", { noncurrentVersionExpiration: { noncurrentDays: 14 } })],
      [rule("n", { noncurrentVersionExpiration: { noncurrentDays: 2 } })],
      ['lifecycle rule "n": noncurrent 14 days > noncurrent 2 days'],
    ],
    [[days(30)], [days(30)], []],
  ];
  for (const [declared, found, expected] of rows) {
    assert.deepEqual(
      lifecycleDifferences({ rules: declared }, { rules: found }).map(
        (d) => `${d.subject}: ${d.declared} > ${d.found}`,
      ),
      expected,
    );
  }
});

test("the report and the job summary", () => {
  const differences = [
    {
      plane: "cloud",
      subject: 'lifecycle rule "expire"',
      declared: "30 days",
      found: "7 days",
      remedy: "pulumi up puts it back",
    },
    {
      plane: "data",
      subject: "newest backup",
      declared: "RPO 26 h",
      found: "31 h old",
      remedy: "see why",
    },
  ] as const;
  const report = (of: DriftReport) => printed((screen) => printReport(screen, of));
  assert.deepEqual(report({ differences, notChecked: [], notes: ["more"] }), [
    'cloud   lifecycle rule "expire"   declared 30 days   found 7 days   pulumi up puts it back',
    "data    newest backup             RPO 26 h           31 h old       see why",
    "note: more",
    "2 differences",
  ]);
  assert.deepEqual(report({ differences: [], notChecked: [], notes: [] }), ["no drift"]);
  assert.match(
    renderSummary("shop", { differences, notChecked: [], notes: [] }),
    /^## Backup of shop: drift\n\n\| plane .*\n\| --- .*\n\| cloud \| lifecycle rule "expire" \| 30 days \| 7 days \|/,
  );
});

test("what Kamal boots is put back by Kamal, all else by pulumi up", async () => {
  const reboot = "kamal accessory reboot db_backup -d production";
  const { differences } = findDifferences(parseEngineEvents(await recorded("drift")), reboot);
  const remedies = (plane: string) =>
    new Set(differences.filter((row) => row.plane === plane).map(({ remedy }) => remedy));
  assert.ok([...remedies("host")].includes(`${reboot} starts it`), [...remedies("host")].join());
  assert.ok([...remedies("cloud")].every((remedy) => !remedy.includes("kamal")));
});
