import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import type { PostgresBackupArgs } from "../../../components/backup/postgresBackupArgs.ts";
import { type ResolvedBackup, resolveBackup } from "../../../components/backup/resolveBackup.ts";
import { layOutApplication } from "../application.ts";

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

interface Case {
  /** Settings of the application besides its database. */
  readonly head: string;
  readonly secrets?: string;
  /** Accessories besides the database. */
  readonly accessories?: string;
  readonly changes?: Partial<PostgresBackupArgs>;
}

const DATABASE = "db: { image: postgres:17, host: 192.0.2.10, env: { POSTGRES_DB: app } }";
const DIGEST = `sha256:${"4f".repeat(32)}`;

function resolved({ head, secrets, accessories = "", changes }: Case) {
  const text = `service: shop\n${head}\naccessories: { ${DATABASE}${accessories} }\n`;
  const folder = layOutApplication(text, secrets);
  folders.push(folder);
  const lines: string[] = [];
  const say = (line: string) => void lines.push(line);
  const backup = resolveBackup(
    {
      bucket: {
        name: "shop-backups",
        endpoint: "https://s3.fr-par.scw.cloud",
        region: "fr-par",
        accessKeyId: "SCWEXAMPLE",
        secretAccessKey: "the-secret-key",
      },
      schedule: "15 3 * * *",
      postgres: { password: "pw" },
      ssh: { hostKeys: { "192.0.2.10": "ssh-ed25519 AAAA" }, privateKey: "key" },
      ...changes,
      kamal: { config: join(folder, "config/deploy.yml") },
    },
    { preview: true, info: say, warn: say },
  );
  return { backup, lines };
}

const ARCH = "builder: { arch: amd64 }";
const NEEDS = {
  ruby: "registry: { server: r.example.com, username: <%= creds.user %>, password: [RP] }",
  secret: "registry: { server: r.example.com, username: acme, password: [RP] }",
};

/** K14: the login is asked for only where it is used. */
const UNUSED: readonly (readonly [what: string, given: Case])[] = [
  ["a username of Ruby's", { head: NEEDS.ruby, secrets: "RP=x\n" }],
  ["a password by a command", { head: NEEDS.secret, secrets: "RP=$(pass)\n" }],
  ["no password", { head: NEEDS.secret }],
  ["a password from a variable", { head: NEEDS.secret, secrets: "RP=$NOT_SET_HERE\n" }],
];
for (const [what, given] of UNUSED) {
  test(`${what}: the login is not asked for with an image from elsewhere, nor on the host`, () => {
    const image = `ghcr.io/you/db-backup@${DIGEST}`;
    for (const changes of [{ image }, { build: "host" as const }]) {
      assert.equal(resolved({ ...given, changes }).backup.registry, undefined);
    }
  });

  test(`${what}: an image of that registry is pulled without, and the preview says why`, () => {
    const { backup, lines } = resolved({
      ...given,
      changes: { image: `r.example.com/you/db-backup@${DIGEST}` },
    });
    assert.equal(backup.registry, undefined);
    const line = lines.find((text) => text.includes("is pulled without a login"));
    assert.match(line ?? "", /Give registry\.|give registry\./);
  });

  test(`${what}: to build and push, the arguments are named, and the way without a registry`, () => {
    assert.throws(
      () => resolved({ ...given, head: `${given.head}\n${ARCH}` }),
      /[Gg]ive registry\.(?:username|password) to the program.* build: "host" does without a registry\.$/,
    );
    const { backup } = resolved({
      ...given,
      head: `${given.head}\n${ARCH}`,
      changes: { registry: { username: "acme", password: "given" } },
    });
    assert.equal(backup.registry?.username, "acme");
    assert.equal(backup.registry?.server, "r.example.com");
  });
}

test("the whole login given, where deploy.yml has none that can be read", () => {
  const { backup } = resolved({
    head: `registry: <%= registry %>\nimage: me/shop\n${ARCH}`,
    changes: { registry: { server: "ghcr.io", username: "me", password: "given" } },
  });
  assert.deepEqual(backup.image, {
    from: "registry",
    repository: "ghcr.io/me/shop-db-backup",
    platform: "linux/amd64",
  });
  assert.equal(backup.registry?.server, "ghcr.io");
});

