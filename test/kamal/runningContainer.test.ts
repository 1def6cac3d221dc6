import assert from "node:assert/strict";
import { test } from "node:test";
import type { Accessory } from "../../kamal/accessory.ts";
import {
  type ContainerConfig,
  declaredSettings,
  differingSettings,
  foundSettings,
  type Inspected,
  sizeInBytes,
} from "../../kamal/runningContainer.ts";
import { ACCESSORY } from "./fixtures.ts";

const DECLARED: Accessory = {
  ...ACCESSORY,
  labels: { "kamal-postgres-backup.digest": "0123456789abcdef" },
  options: {
    "read-only": true,
    "cap-drop": "ALL",
    "security-opt": "no-new-privileges",
    memory: "256m",
    "stop-timeout": "30",
    mount: "type=bind,source=/etc/our.pem,target=/etc/ssl/ours.pem,readonly",
  },
  volumes: ["shop-scratch:/scratch"],
  clear: { SCHEDULE: "15 3 * * *", AGE_RECIPIENTS: "age1abc" },
  secrets: [
    { name: "POSTGRES_PASSWORD", from: "POSTGRES_PASSWORD" },
    { name: "S3_SECRET_ACCESS_KEY", from: "DB_BACKUP_S3_SECRET_ACCESS_KEY" },
  ],
};
const SECRETS = { POSTGRES_PASSWORD: "p=w", S3_SECRET_ACCESS_KEY: "k" };

const IMAGE: ContainerConfig = {
  Env: ["PATH=/usr/bin", "LANG=C.UTF-8"],
  Labels: { "org.opencontainers.image.title": "agent" },
  Cmd: ["agent", "schedule"],
  Entrypoint: null,
  User: "10001",
  WorkingDir: "",
  Healthcheck: { Test: ["CMD", "agent", "health"] },
  StopSignal: "SIGTERM",
};

/** As Docker 20.10 tells it of a container that was started with the line of `DECLARED`. */
const RUNNING = {
  Id: "e9c24e33f1b0b09be2e926fe65aefdd2518422b7a5a7f4109ba14ca1d4f66329",
  Config: {
    Hostname: "e9c24e33f1b0",
    User: "10001",
    Tty: false,
    Env: [
      "KAMAL_HOST=192.0.2.10",
      "AGE_RECIPIENTS=age1abc",
      "SCHEDULE=15 3 * * *",
      "S3_SECRET_ACCESS_KEY=k",
      "POSTGRES_PASSWORD=p=w",
      "PATH=/usr/bin",
      "LANG=C.UTF-8",
    ],
    Cmd: ["agent", "schedule"],
    WorkingDir: "",
    Entrypoint: null,
    Healthcheck: { Test: ["CMD", "agent", "health"] },
    Labels: {
      service: DECLARED.container,
      "kamal-postgres-backup.digest": "0123456789abcdef",
      "org.opencontainers.image.title": "agent",
    },
    StopSignal: "SIGTERM",
    StopTimeout: 30,
  },
  HostConfig: {
    Binds: ["shop-scratch:/scratch"],
    LogConfig: { Type: "json-file", Config: { "max-size": "10m" } },
    NetworkMode: "kamal",
    PortBindings: {},
    RestartPolicy: { Name: "unless-stopped", MaximumRetryCount: 0 },
    AutoRemove: false,
    VolumesFrom: null,
    CapAdd: null,
    CapDrop: ["ALL"],
    Dns: [],
    ExtraHosts: null,
    GroupAdd: null,
    OomScoreAdj: 0,
    PidMode: "",
    Privileged: false,
    ReadonlyRootfs: true,
    SecurityOpt: ["no-new-privileges"],
    ShmSize: 67108864,
    Memory: 268435456,
    NanoCpus: 0,
    Devices: [],
    MemorySwap: 536870912,
    MemorySwappiness: null,
    OomKillDisable: false,
    PidsLimit: null,
    Ulimits: [],
    Mounts: [{ Type: "bind", Source: "/etc/our.pem", Target: "/etc/ssl/ours.pem", ReadOnly: true }],
  },
};

interface Edit {
  readonly config?: Record<string, unknown>;
  readonly host?: Record<string, unknown>;
}

function differencesAfter(
  { config, host }: Edit,
  declared = DECLARED,
  image: ContainerConfig | undefined = IMAGE,
): string[] {
  const settings = declaredSettings(declared, SECRETS);
  const inspected = {
    ...RUNNING,
    Config: { ...RUNNING.Config, ...config },
    HostConfig: { ...RUNNING.HostConfig, ...host },
  } as Inspected;
  const found = foundSettings(inspected, image, settings, Object.keys(SECRETS));
  return differingSettings(settings, found).map(
    (each) => `${each.name}: ${each.declared} -> ${each.found}`,
  );
}

const env = (...entries: string[]) => ({ config: { Env: [...RUNNING.Config.Env, ...entries] } });
const envWithout = (name: string) => ({
  config: { Env: RUNNING.Config.Env.filter((entry) => !entry.startsWith(`${name}=`)) },
});

test("a container that was started with the declared line differs in nothing", () => {
  assert.deepEqual(differencesAfter({}), []);
});

test("nor one that an older Kamal booted, or whose daemon has defaults of its own", () => {
  assert.deepEqual(differencesAfter(envWithout("KAMAL_HOST")), []);
  const host = {
    LogConfig: { Type: "local", Config: { "max-size": "10m", "max-file": "5" } },
    MemorySwap: -1,
    MemorySwappiness: -1,
    PidsLimit: 0,
    CgroupnsMode: "private",
  };
  assert.deepEqual(differencesAfter({ host }), []);
});

