import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { create, read, delete as remove } from "../../../components/internal/accessoryState.ts";
import { runScript, type SshTarget, sameAccess } from "../../../components/pulumi/hostScript.ts";
import { hasSshd, startSshd, type TestSshd } from "../../support/servers/sshd.ts";

/** Two real OpenSSH servers: a host, and a bastion in front of it. */
const skip = !(await hasSshd()) && "no OpenSSH server on this machine";
let host: TestSshd;
let bastion: TestSshd;

before(async () => {
  if (skip) return;
  host = await startSshd();
  bastion = await startSshd({ privateKey: host.privateKey });
});
after(async () => {
  await bastion?.stop();
  await host?.stop();
});

function target(changes: Partial<SshTarget> = {}): SshTarget {
  const hop = ({ host: name, port, user, hostKey }: TestSshd) => ({
    host: name,
    port,
    user,
    hostKey,
  });
  return { ...hop(host), privateKey: host.privateKey, proxy: hop(bastion), ...changes };
}

/** A key that opens nothing. */
async function otherKey(): Promise<string> {
  const other = await startSshd();
  await other.stop();
  return other.privateKey;
}

/** How often the host let somebody in. */
async function logins(): Promise<number> {
  return (await host.log()).match(/Accepted publickey/g)?.length ?? 0;
}

test("through a bastion bytes arrive as they are, and both hops are logged in to", {
  skip,
}, async () => {
  const bytes = randomBytes(2_000_000);
  const { code, stdout, stderr } = await runScript(
    target(),
    "sha256sum; echo why >&2; exit 4",
    bytes,
  );
  assert.equal(code, 4);
  assert.equal(stdout.split(" ", 1)[0], createHash("sha256").update(bytes).digest("hex"));
  assert.equal(stderr, "why\n");
  for (const hop of [host, bastion]) assert.match(await hop.log(), /Accepted publickey/);
});

test("a bastion with another host key gets nothing", { skip }, async () => {
  const before = await logins();
  const proxy = { ...target().proxy, hostKey: host.hostKey } as SshTarget["proxy"] & object;
  await assert.rejects(runScript(target({ proxy }), "true", "secret"), {
    name: "Problem",
    message: /host key of .* is not the expected one/,
    // Pulumi's host of dynamic resources would print it below the sentence.
    stack: "",
  });
  assert.equal(await logins(), before);
});

test("a refresh reads a host that no longer lets us in as different, with the reason, and fails for one that is away", {
  skip,
}, async () => {
  const state = (access: SshTarget) =>
    ({
      status: "running",
      container: "shop-db_backup",
      target: access,
      notChecked: "of an earlier refresh",
    }) as unknown as Parameters<typeof read>[1];
  const rows = [
    [{ hostKey: bastion.hostKey }, /the host key of the server is not the expected one/],
    [{ privateKey: await otherKey() }, /refused the keys/],
    [{ user: "nobody-of-that-name" }, /the server refused the keys/],
  ] as const;
  for (const [changes, reason] of rows) {
    const { id, props, ...rest } = await read("x", state(target(changes)));
    assert.equal(id, "x");
    assert.match(props?.status ?? "", /^not seen: ssh /);
    assert.match(props?.status ?? "", reason);
    assert.equal(`not seen: ${(props as { notChecked?: string }).notChecked}`, props?.status);
    assert.deepEqual((rest as { inputs?: unknown }).inputs, props, "so that it is a difference");
  }
  const away = { ...target(), port: 1, proxy: undefined };
  await assert.rejects(read("x", state(away as unknown as SshTarget)), /cannot be reached/);
});

test("a container behind two bastions is removed by the resource that watches it, and a failure is no success", {
  skip,
}, async () => {
  const inputs = (removal?: string) =>
    ({ container: "shop-db_backup", target: target(), ...(removal && { removal }) }) as Parameters<
      typeof remove
    >[1];
  const before = await logins();
  await remove("x", inputs());
  assert.equal(await logins(), before, "by default it is the command's part");
  await remove("x", inputs("exit 0"));
  assert.equal(await logins(), before + 1);
  await assert.rejects(remove("x", inputs("echo no docker here >&2; exit 1")), {
    message: "shop-db_backup on 127.0.0.1 could not be removed: no docker here",
  });
});

