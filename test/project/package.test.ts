// tag: cloud
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  cpSync,
  globSync,
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
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { parse } from "yaml";
import type { Environment } from "../../cli/init/application.ts";
import { type ProjectOptions, projectFiles } from "../../cli/init/projectFiles.ts";

/** A quarter more than today: what makes it jump, such as an SDK that got bundled, shall be seen. */
const MOST_PACKED_BYTES = 1_130_000;
/** Many times what an idle machine takes: an eager load of an SDK shall be seen, a busy machine shall not. */
const MOST_LOAD_MS = 2_000;

let project: string;
let carried: string[];
let size: { packed: number; unpacked: number };

function run(program: string, args: readonly string[], cwd = project, env = process.env) {
  const result = spawnSync(program, args, { cwd, env, encoding: "utf8", timeout: 120_000 });
  return { code: result.status, said: `${result.stdout}${result.stderr}` };
}

/** An empty project with the package as npm would unpack it, and this checkout's copies of what it depends on. */
before(() => {
  project = mkdtempSync(join(tmpdir(), "package-"));
  const built = run(process.execPath, ["scripts/build.ts"], ".");
  assert.equal(built.code, 0, built.said);
  const packed = run("npm", ["pack", resolve("dist"), "--json", "--pack-destination", project]);
  assert.equal(packed.code, 0, packed.said);
  const [listed] = JSON.parse(packed.said.slice(packed.said.indexOf("[")));
  carried = listed.files.map((file: { path: string }) => file.path);
  size = { packed: listed.size, unpacked: listed.unpackedSize };
  const modules = join(project, "node_modules");
  mkdirSync(join(modules, "kamal-postgres-backup"), { recursive: true });
  const tarball = readdirSync(project).find((name) => name.endsWith(".tgz")) as string;
  run("tar", [
    "-xzf",
    tarball,
    "--strip-components=1",
    "-C",
    join(modules, "kamal-postgres-backup"),
  ]);
  for (const name of readdirSync("node_modules")) {
    if (!name.startsWith(".")) symlinkSync(resolve("node_modules", name), join(modules, name));
  }
  writeFileSync(join(project, "package.json"), '{ "type": "module" }');
});
after(() => rmSync(project, { recursive: true, force: true }));

test("the package carries no sandbox, no tests, no stand-in and no page for those who work on it", () => {
  assert.deepEqual(
    carried.filter((path) => /^(sandbox|test|stacks|scripts|docs)\/|\/README\.md$/.test(path)),
    [],
  );
  assert.ok(carried.includes("agent/context/Dockerfile"));
});

const RELEASE = parse(readFileSync(".github/workflows/release.yml", "utf8")).jobs.package.steps as {
  readonly run?: string;
}[];

/** The release's own line, run here. */
function runOfRelease(part: string, cwd: string, env: Readonly<Record<string, string>> = {}) {
  const { run: line = "" } = RELEASE.find(({ run }) => run?.includes(part)) ?? {};
  assert.notEqual(line, "", `a step of the release has ${part}`);
  return (more = "") => run("bash", ["-ec", `${line}${more}`], cwd, { ...process.env, ...env });
}

test("the release publishes what was packed here, under the repository's name; only a tag of this version does", () => {
  const { version } = JSON.parse(readFileSync("package.json", "utf8"));
  const tagged = (tag: string) => runOfRelease("GITHUB_REF_NAME", ".", { GITHUB_REF_NAME: tag })();
  assert.equal(tagged(`v${version}`).code, 0);
  assert.equal(tagged("v99.0.0").code, 1);

  const copy = join(project, "release");
  cpSync("dist", join(copy, "dist"), { recursive: true });
  const named = runOfRelease("npm pkg set", join(copy, "dist"), {
    GITHUB_SERVER_URL: "https://github.com",
    GITHUB_REPOSITORY: "somebody/a-fork",
  })();
  assert.equal(named.code, 0, named.said);
  const published = runOfRelease("npm publish", copy)(" --dry-run");
  assert.equal(published.code, 0, published.said);
  assert.match(published.said, new RegExp(`^\\+ kamal-postgres-backup@${version}$`, "m"));
  assert.match(published.said, new RegExp(`total files: ${carried.length}$`, "m"));
  const manifest = JSON.parse(readFileSync(join(copy, "dist/package.json"), "utf8"));
  assert.equal(manifest.repository.url, "git+https://github.com/somebody/a-fork.git");
});