/** E11, E12, O3, O4: where it is pushed, and for which processor it is built. */
const BUILT: readonly (readonly [
  what: string,
  given: Case,
  expected: Partial<Extract<ResolvedBackup["image"], { from: "registry" }>>,
])[] = [
  [
    "beside the application's own image",
    { head: `image: me/shop\nregistry: { server: ghcr.io }\n${ARCH}` },
    { repository: "ghcr.io/me/shop-db-backup", platform: "linux/amd64" },
  ],
  ["at Docker Hub", { head: `image: acme/shop\n${ARCH}` }, { repository: "acme/shop-db-backup" }],
  [
    "a stack that has pushed without the namespace stays there",
    {
      head: `image: acme/shop\nregistry: { server: r.example.com }\n${ARCH}`,
      accessories: `, db_backup: { image: "r.example.com/shop-db-backup@${DIGEST}" }`,
    },
    { repository: "r.example.com/shop-db-backup" },
  ],
  [
    "another repository of the same beginning is not that",
    {
      head: `image: acme/shop\nregistry: { server: r.example.com }\n${ARCH}`,
      accessories: `, db_backup: { image: "r.example.com/shop-db-backup-old@${DIGEST}" }`,
    },
    { repository: "r.example.com/acme/shop-db-backup" },
  ],
  [
    "where the program says",
    { head: `image: <%= image %>\n${ARCH}`, changes: { repository: "ghcr.io/me/backups" } },
    { repository: "ghcr.io/me/backups" },
  ],
  ["for arm64", { head: "builder: { arch: arm64 }" }, { platform: "linux/arm64" }],
  ["a list of one", { head: "builder: { arch: [arm64] }" }, { platform: "linux/arm64" }],
  [
    "for several: the host's",
    { head: "builder: { arch: [amd64, arm64] }" },
    { platform: undefined },
  ],
  ["nothing said: the host's", { head: "proxy: { ssl: true }" }, { platform: undefined }],
  [
    "given, with Docker's word or the processor alone",
    { head: ARCH, changes: { platform: "arm64" } },
    { platform: "linux/arm64" },
  ],
  [
    "given where Ruby decides",
    { head: "builder: { arch: <%= arch %> }", changes: { platform: "linux/arm64" } },
    { platform: "linux/arm64" },
  ],
];
for (const [what, given, expected] of BUILT) {
  test(`the image is built: ${what}`, () => {
    const image: Record<string, unknown> = { ...resolved(given).backup.image };
    const found = Object.keys(expected).map((key) => [key, image[key]]);
    assert.deepEqual(Object.fromEntries(found), expected);
  });
}

const WRONG: readonly (readonly [what: string, given: Case, sentence: RegExp])[] = [
  [
    "an image that only Ruby knows",
    { head: `image: <%= image %>\n${ARCH}` },
    /image needs <%= image %>, but only Ruby can evaluate it\. Give repository to the program\.$/,
  ],
  [
    "a processor that only Ruby knows",
    { head: "builder: { arch: <%= arch %> }" },
    /builder\.arch needs <%= arch %>, .* Give platform to the program\.$/,
  ],
  [
    "a platform that is none",
    { head: ARCH, changes: { platform: "windows/amd64" } },
    /^platform "windows\/amd64" is no platform\. Give for instance "linux\/amd64"/,
  ],
  [
    "a repository with a tag's blank",
    { head: ARCH, changes: { repository: "ghcr.io/me/shop db" } },
    /^repository "ghcr\.io\/me\/shop db" is no repository/,
  ],
];
for (const [what, given, message] of WRONG) {
  test(`refused: ${what}`, () =>
    assert.throws(
      () => resolved(given),
      ({ name, message: found }: Error) => {
        assert.equal(name, "Problem");
        assert.match(found, message);
        return true;
      },
    ));
}
