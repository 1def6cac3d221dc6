import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ArchiveItem } from "../../../../agent/archive/contents.ts";
import { select } from "../../../../agent/restore/load/selection.ts";

const item = (
  id: number,
  type: string,
  name: string,
  needs: number[] = [],
  more = {},
): ArchiveItem => ({
  ...{
    id,
    oid: id * 100,
    type,
    schema: "public",
    name,
    owner: "app",
    needs,
    sql: "",
    settings: "",
  },
  ...more,
});
const rows = (id: number, table: number) =>
  item(id, "TABLE DATA", "x", [], { oid: table * 100, schema: null });

/** Users, their orders, and events in two partitions with an index. */
const ITEMS = [
  item(1, "SCHEMA", "app", [], { schema: null }),
  item(2, "TYPE", "state"),
  item(3, "FUNCTION", "touch()"),
  item(10, "TABLE", "users"),
  item(11, "TABLE", "orders", [2]),
  item(12, "SEQUENCE", "orders_id_seq", [11]),
  item(13, "SEQUENCE OWNED BY", "orders_id_seq", [12, 11]),
  item(14, "DEFAULT", "orders id", [12, 11]),
  item(15, "COMMENT", "TABLE orders", [11]),
  item(16, "ACL", "TYPE state", [2]),
  item(17, "TABLE", "events"),
  item(18, "TABLE", "events_25"),
  item(19, "TABLE ATTACH", "events_25", [17, 18]),
  item(20, "VIEW", "totals", [11]),
  item(21, "TABLE", "old_orders", [11]),
  rows(30, 10),
  rows(31, 11),
  rows(32, 18),
  item(33, "SEQUENCE SET", "orders_id_seq", [12]),
  item(40, "CONSTRAINT", "users users_pkey", [10]),
  item(41, "INDEX", "orders_state", [11]),
  item(42, "INDEX", "events_at", [17]),
  item(43, "INDEX", "events_25_at", [18, 42]),
  item(44, "INDEX ATTACH", "events_25_at", [43, 42]),
  item(50, "FK CONSTRAINT", "orders orders_user_fkey", [11, 40]),
  item(51, "TRIGGER", "orders touch", [11, 3]),
];
const chosen = (...tables: string[]) => {
  const { leftOut, ...rest } = select({ items: ITEMS } as never, { tables });
  return { ...rest, ids: ITEMS.map(({ id }) => id).filter((id) => !leftOut.has(id)) };
};

describe("the tables that a restore is asked for", () => {
  for (const [table, ids, apart] of [
    ["users", [10, 30, 40], []],
    [
      "public.orders",
      [2, 3, 11, 12, 13, 14, 15, 31, 33, 41, 51],
      ["FK CONSTRAINT public.orders orders_user_fkey"],
    ],
    ["events", [17, 18, 19, 32, 42, 43, 44], []],
    ["old_orders", [2, 11, 21], []],
  ] as const) {
    it(`${table}: with what is theirs and what they need`, () => {
      const { ids: found, alongWith } = chosen(table);
      assert.deepEqual([found, alongWith], [ids, apart]);
    });
  }

  it("two of them with the foreign key between them", () => {
    const { ids, alongWith } = chosen("users", "orders");
    assert.ok(ids.includes(50));
    assert.deepEqual(alongWith, []);
  });

  it("one that is made for its definition alone is not compared", () => {
    assert.ok(chosen("old_orders").tables.has("public.orders"));
    assert.ok(!chosen("orders").tables.has("public.orders"));
  });
});
