import assert from "node:assert/strict";
import { test } from "node:test";
import { removeAccessory } from "../../kamal/accessoriesSection.ts";
import { requireRemoved } from "../../kamal/configuration/accessoryChange.ts";
import { readKamalConfig } from "../../kamal/configuration/config.ts";
import { readMarkedBlock, removeMarkedBlock, writeMarkedBlock } from "../../kamal/markedBlock.ts";
import { renderAccessoryBlock } from "../../kamal/renderBlock.ts";
import { ACCESSORY, DEPLOY, STAGING } from "./fixtures.ts";

const BLOCK = "  db_backup:\n    image: x\n";
const OPEN = "# >>> kamal-postgres-backup shop (written by pulumi up; edits here count as drift)";
const CLOSE = "# <<< kamal-postgres-backup shop";

/** Writes, and holds what every write must keep. */
function write(text: string, block = BLOCK, place: "accessories" | "end" = "accessories"): string {
  const under = place === "end" ? undefined : place;
  const written = writeMarkedBlock(text, "shop", block, under);
  assert.equal(readMarkedBlock(written, "shop"), block);
  assert.equal(writeMarkedBlock(written, "shop", block, under), written, "twice is as once");
  assert.equal(removeMarkedBlock(written, "shop"), text, "removal gives the original bytes");
  assert.equal(removeMarkedBlock(text, "shop"), text);
  return written;
}

const PLACES: readonly (readonly [name: string, text: string, written: string])[] = [
  [
    "after the last accessory, before the next section and its comment",
    "service: shop\naccessories:\n  db:\n    image: postgres # the database\n    # port: 5432\n\n# Next\nssh:\n  user: deploy\n",
    `service: shop\naccessories:\n  db:\n    image: postgres # the database\n    # port: 5432\n  ${OPEN}\n  db_backup:\n    image: x\n  ${CLOSE}\n\n# Next\nssh:\n  user: deploy\n`,
  ],
  [
    "with the indentation of its siblings",
    "accessories:\n    db:\n        image: postgres\n",
    `accessories:\n    db:\n        image: postgres\n    ${OPEN}\n    db_backup:\n      image: x\n    ${CLOSE}\n`,
  ],
  [
    "with an indentation of one",
    "accessories:\n db:\n  image: postgres\n",
    `accessories:\n db:\n  image: postgres\n ${OPEN}\n db_backup:\n   image: x\n ${CLOSE}\n`,
  ],
  [
    "below an empty mapping with an anchor",
    "accessories: &all # none yet\nssh: {}\n",
    `accessories: &all # none yet\n  ${OPEN}\n  db_backup:\n    image: x\n  ${CLOSE}\nssh: {}\n`,
  ],
  [
    "at the end of a file without the key",
    "service: shop\n",
    `service: shop\n${OPEN}\naccessories:\n  db_backup:\n    image: x\n${CLOSE}\n`,
  ],
  ["in an empty file", "", `${OPEN}\naccessories:\n  db_backup:\n    image: x\n${CLOSE}\n`],
  [
    "in a file that does not end its last line",
    "accessories:\n  db:\n    image: postgres",
    `accessories:\n  db:\n    image: postgres\n  ${OPEN}\n  db_backup:\n    image: x\n  ${CLOSE}`,
  ],
  [
    "in a file without the key that does not end its last line",
    "service: shop",
    `service: shop\n${OPEN}\naccessories:\n  db_backup:\n    image: x\n${CLOSE}`,
  ],
  [
    "in a file with CRLF",
    "accessories:\r\n  db:\r\n    image: postgres\r\n",
    `accessories:\r\n  db:\r\n    image: postgres\r\n  ${OPEN}\r\n  db_backup:\r\n    image: x\r\n  ${CLOSE}\r\n`,
  ],
  [
    "behind an ERB condition that closes within the mapping",
    'accessories:\n<% if ENV["A"] %>\n  db:\n    image: postgres\n<% end %>\n\n<% if ENV["B"] %>\nssh: {}\n<% end %>\n',
    `accessories:\n<% if ENV["A"] %>\n  db:\n    image: postgres\n<% end %>\n  ${OPEN}\n  db_backup:\n    image: x\n  ${CLOSE}\n\n<% if ENV["B"] %>\nssh: {}\n<% end %>\n`,
  ],
  [
    "not fooled by words in ERB and comments",
    '<%\naccessories: nil\n%>\n# accessories:\nx-note: |\n  accessories: no\n"accessories":\n  db: { image: postgres }\n',
    `<%\naccessories: nil\n%>\n# accessories:\nx-note: |\n  accessories: no\n"accessories":\n  db: { image: postgres }\n  ${OPEN}\n  db_backup:\n    image: x\n  ${CLOSE}\n`,
  ],
];

for (const [name, text, written] of PLACES) {
  test(`accessory: ${name}`, () => assert.equal(write(text), written));
}

