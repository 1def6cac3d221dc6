import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { runOnHost, type SshOptions } from "../../../common/ssh/client.ts";
import { KeysRefused } from "../../../common/ssh/errors.ts";
import type { Route } from "../../../common/ssh/route.ts";
import { hasSshd, startSshd, type TestSshd } from "../../support/servers/sshd.ts";

/** Two real OpenSSH servers: a host, and a bastion in front of it. */
const skip = !(await hasSshd()) && "no OpenSSH server on this machine";
const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === "::1"),
);
const temporary = process.env["TMPDIR"];
let host: TestSshd;
let bastion: TestSshd;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "ssh-client-"));
  if (skip) return;
  host = await startSshd();
  bastion = await startSshd({ privateKey: host.privateKey });
});
after(async () => {
  await bastion?.stop();
  await host?.stop();
  await rm(folder, { recursive: true });
});

function hop({ host: name, port, user, hostKey }: TestSshd): Route["host"] {
  return { host: name, port, user, hostKey };
}

function direct(): Route {
  return { host: hop(host), privateKey: host.privateKey };
}

function through(): Route {
  return { ...direct(), proxy: hop(bastion) };
}

/** What the command prints. */
async function output(
  route: Route,
  command: string | readonly string[],
  options: Partial<SshOptions> = {},
): Promise<string> {
  const lines: string[] = [];
  const { code } = await runOnHost(route, command, {
    configuration: "none",
    interrupted: "interrupted.",
    onLine: (line) => lines.push(line),
    ...options,
  });
  assert.equal(code, 0);
  return lines.join("\n");
}

