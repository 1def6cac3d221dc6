import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { deployMayGoOn } from "../../common/contracts/deployGate.ts";
import { type DeployGate, hookLanguage, renderDeployGate } from "../../kamal/deployHook.ts";
import { readMarkedBlock, removeMarkedBlock, writeMarkedBlock } from "../../kamal/markedBlock.ts";

const REVISION = "1f2e3d4c5b6a";
const GATE: DeployGate = {
  accessory: "db_backup",
  destination: "production",
  config: "config/deploy.yml",
  maxAgeMinutes: 15,
};

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "deploy-hook-"));
  mkdirSync(join(folder, "bin"));
});
beforeEach(() => kamalAnswers(deployMayGoOn(REVISION)));
after(() => rmSync(folder, { recursive: true }));

/** A program in Kamal's place, which notes what it was asked. Kamal ends with 0 on some failures. */
function kamalAnswers(text: string, code = 0): void {
  rmSync(join(folder, "asked"), { force: true });
  const script = `#!/bin/sh\nprintf '%s\\n' "$@" >"${folder}/asked"\nprintf '%s\\n' "${text}"\nexit ${code}\n`;
  writeFileSync(join(folder, "bin/kamal"), script, { mode: 0o755 });
}

function asked(): string[] | undefined {
  try {
    return readFileSync(join(folder, "asked"), "utf8").trimEnd().split("\n");
  } catch {
    return undefined;
  }
}

