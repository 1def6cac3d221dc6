import assert from "node:assert/strict";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { parse } from "yaml";
import { docker } from "../../sandbox/host/docker.ts";
import { sshAnswers, stopSsh } from "../../sandbox/services/ssh.ts";
import { outputsOf, runCli, stopContainer } from "../../sandbox/stack/actors.ts";
import { openStack, type SandboxStack } from "../../sandbox/stack/engine.ts";
import { checkout } from "../../sandbox/world/paths.ts";
import { type RunResult, run } from "../../sandbox/world/run.ts";
import { begin, type Journey } from "../support/journey.ts";

/**
 * The files of docs/ci, step by step, on a machine that has neither the SSH key nor an agent nor Kamal's secrets: in an empty
 * folder, from fresh clones of the program's repository and the application's.
 */
let journey: Journey;
let laptop: SandboxStack;
let place: string;
let key: string;
let keyFile: string;
/** The checkout of the application on the laptop, beside the program's folder as `kamalConfig` says. */
let application: string;

before(async () => {
  journey = await begin();
  place = mkdtempSync(join(tmpdir(), "ci-"));
  keyFile = journey.world.ssh.keyFile;
  key = readFileSync(keyFile, "utf8");
  renameSync(keyFile, `${keyFile}.aside`);
  // Not the shared one: Pulumi starts its providers in the program's folder.
  laptop = await inProgram(() => openStack(journey.world));
  application = join(laptop.dir, "../shop");
  rmSync(application, { recursive: true, force: true });
  await git(["clone", "--quiet", journey.world.app.dir, application]);
  cpSync(join(journey.world.app.dir, ".kamal"), join(application, ".kamal"), { recursive: true });
});
after(async () => {
  if (laptop === undefined) return;
  renameSync(`${keyFile}.aside`, keyFile);
  await laptop.close();
  // The checkout stays until the next journey's pulumi up has taken the block out of it.
  rmSync(place, { recursive: true, force: true });
});

/** Works in the program's folder, where Pulumi would run what is run here in this process. */
async function inProgram<T>(work: () => Promise<T>): Promise<T> {
  const before = process.cwd();
  process.chdir(journey.stack.dir);
  try {
    return await work();
  } finally {
    process.chdir(before);
  }
}

