import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { shellQuote, sshArguments } from "../../../common/ssh/command.ts";
import { knownHostsLines } from "../../../common/ssh/knownHosts.ts";
import type { Route } from "../../../common/ssh/route.ts";

const host = { host: "192.0.2.10", port: 22, user: "root", hostKey: "ssh-ed25519 AAAAhost" };
const proxy = { host: "bastion.example.com", port: 2200, user: "jump", hostKey: "ssh-rsa AAAAp" };
const direct: Route = { host };
const through: Route = { host, proxy, identityFiles: ["/keys/it's 100% here"] };
const files = { knownHosts: '/tmp/100% known "hosts"' };

/** What the real ssh makes of the arguments. */
function understood(route: Route, given: Parameters<typeof sshArguments>[1] = files): string[] {
  return execFileSync("ssh", ["-G", ...sshArguments(route, given, "none", ["true"])], {
    encoding: "utf8",
  }).split("\n");
}

type Files = Parameters<typeof sshArguments>[1];

/** The words that the shell makes of the ProxyCommand, as ssh hands it over. */
function proxyWords(route: Route, given?: Files): string[] {
  const line = understood(route, given).find((l) => l.startsWith("proxycommand ")) ?? "";
  return wordsOf(line.replace("proxycommand ", ""), route);
}

function wordsOf(line: string, route: Route): string[] {
  const command = line.replaceAll(
    /%[hp%]/g,
    (token) => ({ "%h": route.host.host, "%p": "22" })[token] ?? "%",
  );
  return execFileSync("sh", ["-c", `printf '%s\\n' ${command}`], { encoding: "utf8" })
    .trimEnd()
    .split("\n");
}

test("ssh takes only the given host key, never asks, and notices a peer that is gone", () => {
  const config = understood(direct);
  for (const line of [
    "hostname 192.0.2.10",
    "port 22",
    "user root",
    "batchmode yes",
    "stricthostkeychecking true",
    "requesttty false",
    'userknownhostsfile /tmp/100% known "hosts"',
    "globalknownhostsfile /dev/null",
    "connecttimeout 15",
    "serveraliveinterval 15",
    "serveralivecountmax 4",
    "identitiesonly no",
  ]) {
    assert.ok(config.includes(line), line);
  }
  assert.ok(!config.some((line) => line.startsWith("proxycommand")));
});

test("a given private key is the only one that is tried; else the files are, whatever their paths hold", () => {
  const privateKeys = new Map([["KEY", "/tmp/a %h/key"]]);
  const given = understood({ ...through, privateKey: "KEY" }, { ...files, privateKeys });
  assert.ok(given.includes("identitiesonly yes"));
  assert.deepEqual(
    given.filter((line) => line.startsWith("identityfile ")),
    // Expanded when it is read.
    ["identityfile /tmp/a %%h/key"],
  );
  assert.ok(understood(through).includes("identityfile /keys/it's 100%% here"));
});

test("the bastion gets the same keys, host keys and time limits, quoted for the shell that ssh gives it to", () => {
  const words = proxyWords(through);
  assert.deepEqual(words.slice(0, 3), ["ssh", "-p", "2200"]);
  assert.deepEqual(words.slice(-3), ["jump@bastion.example.com", "-W", "[192.0.2.10]:22"]);
  for (const option of [
    `IdentityFile="/keys/it's 100%% here"`,
    'UserKnownHostsFile="/tmp/100%% known \\"hosts\\""',
    "StrictHostKeyChecking=yes",
    "ServerAliveInterval=15",
    "ConnectTimeout=15",
  ]) {
    assert.equal(words[words.indexOf(option) - 1], "-o", option);
  }
});

test("each of two bastions has its own login, host key and private key", () => {
  const outer = { ...proxy, host: "outer.example.com", user: "first", privateKey: "OUTER" };
  const route: Route = { host, privateKey: "KEY", proxy: { ...proxy, proxy: outer } };
  const keys = [
    ["KEY", "/tmp/it's 100% here"],
    ["OUTER", "/tmp/the outer %h"],
  ] as const;
  const given = { ...files, privateKeys: new Map(keys) };
  const inner = proxyWords(route, given);
  assert.deepEqual(inner.slice(0, 3), ["ssh", "-p", "2200"]);
  assert.deepEqual(inner.slice(-3), ["jump@bastion.example.com", "-W", "[192.0.2.10]:22"]);
  assert.ok(inner.includes(`IdentityFile="/tmp/it's 100%% here"`));
  const nested = inner.find((word) => word.startsWith("ProxyCommand="))?.slice(13) ?? "";
  const words = wordsOf(nested, { host: proxy });
  assert.deepEqual(words.slice(-3, -1), ["first@outer.example.com", "-W"]);
  assert.ok(words.includes('IdentityFile="/tmp/the outer %%h"'));
  assert.ok(words.includes("HostKeyAlias=[outer.example.com]:2200"));
  assert.ok(!words.some((word) => word.startsWith("ProxyCommand=")));
  assert.equal(knownHostsLines(route).trim().split("\n").length, 3);
});

