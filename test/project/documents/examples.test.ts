import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it, test } from "node:test";
import { pathToFileURL } from "node:url";
import * as pulumi from "@pulumi/pulumi";
import { formatRecipient, publicKeyOf } from "../../../common/age/keys.ts";
import { deployYml, layOutApplication, REGISTRY } from "../../components/application.ts";
import { type Declared, declare, SECRET_KEY } from "../../components/mocks.ts";

/** What the stack of a reader would hold. */
const CONFIG = {
  ageRecipient: formatRecipient(publicKeyOf(Buffer.alloc(32, 1))),
  databasePassword: "the-database-password",
  passphrase: "a passphrase of some length",
  pingUrl: "https://hc-ping.com/1d1c4f5e-0000-4000-8000-000000000000",
  backupProject: "11111111-1111-1111-1111-111111111111",
  deployer: "22222222-2222-2222-2222-222222222222",
  copyAccessKeyId: "SCWEXAMPLE0000000000",
  copySecretAccessKey: SECRET_KEY,
  administratorKeyId: "ADMINISTRATORKEY",
  administratorSecretKey: "f".repeat(64),
  accessKeyId: "WRITERKEY",
  secretAccessKey: "0".repeat(64),
  signingKeys: Buffer.alloc(32, 7).toString("base64url"),
};

const SECRETS = "POSTGRES_PASSWORD='the-database-password'\nKAMAL_REGISTRY_PASSWORD='secret'\n";
const HOSTS = ["192.0.2.10", "198.51.100.7"];
const HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
const DEPLOY = deployYml({ head: REGISTRY });
/** `declare` calls its stack `test`. */
const DESTINATIONS: Record<string, string> = {
  "aws.ts": "production",
  "recovered.ts": "production",
  "environments.ts": "test",
};

/** What makes each example the one that it is: the types that it declares, and a word of the rendered block. */
const EXAMPLES: Record<string, { types: readonly string[]; block: RegExp }> = {
  "aws.ts": { types: ["aws:s3/bucket:Bucket", "aws:iam/user:User"], block: /AGE_RECIPIENTS: age1/ },
  "existing-bucket.ts": { types: [], block: /S3_ENDPOINT: https:\/\/fra1\.digitalocean/ },
  "scaleway.ts": { types: ["scaleway:iam/apiKey:ApiKey"], block: /S3_ENDPOINT: .*scw\.cloud/ },
  "hetzner.ts": { types: [":S3Bucket", ":S3BucketPolicy"], block: /your-objectstorage\.com/ },
  "cloudflare-r2.ts": { types: [":S3Bucket"], block: /S3_REGION: auto/ },
  "backblaze.ts": { types: [":S3Bucket"], block: /backblazeb2\.com/ },
  "minio.ts": { types: [":S3Bucket"], block: /minio\.example\.com/ },
  "rails-8.ts": { types: ["aws:s3/bucket:Bucket"], block: /shop_production_cable/ },
  "environments.ts": { types: ["aws:s3/bucket:Bucket"], block: /POSTGRES_DATABASE: shop_test/ },
  "several-hosts.ts": { types: ["aws:s3/bucket:Bucket"], block: /S3_PREFIX: shop\/(paris|sydney)/ },
  "managed-database.ts": {
    types: ["aws:s3/bucket:Bucket"],
    block: /POSTGRES_SSL_MODE: verify-full/,
  },
  "second-copy.ts": { types: ["aws:s3/bucket:Bucket"], block: /COPY_S3_BUCKET: shop-copies/ },
  "recovered.ts": { types: ["aws:s3/bucket:Bucket"], block: /S3_BUCKET: shop-backups-4f2a/ },
  "careful.ts": { types: [":DeployHook"], block: /BACKUP_VERIFY: "true"/ },
};

let folder: string;
const here = process.cwd();
const home = process.env["HOME"];
/** The application that an example is for. A destination has a file that it changes something in. */
function layOutFor(name: string): void {
  const config = join(folder, "config");
  for (const file of globSync("*.yml", { cwd: config })) rmSync(join(config, file));
  const hosts = name === "several-hosts.ts" ? `hosts: [${HOSTS.join(", ")}]` : `host: ${HOSTS[0]}`;
  writeFileSync(join(config, "deploy.yml"), DEPLOY.replace("host: 192.0.2.10", hosts));
  const destination = DESTINATIONS[name];
  if (destination === undefined) return;
  writeFileSync(join(config, `deploy.${destination}.yml`), "env: { clear: { RAILS_ENV: test } }\n");
}

test("examples/README.md lists every example", () => {
  const page = readFileSync(join(here, "examples/README.md"), "utf8");
  const listed = [...page.matchAll(/^\| \[([\w.-]+)\]\(\1\) \|/gm)].map(([, name = ""]) => name);
  const files = globSync("*.ts", { cwd: join(here, "examples") });
  assert.deepEqual(listed.toSorted(), files.toSorted());
  assert.deepEqual(Object.keys(EXAMPLES).toSorted(), files.toSorted());
});

/** In a suite of their own: hooks at the top of a file are every file's that shares its process. */
describe("an example", () => {
  before(() => {
    folder = layOutApplication("", SECRETS, {
      ".kamal/secrets.production": SECRETS,
      ".kamal/secrets.test": SECRETS,
    });
    for (const name of ["backup", ".ssh"]) mkdirSync(join(folder, name));
    const known = HOSTS.map((host) => `${host} ${HOST_KEY}\n`);
    writeFileSync(join(folder, ".ssh/known_hosts"), known.join(""));
    const { privateKey } = generateKeyPairSync("ed25519");
    writeFileSync(
      join(folder, ".ssh/id_ed25519"),
      privateKey.export({ type: "pkcs8", format: "pem" }),
    );
    process.env["HOME"] = folder;
    process.chdir(join(folder, "backup"));
    for (const [name, value] of Object.entries(CONFIG)) {
      pulumi.runtime.setConfig(`kamal-postgres-backup:${name}`, value);
    }
  });
  after(() => {
    process.chdir(here);
    process.env["HOME"] = home;
    rmSync(folder, { recursive: true });
  });

  for (const [name, { types, block }] of Object.entries(EXAMPLES)) {
    it(`examples/${name} declares its backup`, async () => {
      layOutFor(name);
      const declared = await declarationOf(name);
      const made = declared.map((resource) => resource.type);
      for (const type of types)
        assert.ok(
          made.some((each) => each.endsWith(type)),
          `${type}: ${made}`,
        );
      const blocks = declared.filter((each) => each.type.endsWith(":RenderedBlock"));
      const text = blocks.map((each) => String(each.inputs["block"])).join("\n");
      assert.match(text, block);
    });
  }
});

/** With everything known, as after `pulumi up`: a preview does not know the image, and renders no block yet. */
function declarationOf(name: string): Promise<Declared[]> {
  const file = pathToFileURL(join(here, "examples", name));
  return declare(false, () => [pulumi.output(import(file.href).then(({ outputs }) => outputs))]);
}