function git(args: readonly string[], cwd = place) {
  const who = ["-c", "user.name=Sandbox", "-c", "user.email=sandbox@localhost"];
  const env = { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" };
  return run("git", [...who, ...args], { cwd, env });
}

/** A line of the key that tells it from all others. */
const secret = () => key.split("\n")[3] as string;

test("pulumi config set --secret sshPrivateKey < KEY, and up", async () => {
  const { stack, dir, env } = laptop;
  const words = ["config", "set", "--secret", "sshPrivateKey", "--stack", stack.name];
  await run("pulumi", words, { cwd: dir, env, input: key });
  const set = await stack.getConfig("kamal-postgres-backup:sshPrivateKey");
  assert.equal(set.value, key.trimEnd(), "Pulumi takes the last line end away");
  await stack.setConfig("kamalConfig", { value: "../shop/config/deploy.yml" });
  const done = await inProgram(() => laptop.up());
  assert.equal(done.code, 0, done.output);
  assert.ok(!done.output.includes(secret()));
  const stored = `state/.pulumi/stacks/kamal-postgres-backup/${stack.name}.json`;
  assert.ok(!readFileSync(join(journey.world.dir, stored), "utf8").includes(secret()));
  await commitBoth();
});

/** What the laptop pushes: the application with the block in deploy.yml, and the program with the stack's file. */
async function commitBoth(): Promise<void> {
  await git(["commit", "--quiet", "--all", "-m", "Backups"], application);
  const program = join(place, "you/backup.git");
  mkdirSync(program, { recursive: true });
  for (const name of ["Pulumi.yaml", "stacks"]) {
    cpSync(join(laptop.dir, name), join(program, name), { recursive: true });
  }
  const manifest = { name: "backup", dependencies: { "kamal-postgres-backup": "*" } };
  writeFileSync(join(program, "package.json"), JSON.stringify(manifest));
  symlinkSync(application, join(place, "you/shop.git"));
  await git(["init", "--quiet"], program);
  await git(["add", "."], program);
  await git(["commit", "--quiet", "-m", "The backup of the shop"], program);
}

test("with the key in the stack alone, every command comes to the host", async () => {
  assert.equal(await sshAnswers(journey.world.ssh), false, "no other key of this machine does");
  const inCi = (...args: string[]) =>
    runCli(laptop, args, { HOME: place, SSH_AUTH_SOCK: undefined });
  for (const command of ["backup", "status"]) {
    const { code, stdout, stderr } = await inCi(command);
    assert.equal(code, 0, stderr);
    assert.ok(!`${stdout}${stderr}`.includes(secret()));
  }
});

/** What a repository's settings hold for its jobs. */
function credentials(): Record<string, string> {
  const { PULUMI_BACKEND_URL = "", PULUMI_CONFIG_PASSPHRASE_FILE = "" } = laptop.env;
  return {
    PULUMI_BACKEND_URL,
    PULUMI_CONFIG_PASSPHRASE: readFileSync(PULUMI_CONFIG_PASSPHRASE_FILE, "utf8"),
    AWS_ACCESS_KEY_ID: journey.world.store.accessKeyId,
    AWS_SECRET_ACCESS_KEY: journey.world.store.secretAccessKey,
    APPLICATION_TOKEN: "token",
    CI_JOB_TOKEN: "token",
  };
}

/** A job as it is run: its environment, its clones, and its commands with the folder of each. */
interface Job {
  readonly env: Readonly<Record<string, string>>;
  readonly clones: readonly { readonly repository: string; readonly path: string }[];
  readonly commands: readonly { readonly cwd: string; readonly line: string }[];
}

interface GitHubStep {
  readonly uses?: string;
  readonly with?: Readonly<Record<string, string>>;
  readonly run?: string;
  readonly "working-directory"?: string;
}

function gitHubJob(): Job {
  const text = readFileSync("docs/ci/github-actions.yml", "utf8");
  const given = credentials();
  const filled = text.replace(/\$\{\{ secrets\.(\w+) \}\}/g, (_, name: string) => {
    assert.match(text, new RegExp(`^# +${name}\\b`, "m"), `${name} is explained at the top`);
    const value = given[name];
    assert.ok(value, name);
    return value;
  });
  assert.doesNotMatch(filled, /\$\{\{/, "nothing else is asked of GitHub");
  const { env, steps } = parse(filled).jobs.drift as {
    env: Record<string, string>;
    steps: GitHubStep[];
  };
  const actions = steps.flatMap(({ uses, with: options = {} }) =>
    uses === undefined ? [] : [{ action: uses.replace(/@v\d+$/, ""), options }],
  );
  assert.deepEqual(
    [...new Set(actions.map(({ action }) => action))],
    ["actions/checkout", "actions/setup-node", "pulumi/actions"],
  );
  return {
    env: { ...env, STACK: laptop.stack.name },
    clones: actions
      .filter(({ action }) => action === "actions/checkout")
      .map(({ options: { repository = "you/backup", path = "." } }) => ({ repository, path })),
    commands: steps.flatMap(({ run: line, "working-directory": cwd = "." }) =>
      line === undefined ? [] : [{ cwd, line }],
    ),
  };
}

/** GitLab clones the project itself, and runs all lines in one shell. */
function gitLabJob(): Job {
  const text = readFileSync("docs/ci/gitlab-ci.yml", "utf8");
  const { variables, script } = parse(text)["backup drift"];
  const { APPLICATION_TOKEN: _, ...given } = credentials();
  for (const name of Object.keys(given)) assert.match(text, new RegExp(`^#.*\\b${name}\\b`, "m"));
  return {
    env: { ...variables, ...given, STACK: laptop.stack.name, CI_SERVER_HOST: "gitlab.test" },
    clones: [{ repository: "you/backup", path: "backup" }],
    commands: [{ cwd: "backup", line: script.join("\n") }],
  };
}

/** What the runner has on PATH beside its own programs. `npm ci` and Pulumi's installer would ask the network. */
function runnerPrograms(): string {
  const folder = join(place, "bin");
  const { bin } = JSON.parse(readFileSync("package.json", "utf8"));
  mkdirSync(folder, { recursive: true });
  const program = (name: string, text: string) => {
    writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, name), 0o755);
  };
  program(
    "npm",
    `[ "$*" = ci ] && [ -f package.json ] || { echo "npm $*: not expected here" >&2; exit 1; }
mkdir -p node_modules/.bin
ln -s '${checkout}'/node_modules/* node_modules/
ln -s '${checkout}' node_modules/kamal-postgres-backup
ln -s ../kamal-postgres-backup/${bin["kamal-postgres-backup"]} node_modules/.bin/kamal-postgres-backup`,
  );
  program("curl", `[ "$*" = "-fsSL https://get.pulumi.com" ] && echo : "pulumi is on PATH"`);
  return folder;
}

/**
 * Runs a job in an empty folder until the first step that fails.
 * @param env over that of the job; `undefined` takes a variable away
 */
async function runJob(
  { env, clones, commands }: Job,
  over: Readonly<Record<string, string | undefined>> = {},
): Promise<RunResult & { readonly summary: string }> {
  const folder = mkdtempSync(join(place, "job-"));
  const [home, summary] = [join(folder, ".home"), join(folder, ".summary")];
  mkdirSync(home);
  writeFileSync(summary, "");
  const { PULUMI_HOME, PULUMI_DEBUG_PROVIDERS } = laptop.env;
  const instead = `url.${place}/.insteadOf`;
  const all = {
    ...Object.fromEntries(Object.keys(process.env).map((name) => [name, undefined])),
    ...env,
    PATH: [runnerPrograms(), process.env["PATH"]].join(delimiter),
    HOME: home,
    CI: "true",
    GITHUB_STEP_SUMMARY: summary,
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: instead,
    GIT_CONFIG_VALUE_0: "https://gitlab-ci-token:token@gitlab.test/",
    // Where the sandbox has what Pulumi would download.
    PULUMI_HOME,
    PULUMI_DEBUG_PROVIDERS,
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    ...over,
  };
  for (const { repository, path } of clones) {
    await git(["clone", "--quiet", join(place, `${repository}.git`), join(folder, path)]);
  }
  let last: RunResult = { code: 0, stdout: "", stderr: "" };
  for (const { cwd, line } of commands) {
    last = await run("bash", ["-e", "-c", line], {
      cwd: join(folder, cwd),
      env: all,
      allowFailure: true,
    });
    if (last.code !== 0) break;
  }
  for (const text of [last.stdout, last.stderr]) {
    for (const value of [secret(), ...Object.values(credentials()).filter((v) => v.length > 20)]) {
      assert.ok(!text.includes(value), "no credential is printed");
    }
  }
  return { ...last, summary: readFileSync(summary, "utf8") };
}

const jobs = { "GitHub Actions": gitHubJob, GitLab: gitLabJob };

/** What doctor finds on the laptop, which has no SSH key of its own either: each check's state, text and remedy. */
async function doctor(): Promise<Map<string, string>> {
  const { code, stdout } = await runCli(laptop, ["doctor", "--json"]);
  assert.equal(code, 1, stdout);
  const { checks } = JSON.parse(stdout) as {
    checks: { name: string; state: string; text: string; remedy?: string }[];
  };
  return new Map(
    checks.map(({ name, state, text, remedy }) => [
      name,
      [state, text, remedy].filter(Boolean).join(" "),
    ]),
  );
}

for (const [name, job] of Object.entries(jobs)) {
  test(`${name}: green when nothing drifted, and what a runner cannot compare is named`, async () => {
    const { code, stdout, stderr } = await runJob(job());
    assert.equal(code, 0, stdout + stderr);
    assert.match(
      stdout,
      /^not checked: secrets block \(\.\.\/shop\/\.kamal\/secrets is not here\)\nno drift in what was checked\n$/m,
    );
  });
}

test("7 when something did: the container is down, and deploy.yml was edited by hand", async () => {
  const { container } = await outputsOf(laptop);
  const file = join(application, "config/deploy.yml");
  const text = readFileSync(file, "utf8");
  writeFileSync(file, text.replace(journey.world.schedule, "0 0 1 1 *"));
  await git(["commit", "--quiet", "--all", "-m", "Once a year"], application);
  await stopContainer(container);
  try {
    const { code, stdout, stderr, summary } = await runJob(gitHubJob());
    assert.equal(code, 7, stdout + stderr);
    assert.match(stdout, /^host +127\.0\.0\.1 \S+db_backup +declared running +found exited/m);
    assert.match(stdout, /^host +deploy\.yml block .*edited by hand/m);
    assert.match(summary, /\| host \| deploy\.yml block \|/);
    const found = await doctor();
    assert.match(
      found.get("container") ?? "",
      /^fail \S+db_backup exited .* pulumi up.* starts it\.$/,
    );
    assert.equal(found.get("postgresql"), "skipped not checked: needs container");
    for (const name of ["state", "ssh", "docker", "disk", "bucket", "schedule", "retention"]) {
      assert.match(found.get(name) ?? "", /^ok /, name);
    }
  } finally {
    await docker(["start", container]);
    writeFileSync(file, text);
    await git(["commit", "--quiet", "--all", "-m", "Every day"], application);
  }
});

test("another code and a sentence when the check itself broke", async () => {
  const noPulumi = (process.env["PATH"] ?? "")
    .split(delimiter)
    .filter((folder) => !readdirSyncOr(folder).includes("pulumi"))
    .join(delimiter);
  const rows = [
    {
      what: "another passphrase",
      env: { PULUMI_CONFIG_PASSPHRASE: "another" },
      sentence: /^error: .*passphrase/m,
    },
    {
      what: "no such state",
      env: { PULUMI_BACKEND_URL: `file://${join(place, "nowhere")}` },
      sentence: /^error: pulumi stack output .*nowhere/m,
    },
    {
      what: "no Pulumi",
      env: { PATH: [runnerPrograms(), dirname(process.execPath), noPulumi].join(delimiter) },
      sentence: /^error: pulumi is not on PATH\. Install it/m,
    },
  ];
  for (const { what, env, sentence } of rows) {
    const { code, stdout, stderr } = await runJob(gitHubJob(), env);
    assert.equal(code, 1, `${what}: ${stdout}${stderr}`);
    assert.match(stderr, sentence, what);
    assert.doesNotMatch(stderr, /\n +at /, what);
  }
  // The last test: the server is back once the others are done.
  await stopSsh();
  const { code, stderr } = await runJob(gitHubJob());
  assert.equal(code, 1, stderr);
  assert.match(stderr, /^error: the check could not be made: .*the host cannot be reached/m);
  const found = await doctor();
  assert.match(found.get("ssh") ?? "", /^fail .*the host cannot be reached/);
  assert.equal(found.get("health"), "skipped not checked: needs ssh");
  assert.match(found.get("bucket") ?? "", /^ok /);
});

function readdirSyncOr(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