test("a secrets file", () => {
  const block = "A='1'\nB='2'\n";
  assert.equal(write("X=1\n", block, "end"), `X=1\n${OPEN}\n${block}${CLOSE}\n`);
  assert.equal(write("X=1", block, "end"), `X=1\n${OPEN}\nA='1'\nB='2'\n${CLOSE}`);
  assert.equal(write("", block, "end"), `${OPEN}\n${block}${CLOSE}\n`);
  assert.equal(write("X=1\r\n", block, "end"), `X=1\r\n${OPEN}\r\nA='1'\r\nB='2'\r\n${CLOSE}\r\n`);
  assert.equal(write("X=1\n", "", "end"), `X=1\n${OPEN}\n${CLOSE}\n`);
});

test("a new block takes the old one's place", () => {
  const text = `a: 1\naccessories:\n  # >>> kamal-postgres-backup shop\n  db_backup:\n    image: old\n    more: y\n  ${CLOSE}\n  db:\n    image: postgres\n`;
  assert.equal(readMarkedBlock(text, "shop"), "  db_backup:\n    image: old\n    more: y\n");
  assert.equal(
    writeMarkedBlock(text, "shop", BLOCK, "accessories"),
    `a: 1\naccessories:\n  ${OPEN}\n  db_backup:\n    image: x\n  ${CLOSE}\n  db:\n    image: postgres\n`,
  );
});

test("a block that someone moved out of the mapping comes back into it", () => {
  const moved = `accessories:\n  db:\n    image: postgres\nenv:\n  ${OPEN}\n  db_backup:\n    image: x\n  ${CLOSE}\n  clear: {}\n`;
  assert.equal(
    writeMarkedBlock(moved, "shop", BLOCK, "accessories"),
    `accessories:\n  db:\n    image: postgres\n  ${OPEN}\n  db_backup:\n    image: x\n  ${CLOSE}\nenv:\n  clear: {}\n`,
  );
});

test("our key makes room for the user's own mapping", () => {
  const text = `${write("service: shop\n")}accessories:\n  db:\n    image: postgres\n`;
  assert.equal(
    writeMarkedBlock(text, "shop", BLOCK, "accessories"),
    `service: shop\naccessories:\n  db:\n    image: postgres\n  ${OPEN}\n  db_backup:\n    image: x\n  ${CLOSE}\n`,
  );
});

test("two backups in one file, removed in either order", () => {
  const blog = "  blog_backup:\n    image: y\n";
  for (const text of [
    "service: shop\n",
    "service: shop\naccessories:\n  db:\n    image: postgres\n",
  ]) {
    const one = write(text);
    const both = writeMarkedBlock(one, "blog", blog, "accessories");
    assert.equal(readMarkedBlock(both, "shop"), BLOCK);
    assert.equal(readMarkedBlock(both, "blog"), blog);
    assert.equal(writeMarkedBlock(both, "shop", BLOCK, "accessories"), both);
    assert.equal(removeMarkedBlock(both, "blog"), one);
    const second = removeMarkedBlock(both, "shop");
    assert.equal(readMarkedBlock(second, "blog"), blog);
    const env = { DB_HOST: "h" };
    const { accessories } = readKamalConfig({ base: { path: "deploy.yml", text: second }, env });
    assert.equal(accessories["blog_backup"]?.image, "y");
    assert.equal(removeMarkedBlock(second, "blog"), text);
  }
});

test("the user's accessories below our key keep it when we go", () => {
  const text = `${write("service: shop\n")}  redis:\n    image: redis\n`;
  assert.equal(
    removeMarkedBlock(text, "shop"),
    "service: shop\naccessories:\n  redis:\n    image: redis\n",
  );
});

