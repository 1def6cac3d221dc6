import assert from "node:assert/strict";
import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import { writerPolicy } from "../../../storage/bucket/iamPolicies.ts";
import { anchorsOf, blocksOf, linksOf, median, PAGES, sentenceLengths } from "./markdown.ts";

const MOST_WORDS = 600;
const LONGEST_MEDIAN = 12;

test(`README.md has at most ${MOST_WORDS} words, half of its sentences at most ${LONGEST_MEDIAN}`, () => {
  const text = readFileSync("README.md", "utf8");
  const shown = text.replaceAll(/<!--[\s\S]*?-->/g, "");
  const words = shown.split(/\s+/).filter((word) => word !== "").length;
  assert.ok(words <= MOST_WORDS, `${words} words`);
  const middle = median(sentenceLengths(text));
  assert.ok(middle <= LONGEST_MEDIAN, `the median sentence has ${middle} words`);
});

test("a sentence is counted in paragraphs and lists, not in tables, headings and blocks", () => {
  const text = `# A heading of five words\n\nOne two three. Four\nfive!\n\n- six seven\n- eight\n\n| nine |\n\n\`\`\`\nten\n\`\`\`\n`;
  assert.deepEqual(sentenceLengths(text), [3, 2, 2, 1]);
});

test("every link in README.md, docs/, examples/ and CONTRIBUTING.md leads to a file and a heading", () => {
  const broken = PAGES.flatMap((page) =>
    linksOf(readFileSync(page, "utf8"))
      .filter((link) => !isThere(page, link))
      .map((link) => `${page}: ${link}`),
  );
  assert.deepEqual(broken, []);
});

function isThere(page: string, link: string): boolean {
  if (/^https:\/\//.test(link)) return true;
  const [path = "", anchor] = link.split("#");
  const file = path === "" ? page : normalize(join(dirname(page), path));
  if (!existsSync(file)) return false;
  return anchor === undefined || anchorsOf(readFileSync(file, "utf8")).has(anchor);
}

test("an anchor is made as GitHub makes it", () => {
  const anchors = anchorsOf(
    "## Pulumi's state\n## No registry?\n## `a` and [b](c)\n## No registry?\n",
  );
  assert.deepEqual([...anchors], ["pulumis-state", "no-registry", "a-and-b", "no-registry-1"]);
});

test("a page of docs/ can be reached from README.md", () => {
  const seen = new Set<string>();
  const visit = (page: string) => {
    if (seen.has(page) || !existsSync(page)) return;
    seen.add(page);
    if (!page.endsWith(".md")) return;
    for (const link of linksOf(readFileSync(page, "utf8"))) {
      if (!link.startsWith("https:"))
        visit(normalize(join(dirname(page), link.split("#")[0] ?? "")));
    }
  };
  visit("README.md");
  assert.deepEqual(
    globSync("docs/**/*.*").filter((page) => !seen.has(page)),
    [],
  );
  assert.ok(readdirSync("docs").length <= 15);
});

test("the policy that docs/providers.md shows is the one that the keys made on AWS get", () => {
  const [policy] = blocksOf("docs/providers.md").filter(({ language }) => language === "json");
  assert.deepEqual(
    JSON.parse(policy?.lines.join("\n") ?? ""),
    writerPolicy({ bucket: "shop-backups", prefix: "shop", read: true }),
  );
});

/** A heading of docs/troubleshooting.md is a message, or a part of one; an ellipsis stands for a name. */
test("every message in docs/troubleshooting.md is one of the program's", () => {
  const sources = globSync("{agent,cli,common,components,kamal,stacks,storage}/**/*.ts").map(
    (file) => readFileSync(file, "utf8").replaceAll('\\"', '"'),
  );
  const page = readFileSync("docs/troubleshooting.md", "utf8");
  const messages = [...page.matchAll(/^### (.*)$/gm)].map(([, message = ""]) => message);
  assert.ok(messages.length > 20);
  const unknown = messages.filter((message) => {
    const parts = message.split("…").map((part) => part.trim());
    return !sources.some((source) => parts.every((part) => source.includes(part)));
  });
  assert.deepEqual(unknown, []);
});