interface Options {
  readonly gate?: Partial<DeployGate>;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a hook with the gate in it, as Kamal would. */
function run(hook: string, { gate = {}, env = {} }: Options = {}) {
  const block = renderDeployGate({ ...GATE, ...gate }, hookLanguage(hook, "pre-deploy"));
  const file = join(folder, "pre-deploy");
  writeFileSync(file, writeMarkedBlock(hook, "shop", block, "hook"), { mode: 0o755 });
  const { status, stdout, stderr } = spawnSync("env", [file], {
    cwd: folder,
    encoding: "utf8",
    env: {
      PATH: `${folder}/bin:${process.env["PATH"]}`,
      KAMAL_COMMAND: "deploy",
      KAMAL_VERSION: REVISION,
      KAMAL_DESTINATION: "production",
      // Where Kamal itself writes is this test's own standard error: what is looked at here is what the hook prints.
      KAMAL_PID: "none",
      ...env,
    },
  });
  return { code: status, stdout, stderr };
}

const EXISTING = "#!/bin/bash\n# Of the shop.\nset -euo pipefail\nanswer=mine\necho migrated\n";

test("asks Kamal for a backup before anything else of the hook, and lets it go on", () => {
  const { code, stdout } = run(EXISTING);
  assert.equal(code, 0);
  assert.equal(stdout, "migrated\n");
  assert.deepEqual(asked(), [
    "accessory",
    "exec",
    "db_backup",
    `agent backup --before-deploy ${REVISION} --max-age 15`,
    "--reuse",
    "--version",
    REVISION,
    "-d",
    "production",
  ]);
});

test("what is not at its place is named: the file of a configuration elsewhere, no destination, no age", () => {
  const gate = { config: "infra/our deploy.yml", destination: undefined, maxAgeMinutes: 0 };
  const { code } = run("", { gate, env: { KAMAL_DESTINATION: "" } });
  assert.equal(code, 0);
  assert.deepEqual(asked()?.slice(3), [
    `agent backup --before-deploy ${REVISION}`,
    "--reuse",
    "--version",
    REVISION,
    "-c",
    "infra/our deploy.yml",
  ]);
});

describe("without a backup the deploy stops, and the rest of the hook does not run", () => {
  const answers: Record<string, [text: string, code: number]> = {
    "Kamal fails": [deployMayGoOn(REVISION), 1],
    "Kamal ends with 0, and there is no such accessory": ["No accessory by the name of", 0],
    "the sentence is about another deploy": [deployMayGoOn("ffff"), 0],
  };
  for (const [what, [text, exit]] of Object.entries(answers)) {
    test(what, () => {
      kamalAnswers(text, exit);
      const { code, stdout, stderr } = run(EXISTING);
      assert.equal(code, 1);
      assert.equal(stdout, "");
      assert.ok(stderr.includes(text), stderr);
      assert.match(
        stderr,
        /There is no backup for the deploy of 1f2e.*SKIP_BACKUP=1 kamal deploy$/m,
      );
    });
  }
  for (const revision of ["", "a b", "$(id)", "a;id"]) {
    test(`the revision is "${revision}"`, () => {
      const { code, stderr } = run(EXISTING, { env: { KAMAL_VERSION: revision } });
      assert.equal(code, 1);
      assert.ok(stderr.includes(`KAMAL_VERSION is "${revision}", which is no revision`), stderr);
      assert.equal(asked(), undefined);
    });
  }
});

describe("nobody is asked, and the hook goes on", () => {
  const passes: Record<string, [env: Record<string, string>, words: RegExp]> = {
    "SKIP_BACKUP=1, loudly": [{ SKIP_BACKUP: "1" }, /SKIPPED, since SKIP_BACKUP=1 is set/],
    "a rollback": [{ KAMAL_COMMAND: "rollback" }, /none is taken before a rollback/],
    "another destination": [{ KAMAL_DESTINATION: "staging" }, /^$/],
    "no destination": [{ KAMAL_DESTINATION: "" }, /^$/],
  };
  for (const [what, [env, words]] of Object.entries(passes)) {
    test(what, () => {
      const { code, stdout, stderr } = run(EXISTING, { env });
      assert.deepEqual([code, stdout], [0, "migrated\n"]);
      assert.match(stderr.trim(), words);
      assert.equal(asked(), undefined);
    });
  }
  test("SKIP_BACKUP with another value is no word for it", () => {
    run(EXISTING, { env: { SKIP_BACKUP: "0" } });
    assert.ok(asked());
  });
});

test("where Kamal is not on the path, the application's own is run", () => {
  const path = `${folder}/elsewhere:/usr/bin:/bin`;
  assert.equal(run(EXISTING, { env: { PATH: path } }).code, 0);
  assert.equal(asked()?.[0], "accessory");
});

const hooks: Record<string, [before: string, written: RegExp]> = {
  none: ["", /^#!\/bin\/sh\n# >>> .*\n\(\n# Before/],
  "one for sh, below its comments": [EXISTING, /^#!\/bin\/bash\n# Of the shop\.\n# >>> /],
  "one that does not end its last line": ["#!/bin/sh\necho done", /^#!\/bin\/sh\n# >>> /],
  "one without a first line for the system": ["echo done\n", /^# >>> .*\n\(\n/],
  "one for Ruby, below what Ruby reads itself": [
    "#!/usr/bin/env ruby\n# frozen_string_literal: true\n\nputs 1\n",
    /^#!.*\n# frozen_string_literal: true\n# >>> .*\nsystem\(/,
  ],
  "with arguments for the program": ["#!/usr/bin/env -S bash -e\necho 1\n", /^#!.*\n# >>> .*\n\(/],
};
describe("a hook", () => {
  for (const [what, [text, written]] of Object.entries(hooks)) {
    test(`${what}: gets the gate once, and is byte for byte the same without it`, () => {
      const block = renderDeployGate(GATE, hookLanguage(text, "pre-deploy"));
      const once = writeMarkedBlock(text, "shop", block, "hook");
      assert.match(once, written);
      assert.equal(writeMarkedBlock(once, "shop", block, "hook"), once);
      assert.equal(readMarkedBlock(once, "shop"), block);
      assert.equal(removeMarkedBlock(once, "shop"), text || "#!/bin/sh\n");
      const two = writeMarkedBlock(once, "queue", block, "hook");
      assert.equal(removeMarkedBlock(two, "queue"), once);
      assert.equal(
        removeMarkedBlock(removeMarkedBlock(two, "shop"), "queue"),
        text || "#!/bin/sh\n",
      );
    });
  }

  for (const program of [
    "#!/usr/bin/env python3",
    "#!/usr/bin/fish",
    "#!/usr/bin/env -S node --x",
  ]) {
    test(`${program}: is refused with the way out`, () => {
      assert.throws(
        () => hookLanguage(`${program}\n`, ".kamal/hooks/pre-deploy"),
        /^Problem: \.kamal\/hooks\/pre-deploy is written for (?:python3|fish|node), .*Move it to another file/,
      );
    });
  }

  test("for Ruby runs, where there is a Ruby", (t) => {
    if (spawnSync("ruby", ["--version"]).status !== 0) return t.skip("no Ruby");
    const hook = "#!/usr/bin/env ruby\nputs :migrated\n";
    assert.deepEqual(run(hook).stdout, "migrated\n");
    kamalAnswers("no", 1);
    assert.deepEqual([run(hook).code, run(hook).stdout], [1, ""]);
  });
});
