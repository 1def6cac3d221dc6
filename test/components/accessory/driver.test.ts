import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bootOf,
  type DriverOptions,
  rebootCommand,
  resolveDriver,
} from "../../../components/accessory/driver.ts";
import { describeHost } from "../../../components/accessory/hostLook.ts";
import { asArgument } from "../../../components/pulumi/settingNames.ts";

const needs = { network: "kamal", database: "shop-db" };
const NAMES = { key: "db_backup", service: "shop", container: "shop-db_backup" };

function resolved(changes: Partial<DriverOptions> = {}) {
  const kamal = { config: "../shop/config/deploy.yml", destination: "production" };
  const image = { from: "registry", repository: "ghcr.io/acme/shop-db-backup" } as const;
  const options = { kamal, driver: undefined, image, needs, name: asArgument };
  return resolveDriver({ ...options, ...changes });
}

test("without a word pulumi up boots, over SSH", () => {
  assert.equal(resolved(), undefined);
  assert.equal(resolved({ driver: "ssh", image: { from: "host" } }), undefined);
});

test("Kamal is run in the application's folder, for its destination; for one of several hosts by its name", () => {
  const boot = resolved({ driver: "kamal" });
  assert.ok(boot);
  const place = ["-d", "production"];
  const folder = "../shop";
  assert.deepEqual(bootOf(boot, NAMES, { name: "192.0.2.10", isOnly: true }, 60), {
    folder,
    words: ["db_backup", ...place],
    patience: 60,
  });
  assert.deepEqual(bootOf(boot, NAMES, { name: "192.0.2.10", isOnly: false }, 0), {
    folder,
    words: ["db_backup", "-h", "192.0.2.10", ...place],
    patience: 0,
  });
});

test("with render nobody boots, and what is to be typed is known", () => {
  const render = resolved({ driver: "render", kamal: { config: "shop.yml" } });
  assert.ok(render);
  assert.equal(bootOf(render, NAMES, { name: "h", isOnly: true }, 0), "later");
  assert.equal(rebootCommand(render, NAMES), "kamal accessory reboot db_backup -c shop.yml");
});

test("what Kamal could not boot is refused", () => {
  for (const driver of ["kamal", "render"] as const) {
    assert.throws(
      () => resolved({ driver, image: { from: "host" } }),
      new RegExp(`driver "${driver}" and build "host" contradict each other`),
    );
  }
  const kamal = { config: "config/deploy.yml", secrets: "outputs" } as const;
  assert.throws(
    () => resolved({ driver: "kamal", kamal }),
    /driver "kamal" and kamal\.secrets "outputs" contradict each other/,
  );
  assert.ok(resolved({ driver: "render", kamal }));
});

const REBOOT = "kamal accessory reboot db_backup";
const looks: readonly [
  what: string,
  found: Record<string, string>,
  digest: string | undefined,
  sentence: RegExp | undefined,
][] = [
  ["all is there", { container: "x running 1a" }, undefined, undefined],
  ["nothing runs yet", {}, undefined, undefined],
  ["no Docker", { docker: "" }, undefined, /docker on h does not answer/],
  [
    "a foreign container",
    { container: "old:17 running" },
    undefined,
    /did not make: image old:17, running/,
  ],
  [
    "one of our image that somebody has started by hand",
    { container: "ghcr.io/acme/shop-db-backup:pg17-1a running" },
    undefined,
    undefined,
  ],
  [
    "one of another image of that registry",
    { container: "ghcr.io/acme/shop-db-backup-old:pg17 running" },
    undefined,
    /did not make: image ghcr\.io\/acme\/shop-db-backup-old:pg17/,
  ],
  [
    "no network",
    { network: "" },
    undefined,
    /network shop-private is not on h.*docker network create shop-private/,
  ],
  ["no database", { database: "" }, undefined, /container shop-db on h is missing/],
  ["a stopped database", { database: "exited" }, undefined, /container shop-db on h is exited/],
  [
    "podman",
    { podman: "4.3.1" },
    undefined,
    /^h: podman runs there in the place of Docker, which Kamal/,
  ],
  ["written and booted", { container: "x running 1a" }, "1a", undefined],
  [
    "written and not booted",
    {},
    "1a",
    /not yet as declared\. Run this .*: kamal accessory reboot db_backup$/,
  ],
  ["an earlier one", { container: "x running 0b" }, "1a", /not yet as declared/],
  ["one that ended", { container: "x exited 1a" }, "1a", /not yet as declared/],
];
for (const [what, found, digest, sentence] of looks) {
  test(`a host before Kamal boots there: ${what}`, () => {
    const lines: string[] = [];
    const add = (text: string) => void lines.push(text);
    const all = { docker: "28.1", network: "bridge", database: "running", ...found };
    const look = new Map(
      Object.entries(all).flatMap(([word, rest]) =>
        rest ? [[word, rest.split(" ")] as const] : [],
      ),
    );
    const expected = {
      container: "shop-db_backup",
      image: "ghcr.io/acme/shop-db-backup",
      network: "shop-private",
      database: "shop-db",
      reboot: REBOOT,
    };
    describeHost("h", expected, look, digest, { warn: add });
    assert.equal(lines.length, sentence === undefined ? 0 : 1, lines.join("\n"));
    if (sentence !== undefined) assert.match(lines[0] ?? "", sentence);
  });
}
