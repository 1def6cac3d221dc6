import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { runScript, type SshTarget } from "../../../components/internal/hostScript.ts";
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

test("what takes too long is cut off, and that is what is said", { skip }, async () => {
  await assert.rejects(runScript(target(), "sleep 60", "", 1 / 60), {
    name: "Problem",
    message: /was not done after .* min\. Look at the host/,
    stack: "",
  });
});
