/**
 * What five declared programs put into `deploy.yml`, onto the host and into the container, one file each in `snapshots/`: to
 * be read as documentation, and to show in a review what a change does. After a wanted change:
 * `scripts/run node --test --test-update-snapshots test/components/snapshots.test.ts`. Every secret is made up.
 */
import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { formatRecipient, publicKeyOf } from "../../common/age/keys.ts";
import type * as Components from "../../components/index.ts";
import { writeMarkedBlock } from "../../kamal/markedBlock.ts";
import { layOutApplication, REGISTRY } from "./application.ts";
import { declare, inputs } from "./mocks.ts";

const DATABASE = `accessories:
  db:
    image: postgres:17
    host: 192.0.2.10
    env:
      clear:
        POSTGRES_USER: shop
        POSTGRES_DB: shop_production
      secret:
        - POSTGRES_PASSWORD
`;
const SECRETS = `POSTGRES_PASSWORD='the-database-password'
KAMAL_REGISTRY_PASSWORD='the-registry-password'
`;
const RECIPIENT = formatRecipient(publicKeyOf(Buffer.alloc(32, 1)));

type Kpb = typeof Components;

interface Program {
  /** First line of the snapshot. */
  readonly about: string;
  readonly deploy?: string;
  /** Of `deploy.staging.yml`, for a program with that destination. */
  readonly staging?: string;
  readonly args: (of: Kpb) => Omit<Components.PostgresBackupArgs, "kamal" | "ssh">;
}

const PROGRAMS: Record<string, Program> = {
  minimal: {
    about: "The five settings: Kamal's configuration, database, bucket, schedule, retention.",
    args: ({ AwsBackupBucket, Retention, Schedule }) => ({
      database: "shop_production",
      bucket: new AwsBackupBucket("shop-backups", { retention: Retention.days(30) }),
      schedule: Schedule.daily("03:15"),
    }),
  },
  "two-databases-with-tiers": {
    about: "Two databases in one container, each week's and month's first backup kept longer.",
    args: ({ AwsBackupBucket, Retention, Schedule }) => ({
      database: ["shop_production", "shop_production_queue"],
      prefix: "shop",
      bucket: new AwsBackupBucket("shop-backups", {
        prefix: "shop",
        retention: Retention.tiers({ daily: 7, weekly: 35, monthly: 365 }),
      }),
      schedule: Schedule.daily("03:15"),
    }),
  },
  "recipients-and-a-copy": {
    about:
      "Encrypted for a key that the host does not have; once a day a copy goes to another provider.",
    args: ({ AwsBackupBucket, Encryption, Retention }) => ({
      bucket: new AwsBackupBucket("shop-backups", { retention: Retention.days(30) }),
      schedule: "@every 6h",
      encryption: Encryption.recipient(RECIPIENT),
      copy: {
        bucket: {
          name: "shop-copies",
          endpoint: "https://s3.fr-par.scw.cloud",
          region: "fr-par",
          accessKeyId: "SCWEXAMPLE0000000000",
          secretAccessKey: "the-secret-key-of-the-copy",
        },
        every: "@daily",
      },
    }),
  },
  "staging-behind-a-bastion": {
    about:
      "The destination staging, its host reached through a bastion; it has a container and a folder of its own.",
    deploy: `service: shop\nbuilder: { arch: amd64 }\n${REGISTRY}ssh:\n  user: deploy\n  proxy: jump@192.0.2.1\n${DATABASE}`,
    staging:
      "accessories:\n  db:\n    host: 198.51.100.7\n    env:\n      clear:\n        POSTGRES_DB: shop_staging\n",
    args: ({ AwsBackupBucket, Retention, Schedule }) => ({
      bucket: new AwsBackupBucket("shop-backups", { retention: Retention.days(30) }),
      schedule: Schedule.daily("03:15"),
    }),
  },
  "host-image-and-existing-bucket": {
    about:
      "No registry: the host builds the image. A bucket that exists, its certificate by an authority of one's own.",
    deploy: `service: shop\nbuilder: { arch: amd64 }\n${DATABASE}`,
    args: () => ({
      bucket: {
        name: "shop-backups",
        endpoint: "https://s3.example.com",
        region: "us-east-1",
        accessKeyId: "EXAMPLEKEY",
        secretAccessKey: "the-secret-key",
        caFile: "/etc/ssl/our-authority.pem",
      },
      schedule: "15 3 * * *",
      build: "host",
      memory: "512m",
      scratch: "shop-scratch",
      maxShrinkPercent: 30,
      keep: { days: 30 },
    }),
  },
};

let components: Kpb;
before(async () => {
  components = await import("../../components/index.ts");
});

for (const [name, program] of Object.entries(PROGRAMS)) {
  test(`${name}: block, docker run line and env file`, async (t) => {
    const text = await rendered(program);
    t.assert.fileSnapshot(text, join(import.meta.dirname, "snapshots", `${name}.txt`), {
      serializers: [String],
    });
  });
}

async function rendered(program: Program): Promise<string> {
  const {
    about,
    deploy = `service: shop\nbuilder: { arch: amd64 }\n${REGISTRY}${DATABASE}`,
    staging,
    args,
  } = program;
  const files = staging
    ? { "config/deploy.staging.yml": staging, ".kamal/secrets.staging": SECRETS }
    : {};
  const folder = layOutApplication(deploy, SECRETS, files);
  try {
    const declared = await declare(false, () => [
      new components.PostgresBackup("shop", {
        kamal: {
          config: join(folder, "config/deploy.yml"),
          ...(staging && { destination: "staging" }),
        },
        ssh: {
          hostKeys: {
            "192.0.2.1": "ssh-ed25519 AAAAbastion",
            "192.0.2.10": "ssh-ed25519 AAAAproduction",
            "198.51.100.7": "ssh-ed25519 AAAAstaging",
          },
          privateKey: "the-private-key\n",
        },
        ...args(components),
      }).outputs,
    ]);
    const block = inputs(declared, ":RenderedBlock");
    const { run, path, env } = onHost(inputs(declared, "command:remote:Command")["stdin"]);
    const file = String(block["file"]);
    const text = [
      about,
      `\n--- ${file.slice(folder.length + 1)}\n`,
      writeMarkedBlock(readFileSync(file, "utf8"), "shop", String(block["block"]), "accessories"),
      "--- the host runs\n",
      `${run.replaceAll(" --", " \\\n  --").replace(/ (\S+)$/, " \\\n  $1")}\n`,
      `--- ${path}\n`,
      env,
    ].join("\n");
    return constant(text);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The parts of the boot's standard input that reach Docker, by the place at which the script reads them. */
function onHost(stdin: unknown): { run: string; path: string; env: string } {
  const text = (stdin as { value: string }).value;
  const lines = text.split("\n");
  const at = lines.findIndex((line) => line.startsWith("docker run "));
  assert.ok(at > 0);
  const [path = "", run = ""] = lines.slice(at - 1);
  return { run, path, env: lines.slice(at + 5).join("\n") };
}

/** An image that the host builds is named after the agent's sources, and the digest holds its name. */
function constant(text: string): string {
  const tag = /localhost\/kamal-postgres-backup\/[\w.-]+:(?<tag>[\w.-]+)/.exec(text)?.groups?.[
    "tag"
  ];
  if (tag === undefined) return text;
  return text
    .replaceAll(tag, "(of-the-agents-sources)")
    .replace(/(?<=postgres-backup\.digest: )"?[0-9a-f]{16}"?/, "(of-all-this)")
    .replace(/(?<=postgres-backup\.digest=")[0-9a-f]{16}/, "(of-all-this)");
}
