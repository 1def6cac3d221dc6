import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type * as Components from "../../../components/index.ts";
import { buildDigest } from "../../../components/internal/hostImage.ts";
import { deployYml, layOutApplication, REGISTRY } from "../application.ts";
import { type Declared, declare, isSecret, plainText, SECRET_KEY } from "../mocks.ts";

const PRIVATE_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nthe-private-key\n";
const REGISTRY_PASSWORD = "the-registry-password";

let folder: string;
let components: typeof Components;
before(async () => {
  folder = layOutApplication(
    deployYml({
      service: "Shop_1",
      head: `${REGISTRY}ssh:\n  user: deploy\n  proxy: jump@192.0.2.1\n`,
      image: "postgres:16",
      clear: { POSTGRES_DB: "shop_production" },
    }),
    `POSTGRES_PASSWORD='the-database-password'\nKAMAL_REGISTRY_PASSWORD='${REGISTRY_PASSWORD}'\n`,
  );
  components = await import("../../../components/index.ts");
});
after(() => rmSync(folder, { recursive: true }));

function backup(
  changes: Partial<Components.PostgresBackupArgs> = {},
  preview = false,
): Promise<Declared[]> {
  return declare(preview, () => [
    new components.PostgresBackup("shop", {
      kamal: { config: join(folder, "config/deploy.yml") },
      bucket: {
        name: "shop-backups",
        region: "eu-west-3",
        accessKeyId: "AKIAEXAMPLE",
        secretAccessKey: SECRET_KEY,
      },
      schedule: "@daily",
      ssh: {
        hostKeys: {
          "192.0.2.1": "ssh-ed25519 AAAAbastion",
          "192.0.2.10": "ssh-ed25519 AAAA10",
          "192.0.2.11": "ssh-ed25519 AAAA11",
        },
        privateKey: PRIVATE_KEY,
      },
      build: "host",
      ...changes,
    }).outputs,
  ]);
}

const imagesIn = (declared: Declared[]) =>
  declared.filter(({ type }) => type.endsWith(":HostImage"));

for (const preview of [true, false]) {
  const phase = preview ? "preview" : "update";
  test(`at ${phase} the host builds it, through the bastion, without a registry, and nothing secret is in plain`, async () => {
    const declared = await backup({}, preview);
    const [image, ...others] = imagesIn(declared);
    assert.deepEqual(others, []);
    assert.equal(image?.name, "shop-agent-192.0.2.10");
    assert.ok(isSecret(image.inputs["target"]));
    assert.equal(image.inputs["repository"], "localhost/kamal-postgres-backup/shop-1-db-backup");
    assert.equal(image.inputs["postgresMajor"], 16);
    assert.match(
      JSON.stringify(image),
      /"proxy":\{"host":"192\.0\.2\.1","hostKey":"ssh-ed25519 AAAAbastion"/,
    );
    assert.ok(!declared.some(({ type }) => type.startsWith("docker:")));
    for (const secret of ["the-private-key", "the-database-password", SECRET_KEY]) {
      assert.ok(!plainText(declared).includes(secret), secret);
    }
    assert.ok(!JSON.stringify(declared).includes(REGISTRY_PASSWORD), "no login is needed");
  });
}

test("several hosts: each builds its own", async () => {
  const hop = { port: 22, user: "deploy", hostKey: "ssh-ed25519 AAAA" };
  const hosts = ["192.0.2.10", "192.0.2.11"].map((host) => ({ ...hop, host }));
  const declared = await declare(false, () => [
    new components.HostAgentImage("agent", {
      name: "shop-db-backup",
      postgresMajor: 17,
      access: { hosts, identityFiles: [], keyIsGiven: false },
    }).reference,
  ]);
  const images = imagesIn(declared);
  assert.deepEqual(
    images.map(({ name }) => name),
    ["agent-192.0.2.10", "agent-192.0.2.11"],
  );
  assert.equal(images[0]?.inputs["tag"], images[1]?.inputs["tag"]);
});

test("the block and the container name the image that was built, with all that decides about it in the tag", async () => {
  const references: string[] = [];
  for (const changes of [{}, {}, { baseImage: "node:24-bookworm-slim" }]) {
    const declared = await backup(changes);
    const { tag, repository, digest } = imagesIn(declared)[0]?.inputs ?? {};
    assert.match(String(tag), /^pg16-[0-9a-f]{12}$/);
    assert.ok(String(digest).startsWith(String(tag).slice(5)));
    const reference = `${repository}:${tag}`;
    const block = declared.find(({ type }) => type.endsWith(":RenderedBlock"));
    assert.ok(String(block?.inputs["block"]).includes(`image: ${reference}\n`));
    const state = declared.find(({ type }) => type.endsWith(":AccessoryState"));
    assert.equal(state?.inputs["image"], reference);
    references.push(reference);
  }
  assert.equal(references[0], references[1]);
  assert.notEqual(references[0], references[2]);
});

test("another bundle, major version or base image is another image", () => {
  const bundle = { dir: "/anywhere", digest: "4f" };
  const build = { postgresMajor: 17, baseImage: "" };
  const digests = [
    buildDigest(bundle, build),
    buildDigest({ ...bundle, digest: "5f" }, build),
    buildDigest(bundle, { ...build, postgresMajor: 18 }),
    buildDigest(bundle, { ...build, baseImage: "node:24" }),
  ];
  assert.equal(new Set(digests).size, digests.length);
  assert.equal(buildDigest({ ...bundle, dir: "/elsewhere" }, build), digests[0]);
});

const REFUSED: Record<string, [Partial<Components.PostgresBackupArgs>, RegExp]> = {
  "with an image that is published": [
    { image: "ghcr.io/you/db-backup:17" },
    /build "host" and image "ghcr\.io\/you\/db-backup:17" are both given.* Keep one of them/,
  ],
  "another word, as a configuration may have it": [
    { build: "hots" as "host" },
    /build "hots" must be "registry" or "host"/,
  ],
  "a base image that the host's shell would read": [
    { baseImage: "node:24'; reboot; '" },
    /baseImage "node:24'; reboot; '" is no image reference/,
  ],
};
for (const [what, [changes, sentence]] of Object.entries(REFUSED)) {
  test(`refused at once: ${what}`, () => assert.rejects(backup(changes), sentence));
}