/** Runs with another temporary folder, which is empty again afterwards. */
async function inTemporary(name: string, act: () => Promise<void>): Promise<void> {
  const path = join(folder, name);
  await mkdir(path, { recursive: true });
  process.env["TMPDIR"] = path;
  try {
    await act();
  } finally {
    if (temporary === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = temporary;
  }
  assert.deepEqual(await readdir(path), [], "key and known_hosts are removed");
}

for (const name of ["two words", 'it\'s "100%" of back\\slash and %h', "${HOME} and ${NONE}"]) {
  test(`a temporary folder named ${name} is no other host key`, { skip }, async () => {
    await inTemporary(name, async () => {
      assert.equal(await output(through(), "echo ok"), "ok");
      assert.equal(await output(direct(), "echo ok", { configuration: "user" }), "ok");
    });
  });
}

test("an identity file is found, whatever its path holds", { skip }, async () => {
  const path = join(folder, "it's 100% %h key");
  await writeFile(path, host.privateKey, { mode: 0o600 });
  for (const proxy of [undefined, hop(bastion)]) {
    assert.equal(await output({ host: hop(host), proxy, identityFiles: [path] }, "echo ok"), "ok");
  }
});

test("an IPv6 host is reached behind a bastion", {
  skip: skip || (!hasIpv6 && "no IPv6 on this machine"),
}, async () => {
  const six = await startSshd({ address: "::1", privateKey: host.privateKey });
  try {
    const route = { ...through(), host: hop(six) };
    assert.equal(await output(route, "echo ok"), "ok");
    assert.match(await six.log(), /Accepted publickey/);
  } finally {
    await six.stop();
  }
});

test("a given key works as $(cat FILE) leaves it, and with the line ends of Windows", {
  skip,
}, async () => {
  for (const privateKey of [host.privateKey.trimEnd(), host.privateKey.replaceAll("\n", "\r\n")]) {
    assert.equal(await output({ ...direct(), privateKey }, "echo ok"), "ok");
  }
});

test("words arrive as they are, and so does standard input", { skip }, async () => {
  const words = ["printf", "%s|", "two words", "$HOME", "it's"];
  assert.equal(await output(direct(), words), "two words|$HOME|it's|");
  assert.equal(await output(direct(), "cat", { input: "secret\nsecond" }), "secret\nsecond");
});

test("the key is never an argument, and its file is for this user alone", async () => {
  const bin = join(folder, "bin");
  await mkdir(bin);
  const script = `#!/bin/sh
printf '%s\\n' "$@" > '${bin}/arguments'
ls -ld "$TMPDIR"/* "$TMPDIR"/*/* > '${bin}/modes'
cat "$TMPDIR"/*/key > '${bin}/key'
`;
  await writeFile(join(bin, "ssh"), script);
  await chmod(join(bin, "ssh"), 0o755);
  const { PATH } = process.env;
  const privateKey =
    "-----BEGIN OPENSSH PRIVATE KEY-----\nTHEKEY\n-----END OPENSSH PRIVATE KEY-----";
  const server = { host: "192.0.2.10", port: 22, user: "root", hostKey: "ssh-ed25519 AAAA" };
  try {
    process.env["PATH"] = `${bin}:${PATH}`;
    await inTemporary("modes", async () => {
      await output({ host: server, proxy: server, privateKey }, "true");
    });
  } finally {
    process.env["PATH"] = PATH;
  }
  assert.doesNotMatch(await readFile(join(bin, "arguments"), "utf8"), /THEKEY/);
  assert.equal(await readFile(join(bin, "key"), "utf8"), `${privateKey}\n`);
  const modes = await readFile(join(bin, "modes"), "utf8");
  assert.match(modes, /^drwx------.*kamal-postgres-backup-\w+$/m);
  assert.match(modes, /^-rw-------.*\/key$/m);
  assert.match(modes, /^-rw-------.*\/known_hosts$/m);
});

test("refused keys are an error of their own, and the server that refused is named", {
  skip,
}, async () => {
  const other = await startSshd();
  try {
    const asked = (route: Route) => output({ ...route, privateKey: other.privateKey }, "true");
    await assert.rejects(
      asked(direct()),
      (error) => error instanceof KeysRefused && /the server refused the keys/.test(error.message),
    );
    await assert.rejects(
      output({ ...through(), proxy: { ...hop(bastion), user: "nobody-here" } }, "true"),
      (error) =>
        error instanceof KeysRefused &&
        /the bastion 127\.0\.0\.1 refused the keys/.test(error.message),
    );
  } finally {
    await other.stop();
  }
});

test("two bastions in a row, one with a key of its own", { skip }, async () => {
  const outer = await startSshd();
  try {
    const outermost = { ...hop(outer), privateKey: outer.privateKey };
    const route = { ...direct(), proxy: { ...hop(bastion), proxy: outermost } };
    assert.equal(await output(route, "echo ok"), "ok");
    assert.equal(await output(route, "cat", { input: "100% 'of' it" }), "100% 'of' it");
    assert.match(await outer.log(), /Accepted publickey/);
    await assert.rejects(
      output({ ...direct(), proxy: { ...hop(bastion), proxy: hop(outer) } }, "true"),
      (error) => error instanceof KeysRefused,
    );
    const bad = { ...hop(bastion), privateKey: "/a/path" };
    await assert.rejects(
      output({ ...direct(), proxy: bad }, "true"),
      /^Problem: ssh\.proxyKeys is/,
    );
  } finally {
    await outer.stop();
  }
});

test("another host key is named with its server, and the host gets nothing", { skip }, async () => {
  await assert.rejects(
    output({ ...direct(), host: { ...hop(host), hostKey: bastion.hostKey } }, "true"),
    /the host key of the server is not the expected one/,
  );
  const wrong = { ...through(), proxy: { ...hop(bastion), hostKey: host.hostKey } };
  await assert.rejects(
    output(wrong, "true"),
    /the host key of the bastion 127\.0\.0\.1 is not the expected one/,
  );
});

test("a connection that the server ends is lost; one that was never there is not", {
  skip,
}, async () => {
  await assert.rejects(
    output(direct(), "kill -9 $PPID; sleep 5"),
    /connection was lost \(.*\)\. What was started there may still be running/,
  );
  const gone = await startSshd();
  await gone.stop();
  await assert.rejects(
    output({ ...direct(), host: hop(gone) }, "true"),
    /cannot be reached \(ssh: connect to host 127\.0\.0\.1 port \d+: Connection refused\)/,
  );
  await assert.rejects(
    output({ ...through(), host: hop(gone) }, "true"),
    /cannot be reached \(127\.0\.0\.1 cannot connect to it\)/,
  );
});

test("a user's own settings let no other host key pass", { skip }, async () => {
  const bin = join(folder, "configured");
  await mkdir(bin);
  await writeFile(
    join(bin, "config"),
    `HostKeyAlias other
KnownHostsCommand /bin/echo %H ${host.hostKey}
RemoteCommand echo replaced
`,
  );
  // The file in ~/.ssh is found by the account's home, not by HOME.
  const script = `#!/bin/sh\nPATH=\${PATH#*:} exec /usr/bin/ssh -F '${bin}/config' "$@"\n`;
  await writeFile(join(bin, "ssh"), script);
  await chmod(join(bin, "ssh"), 0o755);
  const { PATH } = process.env;
  try {
    process.env["PATH"] = `${bin}:${PATH}`;
    assert.equal(await output(direct(), "echo ok", { configuration: "user" }), "ok");
    assert.equal(await output(through(), "echo ok", { configuration: "user" }), "ok");
    const wrong = {
      ...direct(),
      host: { ...hop(host), hostKey: `${host.hostKey.slice(0, -4)}AAAA` },
    };
    await assert.rejects(
      output(wrong, "true", { configuration: "user" }),
      /the host key of the server is not the expected one/,
    );
  } finally {
    process.env["PATH"] = PATH;
  }
});

test("a key file below ~ that this machine lacks is named as missing", { skip }, async () => {
  await assert.rejects(
    output({ host: hop(host), identityFiles: ["~/no-key-of-that-name"] }, "true"),
    /refused the keys \(~\/no-key-of-that-name, which does not exist here; those of the SSH agent and of ~\/\.ssh\)/,
  );
});

test("an address in another spelling has the same host key", { skip }, async () => {
  const spelled = { ...direct(), host: { ...hop(host), host: "127.1" } };
  assert.equal(await output(spelled, "echo ok"), "ok");
  assert.equal(
    await output({ ...through(), proxy: { ...hop(bastion), host: "127.1" } }, "id -u"),
    await output(direct(), "id -u"),
  );
});

test("an IPv6 address in another spelling has the same host key", {
  skip: skip || (!hasIpv6 && "no IPv6 on this machine"),
}, async () => {
  const six = await startSshd({ address: "::1", privateKey: host.privateKey });
  try {
    const route = { ...direct(), host: { ...hop(six), host: "0:0:0:0:0:0:0:1" } };
    assert.equal(await output(route, "echo ok"), "ok");
  } finally {
    await six.stop();
  }
});

test("a command that writes ssh's own words and ends with its code was not refused", {
  skip,
}, async () => {
  const login = `${host.user}@${host.host}`;
  for (const line of [
    "Permission denied (publickey).",
    `${login}: Permission denied (publickey).`,
    "Host key verification failed.",
  ]) {
    await assert.rejects(
      output(through(), ["sh", "-c", `echo '${line}' >&2; exit 255`]),
      (error) =>
        !(error instanceof KeysRefused) &&
        error instanceof Error &&
        error.message.includes(`(${line})`),
    );
  }
});

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as const) {
  test(`${signal} ends ssh, and the key is removed`, { skip }, () => interruptedBy(signal));
}

async function interruptedBy(signal: NodeJS.Signals): Promise<void> {
  const route = join(folder, "route.json");
  await writeFile(route, JSON.stringify(direct()));
  const scratch = join(folder, signal);
  await mkdir(scratch);
  const program = `
    import { readFileSync } from "node:fs";
    import { runOnHost } from ${JSON.stringify(resolve("common/ssh/client.ts"))};
    const route = JSON.parse(readFileSync(${JSON.stringify(route)}, "utf8"));
    const options = { configuration: "none", interrupted: "interrupted.", onLine: (line) => console.log(line) };
    await runOnHost(route, "echo begun; sleep 60", options).catch(({ message }) => console.log(message));
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    env: { ...process.env, TMPDIR: scratch },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  for (let waited = 0; !text.includes("begun") && waited < 20_000; waited += 50) await sleep(50);
  child.kill(signal);
  await once(child, "close");
  assert.equal(text, "begun\ninterrupted.\n");
  assert.deepEqual(await readdir(scratch), []);
}
