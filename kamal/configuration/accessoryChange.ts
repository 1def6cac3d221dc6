import { isDeepStrictEqual } from "node:util";
import { Problem } from "../../common/problem.ts";
import { isMapping } from "./settings.ts";
import { readYamlWithErb } from "./yamlWithErb.ts";

type Mapping = Readonly<Record<string, unknown>>;

/**
 * Checks a deploy.yml that an accessory was added to by its lines: to YAML it must be what it was, and this accessory. YAML can
 * be written in more ways than lines tell: a mapping in braces, a key with a tag or an anchor, a text that keeps its line ends.
 * @param before without the accessory. What is no YAML before is not judged: it is refused where the configuration is read
 * @param block the accessory alone, under its key
 * @throws Problem that names the accessory that is there already, or what would be another
 */
export function requireAdded(before: string, after: string, block: string): void {
  const original = read(before);
  const [added] = Object.entries(mapping(read(block)) ?? {});
  if (original === undefined || added === undefined) return;
  const values = mapping(original ?? {});
  const accessories = mapping(values?.["accessories"] ?? {});
  const [key, accessory] = added;
  if (accessories !== undefined && key in accessories) {
    throw new Problem(
      `accessories.${key} is already there, by a merge (<<) or under a key that is written in another way, and is not written by kamal-postgres-backup. Rename or remove it, or give the backup's accessory another key with kamal.accessory.`,
    );
  }
  const expected = { ...values, accessories: { ...accessories, [key]: accessory } };
  const found = mapping(read(after));
  if (accessories !== undefined && isDeepStrictEqual(found, expected)) return;
  const what =
    found === undefined
      ? "it would no longer be YAML"
      : `Kamal would read ${differingPath(found, expected)} otherwise`;
  throw new Problem(
    `deploy.yml is written in a way that no accessory can be added to: ${what}. Write "accessories:" at the margin, and below it each accessory on lines of its own.`,
  );
}

/**
 * Checks a deploy.yml that an accessory was taken out of by its lines: to YAML it must be what it was, without this accessory.
 * @throws Problem that names what would be another: something else in the file may have taken it from there, by an alias
 */
export function requireRemoved(before: string, after: string, key: string): void {
  const values = mapping(read(before) ?? {});
  const accessories = mapping(values?.["accessories"]);
  if (values === undefined || accessories === undefined) return;
  const { [key]: _, ...left } = accessories;
  const { accessories: __, ...others } = values;
  const expected = Object.keys(left).length === 0 ? others : { ...others, accessories: left };
  const rest = read(after);
  const found = mapping(rest ?? {});
  if (isDeepStrictEqual(found, expected)) return;
  const what =
    found === undefined || rest === undefined
      ? "the rest would no longer be YAML"
      : `Kamal would read ${differingPath(found, expected)} otherwise`;
  throw new Problem(
    `accessories.${key} cannot be taken out of its file: ${what}. Where another part of the file takes something from it (an alias, *NAME), write that out there.`,
  );
}

/**
 * What only Ruby could evaluate stands there as it is written: its stand-ins are numbered, and others where one is gone.
 * @returns undefined for what is no YAML, null for a file without values
 */
function read(text: string): unknown {
  try {
    const { value, opaque } = readYamlWithErb({ path: "deploy.yml", text }, {}, "changed");
    if (opaque.size === 0) return value ?? null;
    let json = JSON.stringify(value ?? null);
    for (const [placeholder, { expression }] of opaque) {
      json = json.replaceAll(placeholder, JSON.stringify(expression).slice(1, -1));
    }
    return JSON.parse(json);
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

function mapping(value: unknown): Mapping | undefined {
  return isMapping(value) ? value : undefined;
}

/** The shortest path below which nothing more can be told. */
function differingPath(found: Mapping, expected: Mapping): string {
  const names = Object.keys({ ...expected, ...found });
  const name = names.find((each) => !isDeepStrictEqual(found[each], expected[each]));
  if (name === undefined) return "the file";
  const [one, other] = [mapping(found[name]), mapping(expected[name])];
  return one && other ? `${name}.${differingPath(one, other)}` : name;
}
