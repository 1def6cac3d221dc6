import assert from "node:assert/strict";
import { test } from "node:test";
import { AccessRefused, KeysRefused, sshProblem } from "../../../common/ssh/errors.ts";
import type { Route } from "../../../common/ssh/route.ts";

const host = { host: "192.0.2.10", port: 22, user: "root", hostKey: "ssh-ed25519 AAAAhost" };
const proxy = { host: "bastion.example.com", port: 2200, user: "jump", hostKey: "ssh-rsa AAAAp" };
const direct: Route = { host };
const through: Route = { host, proxy, identityFiles: ["/keys/it's here"] };

test("what exit code 255 means", () => {
  const rows: [string, RegExp][] = [
    ["Host key verification failed.", /host key of the server is not the expected one.*run pulumi/],
    [
      "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
      /host key of the server is not the expected one/,
    ],
    [
      "No ED25519 host key is known for x and you have requested strict checking.",
      /host key of the server is not the expected one/,
    ],
    [
      "root@x: Permission denied (publickey).",
      /the server refused the keys \(those of the SSH agent and of ~\/\.ssh\).*ssh-add.*ssh\.privateKey/,
    ],
    ["Received disconnect: Too many authentication failures", /refused the keys/],
    [
      "Received disconnect from 192.0.2.10 port 22:2: Too many authentication failures\nDisconnected from 192.0.2.10 port 22",
      /refused the keys/,
    ],
    ["Permission denied (publickey).", /cannot be reached/],
    ["root@x: Permission denied (publickey).\nsomething else", /cannot be reached/],
    ["Host key verification failed.\nsomething else", /cannot be reached \(something else\)/],
    ["ssh: connect to host x port 22: Connection refused", /cannot be reached \(.*refused\)/],
    ["ssh: Could not resolve hostname x: Name or service not known", /cannot be reached/],
    ["ssh: connect to host x port 22: Connection timed out", /cannot be reached/],
    [
      "kex_exchange_identification: Connection closed by remote host",
      /cannot be reached \(kex_exchange_identification: /,
    ],
    [
      "kex_exchange_identification: read: Connection reset by peer\nConnection reset by 192.0.2.10 port 22",
      /cannot be reached \(Connection reset by 192\.0\.2\.10 port 22\)/,
    ],
    ["Connection to x closed by remote host.", /connection was lost.*may still be running/],
    ["client_loop: send disconnect: Broken pipe", /connection was lost/],
    ["Timeout, server 192.0.2.10 not responding.", /connection was lost/],
    ["permission denied while trying to connect to the Docker daemon", /cannot be reached/],
    ["", /cannot be reached \(no reason given\).*ssh\.port.*--refresh=false/],
  ];
  for (const [stderr, sentence] of rows) {
    const problem = sshProblem(direct, stderr);
    assert.equal(problem.name, "Problem");
    assert.match(problem.message, /^ssh root@192\.0\.2\.10:22: .*\.$/);
    assert.match(problem.message, sentence);
    assert.equal(problem instanceof KeysRefused, /refused the keys/.test(problem.message));
    const refused = /refused the keys|not the expected one/.test(problem.message);
    assert.equal(problem instanceof AccessRefused, refused, problem.message);
  }
});

test("behind a bastion the server is named that refused, and the reason is the first one", () => {
  const rows: [string, RegExp][] = [
    ["", /^ssh root@192\.0\.2\.10:22 \(through bastion\.example\.com\): /],
    [
      "jump@bastion.example.com: Permission denied (publickey).\nConnection closed by UNKNOWN port 65535",
      /the bastion bastion\.example\.com refused the keys \(\/keys\/it's here; those of the SSH agent\)/,
    ],
    ["root@192.0.2.10: Permission denied (publickey).", /: the server refused the keys/],
    [
      "Host key for [bastion.example.com]:2200 has changed and you have requested strict checking.\nHost key verification failed.\nConnection closed by UNKNOWN port 65535",
      /the host key of the bastion bastion\.example\.com is not/,
    ],
    [
      "Host key for 192.0.2.10 has changed and you have requested strict checking.\nHost key verification failed.",
      /the host key of the server is not/,
    ],
    [
      "stdio forwarding failed\r\nConnection closed by UNKNOWN port 65535",
      /cannot be reached \(bastion\.example\.com cannot connect to it\)/,
    ],
    [
      "ssh: connect to host bastion.example.com port 2200: Connection refused\nkex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535",
      /cannot be reached \(ssh: connect to host bastion\.example\.com port 2200: Connection refused\)/,
    ],
  ];
  for (const [stderr, sentence] of rows) {
    assert.match(sshProblem(through, stderr).message, sentence);
  }
});

test("of two bastions the one is named that refused or is silent", () => {
  const outer = { ...proxy, host: "outer.example.com", privateKey: "SECRET" };
  const route: Route = { ...through, proxy: { ...proxy, proxy: outer } };
  const rows: [string, RegExp][] = [
    [
      "jump@outer.example.com: Permission denied (publickey).\nConnection closed by UNKNOWN port 65535\nConnection closed by UNKNOWN port 65535",
      /^ssh root@192\.0\.2\.10:22 \(through outer\.example\.com, bastion\.example\.com\): the bastion outer\.example\.com refused the keys \(the one that the program was given\)\. .*ssh\.proxyKeys.*sshProxyKeys\["outer\.example\.com"\]/,
    ],
    [
      "jump@bastion.example.com: Permission denied (publickey).",
      /the bastion bastion\.example\.com refused the keys \(\/keys\/it's here; /,
    ],
    [
      "ssh: connect to host outer.example.com port 2200: Connection timed out\nConnection closed by UNKNOWN port 65535",
      /: the bastion outer\.example\.com cannot be reached \(ssh: connect .* timed out\)\. Check ssh\.proxy /,
    ],
    [
      "ssh: Could not resolve hostname outer.example.com: Name or service not known",
      /: the bastion outer\.example\.com cannot be reached/,
    ],
    [
      "stdio forwarding failed\nConnection closed by UNKNOWN port 65535",
      /: the host cannot be reached \(one of the bastions cannot connect to the next server\)/,
    ],
  ];
  for (const [stderr, sentence] of rows) {
    const { message } = sshProblem(route, stderr);
    assert.match(message, sentence);
    assert.doesNotMatch(message, /SECRET/);
  }
});

test("a file that this machine does not have is named as such", () => {
  const { message } = sshProblem(through, "x@y: Permission denied (x).", ["/keys/it's here"]);
  assert.match(message, /\(\/keys\/it's here, which does not exist here; .* and of ~\/\.ssh\)/);
});

test("the program's own key is named as such, and never shown", () => {
  const refused = sshProblem({ ...through, privateKey: "SECRET" }, "x@y: Permission denied (x).");
  assert.match(refused.message, /refused the keys \(the one that the program was given\)/);
  assert.doesNotMatch(refused.message, /SECRET/);
});

test("what the command wrote may be a reason, but never a refusal", () => {
  for (const text of ["root@192.0.2.10: Permission denied (x).", "Host key verification failed."]) {
    const problem = sshProblem(direct, "", [], `first\n${text}\n`);
    assert.ok(!(problem instanceof KeysRefused));
    assert.ok(problem.message.includes(`cannot be reached (${text})`), problem.message);
  }
});