test("behind a bastion an IPv6 address has brackets", () => {
  const words = proxyWords({ ...through, host: { ...host, host: "2001:db8::10" } });
  assert.equal(words.at(-1), "[2001:db8::10]:22");
});

test("whether the user's own settings count is the caller's choice, for the bastion too", () => {
  const none = sshArguments(through, files, "none", "true");
  assert.equal(none.join(" ").match(/-F none/g)?.length, 2);
  const user = sshArguments(through, files, "user", "true");
  assert.ok(!user.join(" ").includes("-F"));
});

test("no setting of the user's own accepts another host key or replaces the command", () => {
  const folder = mkdtempSync(join(tmpdir(), "command-"));
  const config = join(folder, "config");
  writeFileSync(
    config,
    `IgnoreUnknown UseKeychain
UseKeychain yes
HostKeyAlias other
KnownHostsCommand /bin/echo %H
VerifyHostKeyDNS yes
CheckHostIP yes
RemoteCommand id
SessionType none
StdinNull yes
ForkAfterAuthentication yes
`,
  );
  const expected = [
    "checkhostip no",
    "forkafterauthentication no",
    "sessiontype default",
    "stdinnull no",
    "verifyhostkeydns false",
  ];
  const meant = (args: readonly string[]) =>
    execFileSync("ssh", ["-F", config, "-G", ...args], { encoding: "utf8" }).split("\n");
  try {
    const lines = meant(sshArguments(through, files, "user", ["true"]));
    for (const line of [...expected, "hostkeyalias 192.0.2.10"]) {
      assert.ok(lines.includes(line), line);
    }
    // Printed as it was given where it is none.
    assert.ok(!lines.some((line) => /^(knownhostscommand \/|remotecommand id)/.test(line)));
    const bastion = meant(proxyWords(through).slice(1, -2));
    for (const line of [...expected, "hostkeyalias [bastion.example.com]:2200"]) {
      assert.ok(bastion.includes(line), line);
    }
    assert.ok(!bastion.some((line) => /^(knownhostscommand \/|remotecommand id)/.test(line)));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("what an older OpenSSH does not know comes after the word to ignore it", () => {
  const args = sshArguments(through, files, "none", ["true"]);
  const ignored = args.indexOf("IgnoreUnknown=*");
  assert.ok(ignored > 0);
  for (const option of ["KnownHostsCommand=none", "SessionType=default"]) {
    assert.ok(args.indexOf(option) > ignored, option);
  }
});

test("a command is a line for the remote shell, or words that are quoted for it", () => {
  assert.deepEqual(sshArguments(direct, files, "none", "a; b").slice(-2), ["--", "a; b"]);
  assert.deepEqual(sshArguments(direct, files, "none", ["a", "; b"]).slice(-2), ["a", "'; b'"]);
});

test("known_hosts holds both servers, with the port where it is not 22", () => {
  assert.equal(
    knownHostsLines(through),
    "192.0.2.10 ssh-ed25519 AAAAhost\n[bastion.example.com]:2200 ssh-rsa AAAAp\n",
  );
  // A second line would be another key.
  const spaced = { ...host, host: "2001:db8::10", hostKey: " ssh-ed25519 AAAAhost\n" };
  assert.equal(knownHostsLines({ host: spaced }), "2001:db8::10 ssh-ed25519 AAAAhost\n");
});

test("a quoted word survives the remote shell", () => {
  for (const word of ["plain", "", "two words", "it's", "$HOME `id`", "a\nb", "*", '"', "\\"]) {
    const back = execFileSync("sh", ["-c", `printf %s ${shellQuote(word)}`], { encoding: "utf8" });
    assert.equal(back, word);
  }
});
