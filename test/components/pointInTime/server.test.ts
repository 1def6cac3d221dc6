import assert from "node:assert/strict";
import { test } from "node:test";
import { diff } from "../../../components/internal/pointInTimeServer.ts";
import { matchesVerifier, scramVerifier } from "../../../components/server/scram.ts";
import { type FaultOptions, serverFault } from "../../../components/server/serverFaults.ts";
import type { ServerLook } from "../../../components/server/serverLook.ts";
import {
  declaredSettings,
  HBA_LINE,
  ROLE_FIT,
  SLOT_HELD,
} from "../../../components/server/serverSettings.ts";
import { differencesOf, stateOf } from "../../../components/server/serverState.ts";

const PASSWORD = "password-of-the-role";
const GIB = 1024 ** 3;

const prepared: ServerLook = {
  standby: false,
  version: 170_002,
  tablespaces: [],
  synchronousStandbyNames: "",
  walLevel: "replica",
  maxWalSenders: 10,
  maxReplicationSlots: 10,
  role: {
    login: true,
    replication: true,
    monitor: true,
    superuser: false,
    verifier: scramVerifier(PASSWORD),
  },
  lines: [{ number: 130, text: HBA_LINE }],
  wrongLines: [],
  settings: {
    max_slot_wal_keep_size: { value: "4GB", source: "configuration file" },
    summarize_wal: { value: "on", source: "configuration file" },
  },
  slots: [{ name: "kpb_20261128t031502_9f3a1c", status: "reserved" }],
  connections: 2,
  walBytes: GIB,
  freeBytes: 9 * GIB,
};
const settings = declaredSettings(4096, 17);
const declared = { role: ROLE_FIT, line: HBA_LINE, settings, slot: SLOT_HELD };

test("a password's verifier is the one that PostgreSQL makes, and is known again", () => {
  // Salt and password of the example in RFC 7677.
  const salt = Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64");
  assert.equal(
    scramVerifier("pencil", salt),
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
  );
  assert.ok(matchesVerifier(PASSWORD, scramVerifier(PASSWORD)));
  for (const stored of [scramVerifier("another"), "", "md5d41d8cd98f00b204e9800998ecf8427e"]) {
    assert.equal(matchesVerifier(PASSWORD, stored), false, stored);
  }
});

test("the settings are written as the server shows them; blocks are summarized from 17 on", () => {
  assert.deepEqual(declaredSettings(4096, 17), {
    max_slot_wal_keep_size: "4GB",
    summarize_wal: "on",
  });
  assert.deepEqual(declaredSettings(1536, 16), { max_slot_wal_keep_size: "1536MB" });
  assert.deepEqual(declaredSettings(2 * 1024 * 1024, 14), { max_slot_wal_keep_size: "2TB" });
});

const FOUND: readonly [
  what: string,
  changes: Partial<ServerLook>,
  found: Record<string, unknown>,
][] = [
  ["all as declared", {}, {}],
  ["no role", { role: null }, { role: "missing" }],
  [
    "a role that was changed",
    { role: { login: false, replication: false, monitor: false, superuser: true, verifier: null } },
    {
      role: "may not log in, may not replicate, may not monitor, is a superuser, has another password",
    },
  ],
  ["no line", { lines: [] }, { line: "missing" }],
  [
    "a line that admits everybody",
    { lines: [{ number: 1, text: "host all kpb_wal all trust" }] },
    { line: "host all kpb_wal all trust" },
  ],
  [
    "a second line",
    { lines: [prepared.lines[0] as { number: number; text: string }, { number: 131, text: "x" }] },
    { line: `${HBA_LINE}; x` },
  ],
  [
    "other settings",
    { settings: { max_slot_wal_keep_size: { value: "-1", source: "default" } } },
    { settings: { max_slot_wal_keep_size: "-1", summarize_wal: "unknown" } },
  ],
  ["no slot", { slots: [] }, { slot: "missing" }],
  ["a slot beyond its bound", { slots: [{ name: "kpb_1", status: "lost" }] }, { slot: "lost" }],
  ["one that holds nothing", { slots: [{ name: "kpb_1", status: null }] }, { slot: "lost" }],
  [
    "a lost slot beside a new one",
    {
      slots: [
        { name: "kpb_1", status: "lost" },
        { name: "kpb_2", status: "extended" },
      ],
    },
    {},
  ],
];
for (const [what, changes, found] of FOUND) {
  test(`found: ${what}`, async () => {
    const state = stateOf({ ...prepared, ...changes }, declared, PASSWORD, false);
    assert.deepEqual(state, { ...declared, ...found });
    const inputs = { container: "db", agent: "db_backup", target: { host: "a" }, login: {} };
    const olds = { ...inputs, ...state } as unknown as Parameters<typeof diff>[1];
    const news = { ...inputs, ...declared } as unknown as Parameters<typeof diff>[2];
    const { changes: differs } = await diff("a/db", olds, news);
    assert.equal(differs, Object.keys(found).length > 0);
    const named = "slot" in found ? 0 : Object.keys(found).length;
    assert.ok(differencesOf(declared, state).length >= named);
    assert.equal(differencesOf(declared, state).length > 0, named > 0);
  });
}