const EDITS: Record<string, [Edit, string[]]> = {
  memory: [{ host: { Memory: 314572800, MemorySwap: 629145600 } }, ["memory: 256m -> 300m"]],
  "no memory limit": [{ host: { Memory: 0, MemorySwap: 0 } }, ["memory: 256m -> none"]],
  swap: [{ host: { MemorySwap: 268435456 } }, ["memory-swap: none -> 256m"]],
  "read-only": [{ host: { ReadonlyRootfs: false } }, ["read-only: true -> none"]],
  "stop timeout": [{ config: { StopTimeout: 5 } }, ["stop-timeout: 30 -> 5"]],
  capabilities: [{ host: { CapDrop: null } }, ["cap-drop: ALL -> none"]],
  privileges: [{ host: { SecurityOpt: [] } }, ["security-opt: no-new-privileges -> none"]],
  privileged: [{ host: { Privileged: true } }, ["privileged: none -> true"]],
  processors: [{ host: { NanoCpus: 500000000 } }, ["cpus: none -> 500000000"]],
  network: [{ host: { NetworkMode: "host" } }, ["network: kamal -> host"]],
  "published port": [
    { host: { PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "80" }] } } },
    ['publish: none -> {"80/tcp":[{"HostIp":"","HostPort":"80"}]}'],
  ],
  "restart policy": [
    { host: { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 } } },
    ["restart: unless-stopped -> on-failure:3"],
  ],
  volume: [
    { host: { Binds: ["other:/scratch", "/srv:/srv:ro"] } },
    [
      "volume /scratch: shop-scratch:/scratch -> other:/scratch",
      "volume /srv: none -> /srv:/srv:ro",
    ],
  ],
  mount: [
    { host: { Mounts: null } },
    ["mount /etc/ssl/ours.pem: bind /etc/our.pem readonly -> none"],
  ],
  logging: [
    { host: { LogConfig: { Type: "json-file", Config: { "max-size": "1m" } } } },
    ["log-opt max-size: 10m -> 1m"],
  ],
  label: [
    { config: { Labels: { ...RUNNING.Config.Labels, team: "a" } } },
    ["label team: none -> a"],
  ],
  command: [{ config: { Cmd: ["sleep", "9"] } }, ["command: none -> sleep 9"]],
  user: [{ config: { User: "0" } }, ["user: none -> 0"]],
  "health check": [
    { config: { Healthcheck: { Test: ["NONE"] } } },
    ['healthcheck: none -> {"Test":["NONE"]}'],
  ],
  "host name": [{ config: { Hostname: "backup" } }, ["hostname: none -> backup"]],
  "a variable": [
    { config: { Env: RUNNING.Config.Env.map((entry) => entry.replace("15 3", "45 5")) } },
    ["env SCHEDULE: 15 3 * * * -> 45 5 * * *"],
  ],
  "a missing variable: backups in clear": [
    envWithout("AGE_RECIPIENTS"),
    ["env AGE_RECIPIENTS: age1abc -> none"],
  ],
  "one more variable, whose value may be a secret": [
    env("PASSPHRASE=geheim"),
    ["env PASSPHRASE: none -> set"],
  ],
  "a variable of the image": [
    { config: { Env: [...RUNNING.Config.Env, "PATH=/opt/bin"] } },
    ["env PATH: none -> set"],
  ],
};
for (const [what, [edit, differences]] of Object.entries(EDITS)) {
  test(`differs: ${what}`, () => assert.deepEqual(differencesAfter(edit), differences));
}

test("secrets of the container are compared, and never shown", () => {
  const Env = RUNNING.Config.Env.map((entry) => entry.replace("p=w", "stolen"));
  for (const edit of [{ config: { Env } }, envWithout("POSTGRES_PASSWORD")]) {
    const [difference = "", ...others] = differencesAfter(edit);
    assert.match(difference, /^secrets: [0-9a-f]{64} -> [0-9a-f]{64}$/);
    assert.deepEqual(others, []);
  }
});

test("a driver that is declared is compared, with its own options", () => {
  const logging = { driver: "local", options: { "max-file": "3" } };
  assert.deepEqual(differencesAfter({}, { ...DECLARED, logging }), [
    "log-driver: local -> json-file",
    "log-opt max-file: 3 -> none",
  ]);
});

test("the size of /dev/shm is the daemon's own, unless one is declared", () => {
  const host = { ShmSize: 67_108_864 };
  assert.deepEqual(differencesAfter({ host }), []);
  const declared = { ...DECLARED, options: { ...DECLARED.options, "shm-size": "96m" } };
  assert.deepEqual(differencesAfter({ host }, declared), ["shm-size: 96m -> 64m"]);
  assert.deepEqual(differencesAfter({ host: { ShmSize: 100_663_296 } }, declared), []);
});

test("of an image that is gone nothing is guessed", () => {
  const settings = declaredSettings(DECLARED, SECRETS);
  const found = foundSettings(RUNNING as unknown as Inspected, undefined, settings, [
    "POSTGRES_PASSWORD",
    "S3_SECRET_ACCESS_KEY",
  ]);
  assert.deepEqual(differingSettings(settings, found), []);
});

test("sizes are read as Docker does", () => {
  for (const [text, bytes] of [
    ["256m", 268435456],
    ["0.5g", 536870912],
    ["1024", 1024],
    ["1GiB", 1073741824],
    ["much", undefined],
  ] as const) {
    assert.equal(sizeInBytes(text), bytes, text);
  }
});
