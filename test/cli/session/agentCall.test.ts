import assert from "node:assert/strict";
import { test } from "node:test";
import { ContainerDown, containerOn, dockerProblem } from "../../../cli/session/agentCall.ts";
import { outputs } from "../support/factories.ts";

const host = { host: "192.0.2.10", port: 22, user: "root", hostKey: "ssh-ed25519 AAAAhost" };

test("what docker's answers mean", () => {
  const container = containerOn(outputs, host, "pulumi up");
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
