import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { outputs } from "../support/factories.ts";
import { Outside } from "../support/run.ts";

test("the outputs: from a file without Pulumi, by name, by host, and every way to miss", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups();
  const second = {
    ...outputs,
    name: "blog",
    database: "blog",
    hosts: [{ ...outputs.hosts[0], host: "192.0.2.20" }, ...outputs.hosts],
  };
  const files: Record<string, unknown> = {
    "both.json": { a: outputs, b: second, url: "https://example.com" },
    "one.json": outputs,
    "none.json": { url: "x" },
    "newer.json": { a: { ...outputs, version: 2 } },
  };
  for (const [name, value] of Object.entries(files)) {
    await writeFile(join(outside.folder, name), JSON.stringify(value));
  }
  await writeFile(join(outside.folder, "text.json"), "url: x");
  const rows: [string[], number, RegExp][] = [
    [["--outputs", "one.json"], 0, /^shop_production /],
    [["--outputs", "both.json", "--name", "blog"], 0, /^blog /],
    [["--outputs", "both.json"], 1, /several backups: shop, blog\. Choose one with --name/],
    [["--outputs", "both.json", "--name", "x"], 1, /--name x: the stack has shop, blog/],
    [["--outputs", "one.json", "--host", "x"], 1, /--host x: shop-db_backup runs on 192\.0\.2\.10/],
    [["--outputs", "none.json"], 1, /publishes no backup \(outputs: url\)\. Run pulumi up first/],
    [["--outputs", "newer.json"], 1, /written by another version/],
    [["--outputs", "text.json"], 1, /is not JSON\. Make it with: pulumi stack output --json/],
    [
      ["--outputs", "absent.json"],
      1,
      /--outputs absent\.json cannot be read: there is no such file\./,
    ],
  ];
  for (const [args, code, said] of rows) {
    const result = await outside.run(["list", ...args]);
    assert.match(code === 0 ? result.stdout : result.stderr, said, args.join(" "));
    // Nothing is in the bucket, which is bad news.
    assert.equal(result.code, code === 0 ? 7 : code);
  }
  assert.deepEqual(await outside.calls("pulumi"), []);
  const onSecond = ["--outputs", "both.json", "--name", "blog", "--host", "192.0.2.20"];
  await outside.run(["list", ...onSecond]);
  assert.ok((await outside.calls("ssh")).at(-1)?.includes("deploy@192.0.2.20"));
});

test("what Pulumi lacks is named with what helps against it", async (t) => {
  const outside = await Outside.open(t);
  const rows: [err: string, remedy: RegExp][] = [
    [
      "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions",
      /sessions\. Log in: pulumi login, with --local .*PULUMI_BACKEND_URL/,
    ],
    [
      "error: get stack secrets manager: passphrase must be set with PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE environment variables",
      /variables\. Set PULUMI_CONFIG_PASSPHRASE, or PULUMI_CONFIG_PASSPHRASE_FILE, to/,
    ],
    ["error: getting secrets manager: incorrect passphrase", /is another one than the stack's/],
    [
      "error: no resource plugin 'pulumi-resource-aws' found in the workspace or on your $PATH",
      /PATH\. Install the project's plugins, .*: pulumi install/,
    ],
    [
      "error: no Pulumi.yaml project file found (searching upwards from /tmp).",
      /from \/tmp\)\. Say where with --cwd and --stack/,
    ],
    ["error: no stack named 'x' found", /found\. Say where with --cwd and --stack/],
    [
      "error: the backend has a bad day.",
      /a bad day\. Give saved outputs with --outputs FILE\.\n$/,
    ],
  ];
  for (const [err, remedy] of rows) {
    await outside.answer("outputs", { err: `${err}\n`, code: 255 });
    const list = await outside.run(["list"]);
    assert.equal(list.code, 1);
    assert.match(list.stderr, remedy);
    assert.match(list.stderr, /give saved outputs with --outputs FILE\.\n$/i);
    const drift = await outside.run(["drift"]);
    assert.equal(drift.code, 1);
    assert.doesNotMatch(drift.stderr, /--outputs/, "saved outputs are no help to drift");
  }
  await rm(join(outside.folder, "pulumi"));
  assert.match(
    (await outside.run(["list"])).stderr,
    /^error: pulumi is not on PATH\. Install it as /,
  );
  assert.match(
    (await outside.run(["list", "--cwd", "nowhere"])).stderr,
    /^error: --cwd \S+nowhere: there is no such folder\.\n$/,
  );
});
