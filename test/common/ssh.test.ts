import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { ContainerDown, containerOn, dockerProblem } from "../../cli/session/agentCall.ts";
import {
  knownHostsLines,
  type Route,
  shellQuote,
  sshArguments,
  sshProblem,
} from "../../common/ssh/command.ts";
import { outputs } from "../cli/factories.ts";

const host = { host: "192.0.2.10", port: 22, user: "root", hostKey: "ssh-ed25519 AAAAhost" };
const proxy = { host: "bastion.example.com", port: 2200, user: "jump", hostKey: "ssh-rsa AAAAp" };
const direct: Route = { host, identityFiles: [] };
const through: Route = { host, proxy, identityFiles: ["/keys/it's here"] };

/** What the real ssh makes of the arguments. */
function understood(route: Route): string[] {
  return execFileSync("ssh", ["-G", ...sshArguments(route, "/tmp/100% known hosts", ["true"])], {
    encoding: "utf8",
  }).split("\n");
}

test("ssh takes only the given host key and never asks", () => {
  const config = understood(direct);
  for (const line of [
    "hostname 192.0.2.10",
    "port 22",
    "user root",
    "batchmode yes",
    "stricthostkeychecking true",
    "requesttty false",
    "userknownhostsfile /tmp/100% known hosts",
  ]) {
    assert.ok(config.includes(line), line);
  }
  assert.ok(!config.some((line) => line.startsWith("proxycommand")));
});

test("the bastion gets the same keys and host keys, quoted for the shell that ssh gives it to", () => {
  const line = understood(through).find((l) => l.startsWith("proxycommand ")) ?? "";
  const command = line
    .replace("proxycommand ssh ", "")
    .replaceAll("%h", "192.0.2.10")
    .replaceAll("%p", "22")
    .replaceAll("%%", "%");
  const words = execFileSync("sh", ["-c", `printf '%s\\n' ${command}`], { encoding: "utf8" });
  assert.match(words, /^-p\n2200\n-i\n\/keys\/it's here\n/);
  assert.match(words, /\nUserKnownHostsFile="\/tmp\/100%% known hosts"\n/);
  assert.match(words, /\njump@bastion\.example\.com\n-W\n\[192\.0\.2\.10\]:22\n$/);
});

test("known_hosts holds both servers, with the port where it is not 22", () => {
  assert.equal(
    knownHostsLines(through),
    "192.0.2.10 ssh-ed25519 AAAAhost\n[bastion.example.com]:2200 ssh-rsa AAAAp\n",
  );
});

test("a quoted word survives the remote shell", () => {
  for (const word of ["plain", "", "two words", "it's", "$HOME `id`", "a\nb", "*", '"', "\\"]) {
    const back = execFileSync("sh", ["-c", `printf %s ${shellQuote(word)}`], { encoding: "utf8" });
    assert.equal(back, word);
  }
});

test("what exit code 255 means", () => {
  const rows: [string, RegExp][] = [
    ["Host key verification failed.", /host key is not the one in the stack's outputs/],
    [
      "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
      /host key is not the one/,
    ],
    [
      "No ED25519 host key is known for x and you have requested strict checking.",
      /host key is not the one/,
    ],
    ["root@x: Permission denied (publickey).", /refused the keys \(the SSH agent's\).*ssh-add/],
    ["Received disconnect: Too many authentication failures", /refused the keys/],
    ["ssh: connect to host x port 22: Connection refused", /cannot be reached \(.*refused\)/],
    ["ssh: Could not resolve hostname x: Name or service not known", /cannot be reached/],
    ["ssh: connect to host x port 22: Connection timed out", /cannot be reached/],
    ["Connection to x closed by remote host.", /connection was lost.*may still be running/],
    ["client_loop: send disconnect: Broken pipe", /connection was lost/],
    ["Timeout, server 192.0.2.10 not responding.", /connection was lost/],
    ["", /cannot be reached \(no reason given\)/],
  ];
  for (const [stderr, sentence] of rows) {
    const problem = sshProblem(direct, stderr);
    assert.equal(problem.name, "Problem");
    assert.match(problem.message, /^ssh root@192\.0\.2\.10:22: /);
    assert.match(problem.message, sentence);
  }
  assert.match(sshProblem(through, "").message, /\(through bastion\.example\.com\)/);
});

test("what docker's answers mean", () => {
  const container = containerOn(outputs, host);
  const rows: [string, RegExp, boolean][] = [
    ["Error: No such container: shop-db_backup", /there is no container .*pulumi up/, true],
    [
      "Error response from daemon: No such container: shop-db_backup",
      /there is no container/,
      true,
    ],
    ["Error response from daemon: Container 1f is not running", /not running.*pulumi up/, true],
    ["Error response from daemon: Container 1f is paused, unpause", /not running/, true],
    [
      "Error response from daemon: Container 1f is restarting, wait until",
      /keeps restarting.*docker logs/,
      true,
    ],
    [
      "permission denied while trying to connect to the Docker daemon socket",
      /root may not use Docker on 192\.0\.2\.10/,
      false,
    ],
    ["Cannot connect to the Docker daemon at unix:///x.", /engine on 192\.0\.2\.10 is not/, false],
    ['exec: "agent": executable file not found in $PATH', /has no agent/, false],
    ["bash: line 1: docker: command not found", /docker is not on the PATH/, false],
    ["sh: 1: docker: not found", /docker is not on the PATH/, false],
    ["first\nsomething else", /failed with exit code 3: something else\. See its log/, false],
    ["", /failed with exit code 3\. See its log/, false],
  ];
  for (const [stderr, sentence, down] of rows) {
    const problem = dockerProblem(container, 3, stderr);
    assert.match(problem.message, sentence);
    assert.equal(problem instanceof ContainerDown, down, stderr);
    assert.equal(problem.name, "Problem");
  }
});