test("an agent that has just started has its slot still to make", () => {
  assert.equal(stateOf({ ...prepared, slots: [] }, declared, PASSWORD, true).slot, SLOT_HELD);
});

const options: FaultOptions = {
  place: "shop-db on 192.0.2.10",
  names: { pointInTime: "pointInTime", serverDisk: "pointInTime.serverDisk" },
  settings,
  isPrepared: false,
};
const fresh: ServerLook = {
  ...prepared,
  role: null,
  lines: [],
  slots: [],
  connections: 0,
  settings: { max_slot_wal_keep_size: { value: "-1", source: "default" } },
};

const FAULTS: readonly [changes: Partial<ServerLook>, fault: RegExp | undefined][] = [
  [{}, undefined],
  [{ standby: true }, /^pointInTime: the server in shop-db on 192\.0\.2\.10 is a standby/],
  [{ tablespaces: ["fast", "slow"] }, /has tablespaces of its own \(fast, slow\)/],
  [{ synchronousStandbyNames: "*" }, /synchronous_standby_names '\*', by which each commit/],
  [{ synchronousStandbyNames: "ANY 1 (s1, *)" }, /each commit would wait/],
  [{ synchronousStandbyNames: '"Kamal-Postgres-Backup-WAL"' }, /each commit would wait/],
  [{ synchronousStandbyNames: "FIRST 1 (s1, s2)" }, undefined],
  [{ walLevel: "minimal" }, /has wal_level minimal, max_wal_senders 10/],
  [{ maxWalSenders: 1 }, /max_wal_senders 1/],
  [{ maxReplicationSlots: 0 }, /max_replication_slots 0/],
  [
    { wrongLines: [{ number: 7, error: "invalid connection type" }] },
    /cannot be read at line 7 \(invalid connection type\)/,
  ],
  [{ connections: 1 }, /^another backup reads the WAL of the server in shop-db/],
  [{ freeBytes: 7 * GIB }, undefined],
  [
    { freeBytes: 6 * GIB },
    /^pointInTime\.serverDisk 4GB is more than half of what is free .* \(7\.5 GB, the WAL that is there included\).* Set it to at most 3584MB/,
  ],
];
for (const [changes, fault] of FAULTS) {
  test(`${fault === undefined ? "taken" : "refused"}: ${JSON.stringify(changes)}`, () => {
    const found = serverFault({ ...fresh, ...changes }, options);
    if (fault === undefined) assert.equal(found, undefined);
    else assert.match(found ?? "", fault);
  });
}

test("a disk that has filled up since does not keep a later pulumi up from its work; a larger bound is judged again", () => {
  const full = { ...prepared, freeBytes: GIB };
  const later = { ...options, isPrepared: true };
  assert.equal(serverFault(full, later), undefined);
  assert.match(
    serverFault(full, { ...later, settings: declaredSettings(8192, 17) }) ?? "",
    /serverDisk 8GB is more than half/,
  );
});
