import assert from "node:assert/strict";
import { test } from "node:test";
import { Journal } from "../../../agent/runtime/journal.ts";

test("a failure says that nothing was changed only as long as nothing stands", () => {
  const journal = new Journal();
  const sentence = "the database for the restore could not be made: no room. Nothing was changed.";
  assert.equal(journal.corrected(sentence), sentence);
  journal.stays("shop_restore_1", 'the unfinished "shop_restore_1" is left');
  journal.tidied("shop_restore_1", "the unfinished database was dropped");
  assert.equal(journal.corrected(sentence), sentence);
  journal.stays("roles", 'the roles "app" were made');
  assert.equal(
    journal.corrected(sentence),
    'the database for the restore could not be made: no room. No database was changed, but the roles "app" were made.',
  );
  assert.equal(journal.corrected("it failed."), "it failed.");
});

test("what was begun may stand when the run is stopped, and what has failed does not", () => {
  const journal = new Journal();
  journal.stays("shop_restore_1", 'an empty "shop_restore_1" may be left');
  assert.equal(journal.ending(), ': an empty "shop_restore_1" may be left');
  journal.withdrawn("shop_restore_1");
  assert.equal(journal.ending(), "; nothing was stored or changed");
});
