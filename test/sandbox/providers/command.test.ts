import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { remote, type types } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { openProject, type Project } from "../../support/engineProject.ts";
import { startSshd, type TestSshd } from "../../support/servers/sshd.ts";

let target: TestSshd;
let bastion: TestSshd;
let project: Project;
let folder: string;

before(async () => {
  target = await startSshd({ acceptEnv: ["WANTED"] });
  bastion = await startSshd();
  project = await openProject(["command"]);
  folder = await mkdtemp(join(tmpdir(), "kpb-command-"));
});

after(async () => {
  await project?.close();
  await target?.stop();
  await bastion?.stop();
  await rm(folder, { recursive: true, force: true });
});

type Connection = types.input.remote.ConnectionArgs;
type Arguments = Partial<remote.CommandArgs>;
const SECRET = "canary-on-standard-input";

function connection(changes: Partial<Connection> = {}): Connection {
  const { host, port, user, privateKey, hostKey } = target;
  return { host, port, user, privateKey, hostKey, dialErrorLimit: 2, ...changes };
}

/** A command that appends what it is given to a journal in `folder`. */
function program(args: Arguments = {}, via: Partial<Connection> = {}) {
  const note = (word: string) =>
    `{ echo ${word}; cat; echo; } >> ${folder}/journal; echo done ${word}`;
  return async () => {
    const boot = new remote.Command("boot", {
      connection: connection(via),
      create: note("create"),
      update: note("update"),
      delete: note("delete"),
      stdin: pulumi.secret(SECRET),
      addPreviousOutputInEnv: false,
      logging: "none",
      ...args,
    });
    return { stdout: boot.stdout, stdin: boot.stdin, stderr: boot.stderr };
  };
}

async function journal(): Promise<string[]> {
  return (await readFile(join(folder, "journal"), "utf8")).split("\n").filter(Boolean);
}

test("a preview connects to nothing", async () => {
  const { steps } = await project.preview(async () => {
    await program()();
    const asked = new remote.Command("asked", { connection: connection(), create: "hostname" });
    // Its host and its input are unknown until `asked` has run.
    new remote.Command("after", {
      connection: { ...connection(), host: asked.stdout },
      create: "cat",
      stdin: asked.stdout,
      triggers: [asked.stdout],
    });
  });
  assert.deepEqual(steps, { boot: "create", asked: "create", after: "create" });
  assert.doesNotMatch(await target.log(), /Accepted/);
});

test("up runs create with the secret on standard input, and keeps it out of the state", async () => {
  const { lines } = await project.up(program());
  const outputs = await project.outputs();
  assert.equal(outputs["stdout"]?.value, "done create");
  assert.equal(outputs["stdin"]?.secret, true);
  assert.deepEqual(await journal(), ["create", SECRET]);
  const state = await project.state();
  assert.ok(state.includes("command:remote:Command"));
  assert.ok(!state.includes(SECRET));
  assert.ok(!state.includes(target.privateKey.split("\n")[1] ?? ""));
  assert.deepEqual(lines, []);
});

test("a second up and a refresh run nothing", async () => {
  assert.deepEqual((await project.up(program())).steps, { boot: "same" });
  assert.equal((await project.drift(program())).code, 0);
  assert.deepEqual(await journal(), ["create", SECRET]);
});

test("a changed setting runs update in place; without update, create again", async () => {
  const changed = await project.up(program({ stdin: pulumi.secret("other") }));
  assert.deepEqual(changed.steps, { boot: "update" });
  assert.equal((await project.outputs())["stdout"]?.value, "done update");
  assert.deepEqual((await journal()).slice(-2), ["update", "other"]);
  const again = await project.up(async () => {
    const boot = new remote.Command("boot", {
      connection: connection(),
      create: "echo once more",
    });
    return { stdout: boot.stdout };
  });
  assert.deepEqual(again.steps, { boot: "update" });
  assert.equal((await project.outputs())["stdout"]?.value, "once more");
});

test("a changed trigger replaces: create first, then delete", async () => {
  await project.up(program());
  const { steps } = await project.up(program({ triggers: ["new"] }));
  assert.deepEqual(steps, { boot: "replace" });
  assert.deepEqual((await journal()).slice(-4), ["create", SECRET, "delete", SECRET]);
  await project.up(program());
});

test("a failing command says its status, its text and its output", async () => {
  const error = await project.failure(program({ update: "echo out; echo err >&2; exit 255" }));
  assert.match(
    error,
    /Process exited with status 255: running "echo out; echo err >&2; exit 255":/,
  );
  assert.match(error, /^\s*out$/m);
  assert.match(error, /^\s*err$/m);
});

test("output is shown unless logging says none", async () => {
  const shown = await project.up(program({ update: "echo visible-line", logging: "stdout" }));
  assert.ok(shown.lines.some((line) => line.includes("visible-line")));
  assert.deepEqual((await project.up(program({ update: "echo hidden-line" }))).lines, []);
});

test("a wrong host key fails after the given tries, an absent one is not checked", async () => {
  const error = await project.failure(program({}, { hostKey: bastion.hostKey }));
  assert.match(error, /after 2 failed attempts: ssh: handshake failed: ssh: host key mismatch/);
  const { hostKey: _unchecked, ...rest } = connection();
  await project.up(program({ connection: rest, update: "echo trusting" }));
  const outputs = await project.outputs();
  assert.equal(outputs["stdout"]?.value, "trusting");
});

test("a wrong key and a closed port are told apart", async () => {
  const wrong = await project.failure(program({}, { privateKey: bastion.privateKey }));
  assert.match(wrong, /ssh: unable to authenticate/);
  const closed = await project.failure(program({}, { port: 1, dialErrorLimit: 0 }));
  assert.match(
    closed,
    /after 0 failed attempts: dial tcp 127\.0\.0\.1:1: connect: connection refused/,
  );
});

test("a bastion is passed through with its own key and host key", async () => {
  const { host, port, user, privateKey, hostKey } = bastion;
  const proxy = { host, port, user, privateKey, hostKey };
  await project.up(program({ update: "echo through" }, { proxy }));
  const outputs = await project.outputs();
  assert.equal(outputs["stdout"]?.value, "through");
  assert.match(await bastion.log(), /Accepted publickey/);
  const error = await project.failure(
    program({}, { proxy: { ...proxy, hostKey: target.hostKey } }),
  );
  assert.match(error, /host key mismatch/);
});

test("a variable arrives if the server accepts it, and fails the command if not", async () => {
  const update = 'echo "$WANTED"';
  await project.up(program({ update, environment: { WANTED: "a\nb $c" } }));
  const outputs = await project.outputs();
  assert.equal(outputs["stdout"]?.value, "a\nb $c");
  const error = await project.failure(program({ update, environment: { REFUSED: "x" } }));
  assert.match(error, /could not set environment variable "REFUSED"/);
});

test("destroy runs delete, and no key file stays behind", async () => {
  await project.up(program());
  await project.destroy(program());
  assert.deepEqual((await journal()).slice(-2), ["delete", SECRET]);
  assert.deepEqual(await project.leftovers(), []);
});