/** Answers docker inspect with what a file of the container's name holds. */
const FAKE_DOCKER = `#!/bin/sh
for name; do :; done
case "$1 $2" in "container inspect") ;; *) exit 1;; esac
cat "$(dirname "$0")/$name" 2> /dev/null || { echo "Error: No such container: $name" >&2; exit 1; }
`;

test("a first boot for a destination is refused beside a container under Kamal's own name that is not ours", {
  skip,
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "docker-"));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "docker"), FAKE_DOCKER, { mode: 0o755 });
  const command = join(folder, "command");
  const wrapper = `#!/bin/sh\nPATH='${folder}':$PATH exec sh -c "$SSH_ORIGINAL_COMMAND"\n`;
  await writeFile(command, wrapper, { mode: 0o755 });
  const server = await startSshd({ command });
  t.after(() => server.stop());
  const { host: name, port, user, hostKey, privateKey } = server;
  const booted = (plainContainer?: string) =>
    create({
      container: "shop-staging-db_backup",
      image: "ghcr.io/acme/shop-db-backup@sha256:4f2a",
      ...(plainContainer !== undefined && { plainContainer }),
      target: { host: name, port, user, hostKey, privateKey },
      bootInput: "",
    } as Parameters<typeof create>[0]).then(
      () => "",
      (error: Error) => error.message,
    );
  const goesOn = /^shop-staging-db_backup on 127\.0\.0\.1 /;
  const other = join(folder, "shop-db_backup");
  assert.match(await booted("shop-db_backup"), goesOn, "there is none");
  await writeFile(other, "running\t2026-11-01T03:15:02Z\tacme/postgres-backup-s3:17\t\n");
  assert.match(
    await booted("shop-db_backup"),
    /^a container shop-db_backup runs on 127\.0\.0\.1 .* image acme\/postgres-backup-s3:17, started 2026-11-01T03:15:02Z\. .*docker rm -f shop-db_backup/,
  );
  assert.match(await booted(), goesOn, "without a destination it is the container itself");
  for (const text of [
    "running\t1\timage\t4f2a\n",
    "exited\t1\timage\t\n",
    "running\t1\tghcr.io/acme/shop-db-backup:pg17-1a\t\n",
  ]) {
    await writeFile(other, text);
    assert.match(await booted("shop-db_backup"), goesOn, text);
  }
});

test("a colleague's own key is no other access; a given key, the host key and the way are", () => {
  const hop = { host: "192.0.2.10", port: 22, user: "deploy", hostKey: "ssh-ed25519 AAAA" };
  const found: SshTarget = { ...hop, privateKey: "mine", proxy: { ...hop, host: "192.0.2.1" } };
  const given: SshTarget = { ...found, keyIsGiven: true };
  const { privateKey: _, ...agent } = found;
  const same = (olds: SshTarget, news: SshTarget) => sameAccess(olds, news);
  assert.ok(same(found, { ...found, privateKey: "a colleague's" }));
  assert.ok(same(found, agent), "who has an agent");
  assert.ok(same(agent, found));
  assert.ok(same(given, given));
  assert.ok(!same(given, { ...given, privateKey: "rotated" }));
  assert.ok(!same(found, given), "now it is the program's");
  for (const changes of [
    { hostKey: "ssh-ed25519 BBBB" },
    { port: 2222 },
    { user: "root" },
    { proxy: { ...hop, host: "192.0.2.2" } },
    { proxy: { ...hop, host: "192.0.2.1", proxy: hop } },
  ]) {
    assert.ok(!same(found, { ...found, ...changes }), JSON.stringify(changes));
  }
  const behind = (key: string, changes: object = {}): SshTarget => ({
    ...found,
    proxy: { ...hop, privateKey: key, ...changes },
  });
  assert.ok(same(behind("mine"), behind("a colleague's")));
  assert.ok(!same(behind("mine"), behind("the program's", { keyIsGiven: true })));
  assert.ok(!same(behind("old", { keyIsGiven: true }), behind("new", { keyIsGiven: true })));
});

test("what takes too long is cut off, and that is what is said", { skip }, async () => {
  await assert.rejects(runScript(target(), "sleep 60", "", 1 / 60), {
    name: "Problem",
    message: /was not done after .* min\. Look at the host/,
    stack: "",
  });
});
