import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type * as Components from "../../../components/index.ts";
import { applied } from "../application.ts";
import { declare } from "../mocks.ts";

const app = applied();

/** The block of deploy.yml. */
async function block(changes: Partial<Components.PostgresBackupArgs>): Promise<string> {
  const declared = await declare(false, () => [app.backup(changes).outputs]);
  return String(declared.find(({ type }) => type.endsWith(":RenderedBlock"))?.inputs["block"]);
}

describe("a place to unpack in", () => {
  for (const scratch of ["shop-scratch", "/srv/scratch", "/srv/été/über_2"]) {
    test(`${scratch} is mounted at /scratch`, async () => {
      assert.match(
        await block({ scratch }),
        new RegExp(`volumes:\\n +- "?${scratch}:/scratch"?\\n`),
      );
    });
  }

  test("is not mounted unless asked for", async () => {
    assert.doesNotMatch(await block({}), /volumes|scratch/);
  });

  test("stands beside the folder of the metrics", async () => {
    const both = { scratch: "shop-scratch", notices: { metricsFile: "/var/lib/node/shop.prom" } };
    assert.match(
      await block(both),
      /volumes:\n +- \/var\/lib\/node:\/var\/lib\/node\n +- shop-scratch:\/scratch\n/,
    );
  });

  for (const scratch of [
    "",
    "/",
    "x",
    "srv/scratch",
    "./scratch",
    "~/scratch",
    "/srv/../scratch",
    "/srv//scratch",
    "/srv/scratch/",
    "/srv/my scratch",
    "/srv/$HOME",
    "/srv:/scratch",
    "shop-scratch:/scratch",
    "été",
  ]) {
    test(`refused in one sentence: "${scratch}"`, () =>
      assert.rejects(block({ scratch }), (error: Error) => {
        assert.ok(error.message.startsWith(`scratch "${scratch}" must be`), error.message);
        assert.match(error.message, /such as shop-scratch.*such as \/srv\/scratch/);
        assert.equal(error.message.includes("\n"), false);
        return true;
      }));
  }
});