const REFUSED: readonly (readonly [text: string, message: RegExp])[] = [
  [
    "accessories:\n  db_backup:\n    image: y\n",
    /^accessories\.db_backup is already there \(line 2\) and is not written by kamal-postgres-backup\. Rename/,
  ],
  ['accessories:\n  "db_backup": { image: y }\n', /is not written by kamal-postgres-backup/],
  [
    "accessories:\n  # >>> kamal-postgres-backup blog (x)\n  db_backup:\n    image: y\n  # <<< kamal-postgres-backup blog\n",
    /line 3\) and is another backup's/,
  ],
  ["accessories: {}\n", /line 1: accessories: is followed by "\{\}" on its line/],
  ["accessories: { db: { image: x } }\n", /is followed by/],
  ["accessories: *defaults\n", /is followed by "\*defaults"/],
  ["accessories: ~\n", /is followed by "~"/],
  ["accessories:\n  a: {}\naccessories:\n  b: {}\n", /accessories: 2 times \(lines 1, 3\)/],
  ["a: 1\n---\nb: 1\n", /line 2 ends the YAML document/],
  [
    "accessories:\n  { db: { image: x } }\n",
    /no accessory can be added to: it would no longer be YAML\./,
  ],
  ["x: &x\n  db: { image: y }\naccessories:\n  *x\n", /it would no longer be YAML\./],
  [
    "? accessories\n: db: { image: y }\n",
    /Kamal would read accessories\.db otherwise\. Write "accessories:"/,
  ],
  ["  accessories:\n    db: { image: y }\n", /it would no longer be YAML\./],
  ["accessories:\n  - db\n", /it would no longer be YAML/],
  [
    "accessories:\n  db:\n    cmd: |+\n      a\n\n\n",
    /Kamal would read accessories\.db\.cmd otherwise/,
  ],
  ...[
    '  "db\\u005fbackup": { image: y }\n',
    "  !!str db_backup: { image: y }\n",
    "  &b db_backup: { image: y }\n",
    "  :db_backup: { image: y }\n",
    "  ? db_backup\n  : { image: y }\n",
    "  <<: { db_backup: { image: y } }\n",
  ].map(
    (line) =>
      [
        `accessories:\n  db: { image: x }\n${line}`,
        /^accessories\.db_backup is already there, by a merge \(<<\) or under a key that is written in another way/,
      ] as const,
  ),
  [`${OPEN}\n`, /damaged: 1 open \(# >>>\), 0 close/],
  [`${CLOSE}\n`, /damaged: 0 open \(# >>>\), 1 close/],
  [`${CLOSE}\n${OPEN}\n`, /damaged: 1 open/],
  [`${OPEN}\n${CLOSE}\n${OPEN}\n${CLOSE}\n`, /damaged: 2 open \(# >>>\), 2 close/],
];

for (const [text, message] of REFUSED) {
  test(`refused: ${JSON.stringify(text)}`, () => {
    assert.throws(() => writeMarkedBlock(text, "shop", BLOCK, "accessories"), {
      name: "Problem",
      message,
    });
  });
}

test("damaged markers are refused on reading and removing; another backup's are left alone", () => {
  assert.throws(() => readMarkedBlock(`${OPEN}\n`, "shop"), { name: "Problem" });
  assert.throws(() => removeMarkedBlock(`${OPEN}\n`, "shop"), { name: "Problem" });
  assert.equal(readMarkedBlock(`${OPEN}\n${CLOSE}\n`, "sho"), undefined);
  assert.equal(readMarkedBlock("# >>> kamal-postgres-backup shop2\n", "shop"), undefined);
  assert.throws(
    () => writeMarkedBlock("", "a b", BLOCK, undefined),
    /"a b" cannot name a marked block/,
  );
});

test("realistic files: Kamal finds the accessory, everything else stays", () => {
  const block = renderAccessoryBlock(ACCESSORY);
  const base = { ...DEPLOY, text: write(DEPLOY.text, block) };
  const destination = { ...STAGING, text: write(STAGING.text, block) };
  const env = { DB_HOST: "192.0.2.20" };
  for (const files of [
    { base, env },
    { base: DEPLOY, destination, env },
  ]) {
    const accessory = readKamalConfig(files).accessories["db_backup"];
    assert.deepEqual({ ...accessory?.env.clear }, ACCESSORY.clear);
    assert.deepEqual(accessory?.env.secret, ACCESSORY.secrets);
    assert.equal(accessory?.image, ACCESSORY.image);
  }
});

const REMOVALS: readonly (readonly [name: string, text: string, left: string])[] = [
  [
    "the first, and what leads to the next stays",
    "accessories:\n  old:\n    image: x\n    # its port\n    port: 1\n\n  # The cache.\n  redis:\n    image: redis\n",
    "accessories:\n\n  # The cache.\n  redis:\n    image: redis\n",
  ],
  [
    "the last, before another section",
    "accessories:\n  db:\n    image: y\n  old:\n    image: x\n\n# Next\nssh: {}\n",
    "accessories:\n  db:\n    image: y\n\n# Next\nssh: {}\n",
  ],
  [
    "the only one",
    "service: a\naccessories:\n  old:\n    image: x\nssh: {}\n",
    "service: a\nssh: {}\n",
  ],
  [
    "none of that name",
    "accessories:\n  db:\n    image: y\n",
    "accessories:\n  db:\n    image: y\n",
  ],
];
test("a removal that makes the rest another file is refused, one beside ERB that only Ruby can evaluate is not", () => {
  const other = "  redis:\n    image: redis\n    env: { A: <%= two %> }\n";
  const old = "  old:\n    image: <%= one %>\n    env: &env { A: b }\n";
  const fine = `accessories:\n${old}${other}`;
  requireRemoved(fine, removeAccessory(fine, "old"), "old");
  const only = `service: a\naccessories:\n${old}`;
  requireRemoved(only, removeAccessory(only, "old"), "old");
  for (const [text, message] of [
    [`${fine}x: *env\n`, /would no longer be YAML/],
    [`${fine}x: &env { C: d }\n`, undefined],
  ] as const) {
    const check = () => requireRemoved(text, removeAccessory(text, "old"), "old");
    if (message === undefined) check();
    else assert.throws(check, message);
  }
  assert.throws(
    () => requireRemoved(fine, `accessories:\n${other.replace("redis:", "r:")}`, "old"),
    {
      name: "Problem",
      message: /Kamal would read accessories\.redis otherwise/,
    },
  );
});

for (const [name, text, left] of REMOVALS) {
  test(`an accessory is taken out: ${name}`, () => {
    assert.equal(removeAccessory(text, "old"), left);
  });
}
