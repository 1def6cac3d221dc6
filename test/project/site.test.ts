import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { PAGES } from "./documents/markdown.ts";

describe("the site", () => {
  let site: string;
  let files: Map<string, string>;

  before(() => {
    site = mkdtempSync(join(tmpdir(), "site-"));
    const typedoc = resolve("node_modules/.bin/typedoc");
    const args = ["--options", "scripts/site/typedoc.json", "--out", site];
    const built = spawnSync(typedoc, args, { encoding: "utf8", timeout: 300_000 });
    // A warning is a failure there: a link of a comment or a page that leads nowhere.
    assert.equal(built.status, 0, `${built.stdout}${built.stderr}`);
    const pages = globSync("**/*.html", { cwd: site });
    files = new Map(pages.map((page) => [page, readFileSync(join(site, page), "utf8")]));
  });
  after(() => rmSync(site, { recursive: true, force: true }));

  it("has each page of the repository, under its heading", () => {
    for (const page of PAGES.filter((one) => one !== "README.md")) {
      const [, heading = ""] = /^# (.*)$/m.exec(readFileSync(page, "utf8")) ?? [];
      const name = heading.replaceAll("`", "");
      const found = [...files.values()].filter((text) => text.includes(`<title>${name} | `));
      assert.equal(found.length, 1, `${page}: ${name}`);
    }
    assert.match(files.get("index.html") ?? "", /It adds a backup container to/);
  });

  it("has every class and argument of the package's interface", () => {
    const index = readFileSync("components/index.ts", "utf8");
    const exported = [...index.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(
      ([, names = ""]) => names.split(",").map((name) => name.replace("type ", "").trim()),
    );
    const names = exported.filter(Boolean);
    assert.ok(names.length > 30, String(names.length));
    for (const name of names) {
      const pages = ["classes", "interfaces", "types"].map((kind) => `${kind}/index.${name}.html`);
      assert.ok(
        pages.some((page) => files.has(page)),
        name,
      );
    }
  });

  it("has no link that leads nowhere", () => {
    const broken: string[] = [];
    const anchors = new Map(
      [...files].map(([page, text]) => [
        page,
        new Set([...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)),
      ]),
    );
    for (const [page, text] of files) {
      for (const [, link = ""] of text.matchAll(/(?:href|src)="([^"]*)"/g)) {
        if (/^(?:https?:|data:)/.test(link)) continue;
        const [path = "", anchor] = link.split("#");
        const target = path === "" ? page : join(dirname(page), path);
        const isThere = existsSync(join(site, target));
        const known = anchors.get(target);
        if (!isThere || (anchor && known !== undefined && !known.has(decodeURIComponent(anchor)))) {
          broken.push(`${page}: ${link}`);
        }
      }
    }
    assert.deepEqual([...new Set(broken)], []);
  });
});
