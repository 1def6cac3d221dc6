import assert from "node:assert/strict";
import { test } from "node:test";
import type { Accessory } from "../../../kamal/accessory.ts";
import {
  databaseAccessory,
  databaseDefaults,
  type VariableSource,
} from "../../../kamal/configuration/database.ts";
import { postgresMajor } from "../../../kamal/configuration/postgresImage.ts";
import {
  readMarkedBlock,
  removeMarkedBlock,
  writeMarkedBlock,
} from "../../../kamal/markedBlock.ts";
import { renderAccessoryBlock } from "../../../kamal/renderBlock.ts";
import { ACCESSORY } from "../fixtures.ts";
import { CONFIGURATIONS, type Configuration, configOf, type Expected } from "./configurations.ts";

function textOf(source: VariableSource | undefined): string | undefined {
  if (source === undefined) return undefined;
  const [[kind, value] = []] = Object.entries(source);
  return `${kind} ${value}`;
}

/** What is read of the database. */
function found(configuration: Configuration): Expected {
  const accessory = databaseAccessory(configOf(configuration));
  if (accessory === undefined) return { database: null };
  const { network, user, port } = databaseDefaults(accessory);
  const major = postgresMajor(accessory.image ?? "");
  const written = textOf(user);
  return {
    database: accessory.name,
    host: accessory.hosts.join(),
    network,
    ...(port && "value" in port && { port: port.value }),
    ...(written !== undefined && { user: written }),
    ...(major !== undefined && { major }),
  };
}

test("there are at least 80 configurations, each another", () => {
  const texts = CONFIGURATIONS.map(({ base, destination }) => `${base}\0${destination}`);
  assert.ok(new Set(texts).size >= 80, String(texts.length));
  assert.equal(new Set(texts).size, texts.length);
});

for (const configuration of CONFIGURATIONS) {
  test(configuration.name, () => {
    assert.deepEqual(found(configuration), configuration.expected);

    const { base, destination } = configuration;
    const text = destination ?? base;
    const accessory: Accessory = {
      ...ACCESSORY,
      ...(destination !== undefined && { destination: "production" }),
      network: configuration.expected.network ?? "kamal",
    };
    const block = renderAccessoryBlock(accessory);
    const written = writeMarkedBlock(text, "shop", block, "accessories");
    assert.equal(writeMarkedBlock(written, "shop", block, "accessories"), written);
    assert.equal(readMarkedBlock(written, "shop"), block);
    assert.equal(removeMarkedBlock(written, "shop"), text);

    const after = {
      ...configuration,
      ...(destination === undefined ? { base: written } : { destination: written }),
    };
    assert.deepEqual(found(after), configuration.expected);
    const [before, now] = [configuration, after].map((each) => configOf(each).accessories);
    const ours = now?.["db_backup"];
    assert.deepEqual(ours?.hosts, ["192.0.2.10"]);
    assert.equal(ours?.network, accessory.network);
    assert.deepEqual(
      Object.keys(now ?? {}).sort(),
      [...Object.keys(before ?? {}), "db_backup"].sort(),
    );
  });
}
