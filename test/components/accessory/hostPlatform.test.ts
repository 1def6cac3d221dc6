import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { hostPlatform, platformOf } from "../../../components/image/hostPlatform.ts";
import type { SshTarget } from "../../../components/pulumi/hostScript.ts";
import { hasSshd, startSshd, type TestSshd } from "../../support/servers/sshd.ts";

/** A real OpenSSH server whose docker answers what a file says. */
const skip = !(await hasSshd()) && "no OpenSSH server on this machine";
let server: TestSshd;
let folder: string;

before(async () => {
  if (skip) return;
  folder = await mkdtemp(join(tmpdir(), "platform-"));
  const docker = `#!/bin/sh\ncase "$1 $#" in "--version 1"|"version 1") cat '${folder}/engine'; exit;; esac\n[ "$1 $2" = "version --format" ] || exit 2\n. '${folder}/answer'\n`;
  await writeFile(join(folder, "docker"), docker, { mode: 0o755 });
  const wrapper = `#!/bin/sh\nPATH='${folder}':$PATH exec sh -c "$SSH_ORIGINAL_COMMAND"\n`;
  await writeFile(join(folder, "command"), wrapper, { mode: 0o755 });
  server = await startSshd({ command: join(folder, "command") });
});
after(async () => {
  await server?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

/** How the host is reached, once its docker does this. */
async function hostWhere(answer: string, engine = "Docker version 28.2.2"): Promise<SshTarget> {
  await writeFile(join(folder, "engine"), `${engine}\n`);
  await writeFile(join(folder, "answer"), answer);
  const { host, port, user, hostKey, privateKey } = server;
  return { host, port, user, hostKey, privateKey };
}

test("the image is built for what Docker on the host runs", { skip }, async () => {
  for (const platform of ["linux/amd64", "linux/arm64"]) {
    const { privateKey = "", ...host } = await hostWhere(`echo ${platform}`);
    const access = {
      hosts: [host],
      identityFiles: [],
      privateKey: pulumi.output(privateKey),
      keyIsGiven: true,
    };
    const found = hostPlatform({} as pulumi.Resource, access, "app:platform");
    assert.equal(await new Promise((done) => void found.apply(done)), platform);
  }
});

test("a host that does not tell: what was found, and the setting that does without asking", {
  skip,
}, async () => {
  const instead = /; give app:platform to build it without asking, for instance "linux\/amd64"\.$/;
  const rows = [
    [
      "echo Cannot connect to the Docker daemon >&2; exit 1",
      "(Cannot connect to the Docker daemon)",
    ],
    ["echo windows/amd64", '("windows/amd64")'],
    ["true", '("")'],
  ] as const;
  for (const [answer, found] of rows) {
    await assert.rejects(platformOf(await hostWhere(answer), "app:platform"), (error: Error) => {
      assert.ok(
        error.message.startsWith(
          `docker on 127.0.0.1 does not say which processor it has ${found}. `,
        ),
        error.message,
      );
      assert.match(error.message, instead);
      return true;
    });
  }
  const podman = await hostWhere("echo linux/", "podman version 4.3.1");
  await assert.rejects(platformOf(podman, "app:platform"), {
    message: /^127\.0\.0\.1: podman runs there in the place of Docker, which Kamal needs\. .*\.$/,
  });
  const away = { ...(await hostWhere("true")), port: 1 };
  await assert.rejects(platformOf(away, "app:platform"), ({ message }: Error) => {
    assert.match(message, /^ssh \S+: the host cannot be reached /);
    assert.match(message, instead);
    return true;
  });
});
