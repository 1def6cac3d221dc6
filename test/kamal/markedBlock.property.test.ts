import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readKamalConfig } from "../../kamal/configuration/config.ts";
import { readMarkedBlock, removeMarkedBlock, writeMarkedBlock } from "../../kamal/markedBlock.ts";
import { renderAccessoryBlock } from "../../kamal/renderBlock.ts";
import { ACCESSORY } from "./fixtures.ts";

const BLOCK = renderAccessoryBlock(ACCESSORY);

/** What stands before and after `accessories:`, with and without Ruby that encloses it. */
const section = fc.constantFrom(
  "service: shop\n",
  "\n",
  "  \n",
  "# note\n",
  "# accessories:\n",
  "ssh:\n  user: x\n",
  "ssh:\n  user: <%= ENV['SSH_USER'] || 'deploy' %>\n",
  "x-note: |\n  accessories: no\n\n  more\n",
  "<% if a %>\n<% end %>\n",
  "<%# a comment\nof two lines %>\n",
  "<%\n  accessories = 1\n%>\n",
  "<% if ENV['B'] %>\nbuilder:\n  arch: amd64\n<% else %>\nbuilder:\n  arch: arm64\n<% end %>\n",
);
/** One accessory of the user's, in columns as they come. */
const child = fc.constantFrom(
  "db:\n  image: postgres\n",
  "db:\n  image: z # last\n  # port: 5432\n",
  "'db': { image: x }\n",
  "db:\n\n  # between\n  image: <%= image %>\n",
  "<% if ENV['CACHE'] %>\nredis:\n  image: redis\n<% end %>\n",
  "<% %w[a b].each do |name| %>\ncache_<%= name %>:\n  image: redis\n<% end %>\n",
);
const mapping = fc
  .tuple(
    fc.constantFrom("accessories:", '"accessories":', "accessories: # ours", "accessories: &all"),
    fc.integer({ min: 1, max: 4 }),
    // No accessory twice.
    fc.uniqueArray(child, { maxLength: 3, selector: (text) => /\w+/.exec(text)?.[0] }),
  )
  .map(([head, indent, children]) => {
    // Ruby's own lines stay where people put them, at the margin.
    const lines = children.join("").replace(/^(?=[^\n<])/gm, " ".repeat(indent));
    return `${head}\n${lines}`;
  });
const ending = fc.record({ crlf: fc.boolean(), open: fc.boolean() });
/** A deploy.yml as people write them, whole or not. */
const file = fc
  .tuple(
    fc.array(section, { maxLength: 4 }),
    fc.option(mapping),
    fc.array(section, { maxLength: 4 }),
    ending,
  )
  .map(([before, accessories, after, { crlf, open }]) => {
    const text = [...before, accessories ?? "", ...after].join("");
    const ended = open ? text.replace(/\n$/, "") : text;
    return crlf ? ended.replaceAll("\n", "\r\n") : ended;
  });
const place = fc.constantFrom<"accessories" | undefined>("accessories", undefined);

test("a block is read back as it was given, whatever the file indents; twice is as once; once removed, the bytes are as they were", () => {
  fc.assert(
    fc.property(file, place, (text, under) => {
      const written = writeMarkedBlock(text, "shop", BLOCK, under);
      assert.equal(readMarkedBlock(written, "shop"), BLOCK);
      assert.equal(writeMarkedBlock(written, "shop", BLOCK, under), written);
      assert.equal(removeMarkedBlock(written, "shop"), text);
      assert.equal(removeMarkedBlock(text, "shop"), text);
      const ends = (of: string) => new Set(of.match(/\r?\n/g));
      if (text.includes("\n"))
        assert.deepEqual(ends(written), ends(text), "lines end as the file's do");
      if (under === undefined) return;
      const config = readKamalConfig({ base: { path: "deploy.yml", text: written }, env: {} });
      const accessory = config.accessories["db_backup"];
      assert.deepEqual({ ...accessory?.env.clear }, ACCESSORY.clear, "as Kamal reads it");
      assert.deepEqual(accessory?.env.secret, ACCESSORY.secrets, "as Kamal reads it");
    }),
    { numRuns: 600 },
  );
});

test("two backups in one file: removed in either order, the bytes are as they were", () => {
  const blog = renderAccessoryBlock({ ...ACCESSORY, key: "blog_backup" });
  fc.assert(
    fc.property(file, fc.boolean(), (text, swapped) => {
      const one = writeMarkedBlock(text, "shop", BLOCK, "accessories");
      const both = writeMarkedBlock(one, "blog", blog, "accessories");
      assert.equal(readMarkedBlock(both, "shop"), BLOCK);
      assert.equal(readMarkedBlock(both, "blog"), blog);
      const [first, second] = swapped ? ["shop", "blog"] : ["blog", "shop"];
      assert.equal(removeMarkedBlock(removeMarkedBlock(both, first ?? ""), second ?? ""), text);
    }),
    { numRuns: 300 },
  );
});
