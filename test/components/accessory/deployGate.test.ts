import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { deployHook } from "../../../components/accessory/deployGate.ts";
import { accessoryNames, readKamalProject } from "../../../components/accessory/kamalProject.ts";
import { deployYml, layOutApplication } from "../application.ts";

let folder: string;
before(() => {
  folder = layOutApplication(deployYml({ head: "hooks_path: infra/hooks\n" }), undefined, {
    "config/deploy.staging.yml": "service: shop\n",
    "shop.yml": deployYml(),
  });
  mkdirSync(join(folder, "infra/hooks"), { recursive: true });
});
after(() => rmSync(folder, { recursive: true }));

function hook(config = "config/deploy.yml", destination?: string) {
  const args = { config: join(folder, config), ...(destination && { destination }) };
  return deployHook(args, readKamalProject(args), accessoryNames(args, "shop"), {});
}

test("the hook lies where Kamal looks for it, and is known to be gone where its deploy.yml is", () => {
  const { file, beside, block } = hook("config/deploy.yml", "staging");
  assert.equal(file, join(folder, "infra/hooks/pre-deploy"));
  assert.equal(beside, join(folder, "config/deploy.staging.yml"));
  assert.match(block, / -d staging </);
  assert.doesNotMatch(block, / -c /);
});

test("a configuration elsewhere is named to Kamal as the folder in which it runs sees it", () => {
  const { file, block } = hook("shop.yml");
  assert.equal(file, join(folder, ".kamal/hooks/pre-deploy"));
  assert.match(block, / -c shop\.yml </);
});

test("the gate is in the language of the hook that is there", () => {
  writeFileSync(join(folder, "infra/hooks/pre-deploy"), "#!/usr/bin/env ruby\nputs 1\n");
  assert.match(hook().block, /^system\(/);
  writeFileSync(join(folder, "infra/hooks/pre-deploy"), "#!/usr/bin/env python3\n");
  assert.throws(() => hook(), /infra\/hooks\/pre-deploy is written for python3/);
});
