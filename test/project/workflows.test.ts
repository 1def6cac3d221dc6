import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { POSTGRES_MAJORS } from "../../kamal/configuration/postgresImage.ts";
import { faultOfLine } from "./documents/commandLines.ts";

interface Step {
  readonly name?: string;
  readonly run?: string;
  readonly uses?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Job {
  readonly "timeout-minutes"?: number;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly strategy?: { readonly matrix: Readonly<Record<string, readonly unknown[]>> };
  readonly steps: readonly Step[];
}

interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const WORKFLOWS = Object.fromEntries(
  globSync(".github/workflows/*.yml").map((file) => [
    basename(file, ".yml"),
    parse(readFileSync(file, "utf8")) as Workflow,
  ]),
);

/** What each job may do; every other right of its token is then none. */
const RIGHTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "ci.test": { contents: "read" },
  "release.package": { contents: "read", "id-token": "write" },
  "image.image": { contents: "read", packages: "write" },
};

/** Lines of a shell that are no command of this repository. */
const OTHER_LINES = [
  'test "$GITHUB_REF_NAME" = "v$(node --print \'require("./package.json").version\')"',
  'echo "name=ghcr.io/${GITHUB_REPOSITORY,,}-agent" >> "$GITHUB_OUTPUT"',
  'npm pkg set "repository.url=git+$GITHUB_SERVER_URL/$GITHUB_REPOSITORY.git"',
];

function faultsOf(name: string, { permissions, jobs }: Workflow): string[] {
  return Object.entries(jobs).flatMap(([key, job]) => {
    const id = `${name}.${key}`;
    const rights = job.permissions ?? permissions;
    return [
      ...(JSON.stringify(rights) === JSON.stringify(RIGHTS[id]) ? [] : [`${id}: rights`]),
      ...((job["timeout-minutes"] ?? 0) > 0 ? [] : [`${id}: no limit of time`]),
      ...job.steps.flatMap((step) => faultsOfStep(step).map((fault) => `${id}: ${fault}`)),
    ];
  });
}

function faultsOfStep({ run, uses, with: inputs }: Step): string[] {
  if (uses !== undefined) {
    return [
      ...(/^[\w-]+\/[\w-]+@v\d+$/.test(uses) ? [] : [`${uses} has no major version`]),
      // What a step runs later could read the token from .git/config.
      ...(uses.startsWith("actions/checkout@") && inputs?.["persist-credentials"] !== false
        ? [`${uses} leaves its token behind`]
        : []),
    ];
  }
  const line = run ?? "";
  // A shell would run what stands in such a value, and show a secret among the arguments of its programs.
  if (line.includes("${{")) return [`${line}: give it as env`];
  const fault = OTHER_LINES.includes(line) ? undefined : faultOfLine(line);
  return fault === undefined ? [] : [`${line}: ${fault}`];
}

test("a workflow's commands exist, its rights are the least, and no secret is an argument", () => {
  const jobs = Object.entries(WORKFLOWS).flatMap(([name, workflow]) =>
    Object.keys(workflow.jobs).map((key) => `${name}.${key}`),
  );
  assert.deepEqual(jobs.toSorted(), Object.keys(RIGHTS).toSorted());
  const faults = Object.entries(WORKFLOWS).flatMap(([name, workflow]) => faultsOf(name, workflow));
  assert.deepEqual(faults, []);
});

test("what is wrong with a workflow is found", () => {
  const wrong: readonly [Partial<Job> & { readonly steps: readonly Step[] }, RegExp][] = [
    [{ steps: [], permissions: { contents: "write" } }, /rights/],
    [{ steps: [], "timeout-minutes": 0 }, /no limit of time/],
    [{ steps: [{ run: "npm run biuld" }] }, /no script biuld/],
    [{ steps: [{ run: "npm publish --token ${{ secrets.NPM_TOKEN }}" }] }, /give it as env/],
    [{ steps: [{ uses: "actions/setup-node@main" }] }, /no major version/],
    [{ steps: [{ uses: "actions/checkout@v5" }] }, /leaves its token behind/],
  ];
  for (const [job, fault] of wrong) {
    const test = { "timeout-minutes": 1, ...job };
    const found = faultsOf("ci", { on: {}, permissions: { contents: "read" }, jobs: { test } });
    assert.equal(found.length, 1, String(fault));
    assert.match(found[0] ?? "", fault);
  }
});

test("only a tag releases, and only main and proposals of changes run the tests", () => {
  const triggers = Object.entries(WORKFLOWS).map(([name, { on }]) => [name, on]);
  assert.deepEqual(Object.fromEntries(triggers), {
    ci: { push: { branches: ["main"] }, pull_request: null },
    image: { push: { tags: ["v*"] } },
    release: { push: { tags: ["v*"] } },
  });
});

test("a secret goes to the one step that needs it", () => {
  const given = Object.values(WORKFLOWS).flatMap(({ jobs }) =>
    Object.values(jobs).flatMap(({ steps }) =>
      steps.flatMap((step) => {
        const values = Object.values({ ...step.env, ...step.with });
        return values.some((value) => String(value).includes("secrets."))
          ? [step.uses ?? step.run]
          : [];
      }),
    ),
  );
  const publish = "npm publish ./dist --provenance --access public";
  assert.deepEqual(given.toSorted(), ["docker/login-action@v3", publish]);
});

test("the image is built for both processors and each major of PostgreSQL, with SBOM and provenance", () => {
  const { strategy, steps = [] } = WORKFLOWS["image"]?.jobs["image"] ?? {};
  const { oldest, newest } = POSTGRES_MAJORS;
  const majors = Array.from({ length: newest - oldest + 1 }, (_, index) => oldest + index);
  assert.deepEqual(strategy?.matrix, { major: majors });
  const build = steps.find(({ uses }) => uses?.startsWith("docker/build-push-action@"))?.with ?? {};
  const { context, platforms, sbom, provenance } = build;
  assert.deepEqual(
    { context, platforms, sbom, provenance },
    {
      context: "dist/agent/context",
      platforms: "linux/amd64,linux/arm64",
      sbom: true,
      provenance: "mode=max",
    },
  );
  const [argument = ""] = String(build["build-args"]).split("=");
  assert.match(
    readFileSync("agent/image/Dockerfile", "utf8"),
    new RegExp(`^ARG ${argument}=`, "m"),
  );
});