/** Licences that let a program be handed on when their text goes along. */
const FREE = ["0BSD", "Apache-2.0", "BSD-3-Clause", "ISC", "MIT"];

test("it carries the licences of all that is in it, and an SBOM that npm made of what is installed here", () => {
  const installed = join(project, "node_modules/kamal-postgres-backup");
  const page = readFileSync(join(installed, "THIRD-PARTY-LICENSES.txt"), "utf8");
  const [listed = "", ...texts] = page.split(/^-{80}$/m);
  const rows = [...listed.matchAll(/^- (\S+) (\S+): (\S+)$/gm)];
  assert.deepEqual(
    rows.filter(([, , , licence = ""]) => !FREE.includes(licence)).map(([row]) => row),
    [],
  );
  const bill = JSON.parse(readFileSync(join(installed, "sbom.cdx.json"), "utf8"));
  const components = bill.components as { name: string; version: string; properties: unknown[] }[];
  const unique = (names: readonly string[]) => [...new Set(names)].toSorted();
  assert.deepEqual(
    unique(rows.map(([, name, version]) => `${name} ${version}`)),
    components.map(({ name, version }) => `${name} ${version}`).toSorted(),
  );
  for (const { name, version } of components) {
    const own = JSON.parse(readFileSync(join("node_modules", name, "package.json"), "utf8"));
    assert.equal(version, own.version, name);
  }

  const bundled = components.filter(({ properties }) => properties.length > 0);
  // The packages by whose names the agent's own sources import.
  const sources = globSync("{agent,storage,common}/**/*.ts").map((file) =>
    readFileSync(file, "utf8"),
  );
  const imports = sources.flatMap((text) => [
    ...text.matchAll(/^import (?!type)[^"]*"((?:@[^/"]+\/)?[^./"][^/"]*)"/gm),
  ]);
  const direct = unique(imports.map(([, name = ""]) => name)).filter(
    (name) => !/^(?:node:|esbuild$)/.test(name),
  );
  assert.ok(direct.includes("pg"), direct.join());
  for (const name of direct)
    assert.ok(
      bundled.some((one) => one.name === name),
      name,
    );
  const [, without = ""] = listed.split("The text of Apache-2.0 below is theirs too.");
  for (const { name, version } of bundled) {
    const text = texts.find((section) => section.includes(`- ${name} ${version}: `));
    if (text !== undefined) assert.match(text, /Permission|permission|Apache License|MIT/, name);
    else assert.ok(without.includes(`- ${name} ${version}: Apache-2.0`), name);
  }
});

/** Prints which packages a program loads beyond `@pulumi/pulumi`. */
const LISTING = `
  import { registerHooks } from "node:module";
  const loaded = new Set();
  const pulumi = await import("@pulumi/pulumi");
  registerHooks({
    load(url, context, next) {
      const name = /node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1];
      if (name !== undefined) loaded.add(name);
      return next(url, context);
    },
  });
  await use(pulumi, await import("kamal-postgres-backup"));
  console.log(JSON.stringify([...loaded]));
`;

/** Names of the AWS packages that a program loads. */
function loadedOfAws(use: string): string[] {
  writeFileSync(join(project, "listing.mjs"), `const use = ${use};\n${LISTING}`);
  const result = run(process.execPath, ["listing.mjs"]);
  assert.equal(result.code, 0, result.said);
  const line = result.said.split("\n").find((text) => text.startsWith("[")) ?? "";
  const loaded = JSON.parse(line) as string[];
  assert.ok(loaded.includes("kamal-postgres-backup"), line);
  return loaded.filter((name) => name === "@pulumi/aws" || name.startsWith("@aws-sdk/"));
}

test("no SDK of AWS is loaded before a component for AWS is made", () => {
  assert.deepEqual(loadedOfAws("() => {}"), []);
  const program = (declaration: string) => `async (pulumi, kpb) => {
    await pulumi.runtime.setMocks({
      newResource: ({ inputs }) => ({ id: "x", state: { arn: "arn:aws:s3:::x", ...inputs } }),
      call: () => ({}),
    });
    ${declaration};
    await pulumi.runtime.disconnect();
  }`;
  const elsewhere = program(`new kpb.S3CompatibleBucket("shop", {
    name: "shop-backups",
    endpoint: "https://s3.fr-par.scw.cloud",
    region: "fr-par",
    retention: kpb.Retention.days(30),
    administrator: { accessKeyId: "SCWEXAMPLE", secretAccessKey: "example" },
  })`);
  assert.deepEqual(loadedOfAws(elsewhere), []);
  const onAws = program('new kpb.AwsBackupBucket("shop", { retention: kpb.Retention.days(30) })');
  assert.deepEqual(loadedOfAws(onAws), ["@pulumi/aws"]);
});

/** How long the package takes to load once `@pulumi/pulumi` is there, ms: by a machine that never compiled it. */
function loadTime(): number {
  const program = `
    await import("@pulumi/pulumi");
    const begun = performance.now();
    await import("kamal-postgres-backup");
    console.log(performance.now() - begun);`;
  writeFileSync(join(project, "timing.mjs"), program);
  const { NODE_COMPILE_CACHE: _, ...env } = process.env;
  const times = [1, 2, 3].map(() =>
    Number(run(process.execPath, ["timing.mjs"], project, env).said),
  );
  return Math.min(...times);
}

test("it stays as small as it is, and loads in a moment", () => {
  const kB = (bytes: number) => `${Math.round(bytes / 1000)} kB`;
  const ms = loadTime();
  console.log(
    `# ${kB(size.packed)} packed, ${kB(size.unpacked)} unpacked; loads in ${Math.round(ms)} ms after @pulumi/pulumi`,
  );
  assert.ok(size.packed < MOST_PACKED_BYTES, kB(size.packed));
  assert.ok(ms < MOST_LOAD_MS, `${ms} ms`);
});

test("its components load, and so does what dynamic resources ask for by name", () => {
  const program = `
    import { createRequire } from "node:module";
    import { PostgresBackup, Schedule } from "kamal-postgres-backup";
    const internal = createRequire(process.cwd() + "/x.js")("kamal-postgres-backup/internal/markedBlock");
    console.log(typeof PostgresBackup, Schedule.daily("03:15").toString(), typeof internal.read);`;
  writeFileSync(join(project, "program.mjs"), program);
  const result = run(process.execPath, ["program.mjs"]);
  assert.match(result.said, /^function 15 3 \* \* \* function$/m);
});

test("Scaleway's entry loads in the older module form too; without its peer it alone fails, in one sentence", () => {
  const entry = "kamal-postgres-backup/scaleway";
  const required = `console.log(typeof require("${entry}").ScalewayBackupBucket);`;
  writeFileSync(join(project, "scaleway.cjs"), required);
  assert.equal(run(process.execPath, ["scaleway.cjs"]).said, "function\n");

  const program = `await import("kamal-postgres-backup");
    console.log("loaded");
    await import("${entry}");`;
  writeFileSync(join(project, "scaleway.mjs"), program);
  const peer = join(project, "node_modules/@pulumiverse");
  renameSync(peer, `${peer}-aside`);
  try {
    const { code, said } = run(process.execPath, ["scaleway.mjs"]);
    assert.notEqual(code, 0);
    assert.match(said, /^loaded$/m);
    assert.match(said, /needs the package @pulumiverse\/scaleway, .*: npm install @pulumiverse/);
    assert.doesNotMatch(said, /^\s+at /m, "no stack trace");
  } finally {
    renameSync(`${peer}-aside`, peer);
  }
});

test("its command runs", () => {
  const result = run(process.execPath, [
    "node_modules/kamal-postgres-backup/cli/start.mjs",
    "--help",
  ]);
  assert.equal(result.code, 0, result.said);
  assert.match(result.said, /restore/);
});

/** Programs that `init` writes, which together have each of its lines. */
function writtenByInit(): string[] {
  const environment: Environment = {
    name: "production",
    destination: "production",
    host: "192.0.2.10",
    givesHost: true,
    major: 17,
    givesMajor: true,
    managed: { host: "db.example.com", port: 6432, user: "shop", sslMode: "require" },
    databases: ["shop", "shop_queue"],
    prefix: "shop/production",
    hasPassword: false,
  };
  const { destination: _, managed: __, ...plain } = environment;
  const staging: Environment = { ...plain, name: "staging", givesHost: false, givesMajor: false };
  const application = {
    service: "shop",
    backup: "shop",
    folder: "/shop",
    config: "/shop/config/deploy.yml",
    inGit: true,
    remarks: [],
  };
  const bucket = { region: "us-east-1", names: {}, containerDeletes: false };
  const common = { days: 30, databases: {} };
  const options: readonly Pick<ProjectOptions, "application" | "answers">[] = [
    {
      application: {
        ...application,
        environments: [environment, staging],
        secretsInGit: true,
        runsSecretCommands: true,
        buildOnHost: true,
      },
      answers: {
        ...common,
        bucket: {
          ...bucket,
          kind: "existing",
          endpoint: "http://s3",
          allowInsecure: true,
          containerDeletes: true,
        },
        schedule: { expression: "@every 6h" },
        recipient: undefined,
      },
    },
    ...(["made", "aws"] as const).map(
      (kind): Pick<ProjectOptions, "application" | "answers"> => ({
        application: {
          ...application,
          environments: [environment],
          secretsInGit: false,
          runsSecretCommands: false,
          buildOnHost: false,
        },
        answers: {
          ...common,
          bucket: {
            ...bucket,
            kind,
            ...(kind === "made" && { endpoint: "https://s3.example.com" }),
          },
          schedule: { daily: "03:15" },
          recipient: "age1example",
        },
      }),
    ),
  ];
  return options.map((each) => {
    const all = { ...each, origin: { dependency: "0.1.0" }, into: "/shop/backup" };
    return projectFiles(all).find(({ path }) => path === "index.ts")?.text ?? "";
  });
}

test("its types serve a strict program, and refuse a wrong one", () => {
  const options = [
    "--noEmit",
    "--strict",
    "--skipLibCheck",
    "--module",
    "nodenext",
    "--types",
    "node",
  ];
  const good = `import { AwsBackupBucket, PostgresBackup, Retention, Schedule } from "kamal-postgres-backup";
    const bucket = new AwsBackupBucket("b", { retention: Retention.days(30) });
    export const { outputs } = new PostgresBackup("shop", {
      kamal: { config: "deploy.yml" }, bucket, schedule: Schedule.daily("03:15") });`;
  writeFileSync(join(project, "good.mts"), good);
  writeFileSync(join(project, "bad.mts"), good.replace("Retention.days(30)", "30"));
  const written = writtenByInit();
  for (const [index, program] of written.entries()) {
    writeFileSync(join(project, `written${index}.mts`), program);
  }
  const tsc = resolve("node_modules/.bin/tsc");
  // One run for all: the compiler reads the same declarations for each.
  const programs = ["good.mts", "bad.mts", ...written.map((_, index) => `written${index}.mts`)];
  const { code, said } = run(tsc, [...options, ...programs]);
  assert.notEqual(code, 0);
  assert.match(said, /bad\.mts.*Type 'number' is not assignable to type 'Retention'/);
  assert.doesNotMatch(said, /good\.mts|written\d\.mts|^error/m);
});

test("they serve a program in the older module form, as Pulumi's template made it until March 2026", () => {
  const program = (retention: string) => `
    import { AwsBackupBucket, PostgresBackup, Retention, Schedule } from "kamal-postgres-backup";
    import { ScalewayBackupBucket } from "kamal-postgres-backup/scaleway";
    const bucket = new AwsBackupBucket("b", { retention: ${retention} });
    export const other: typeof ScalewayBackupBucket = ScalewayBackupBucket;
    export const { outputs } = new PostgresBackup("shop", {
      kamal: { config: "deploy.yml" }, bucket, schedule: Schedule.daily("03:15") });
    export const days = Retention.days(30);`;
  const older = join(project, "older");
  mkdirSync(older);
  writeFileSync(join(older, "good.ts"), program("Retention.days(30)"));
  writeFileSync(join(older, "bad.ts"), program("30"));
  // These are tested above, and reading them takes as long as all else together.
  writeFileSync(join(older, "others.d.ts"), "declare const others: any;\nexport = others;\n");
  const others = ["./others.d.ts"];
  const compilerOptions = {
    module: "commonjs",
    moduleResolution: "node",
    target: "es2020",
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    types: [],
    ignoreDeprecations: "6.0",
    paths: { "@pulumi/aws": others, "@pulumiverse/scaleway": others },
  };
  writeFileSync(join(older, "tsconfig.json"), JSON.stringify({ compilerOptions }));
  const { said } = run(resolve("node_modules/.bin/tsc"), [], older);
  assert.match(said, /^bad\.ts\(.*Type 'number' is not assignable to type 'Retention'\.\n$/);
});
