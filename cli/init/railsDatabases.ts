import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../../common/problem.ts";
import { isMapping } from "../../kamal/configuration/settings.ts";
import { type RenderedYaml, readYamlWithErb } from "../../kamal/configuration/yamlWithErb.ts";

type Environment = Readonly<Record<string, string | undefined>>;
type Mapping = Readonly<Record<string, unknown>>;

/**
 * Names of the PostgreSQL databases that Rails uses in an environment, from `config/database.yml`: one, or the four that
 * Rails 8 has (primary, cache, queue, cable).
 * @param folder of the application
 * @param destination the section of that name counts where there is one, else `production`
 * @returns none where there is no such file, or it leaves a name to Ruby
 */
export function railsDatabases(
  folder: string,
  destination: string | undefined,
  env: Environment,
): string[] {
  const file = rendered(join(folder, "config/database.yml"), env);
  const sections = mappingOf(file?.value);
  const section = mappingOf(sections?.[destination ?? ""]) ?? mappingOf(sections?.["production"]);
  if (file === undefined || section === undefined) return [];
  const nested = Object.values(section).flatMap((value): Mapping[] => {
    const part = mappingOf(value);
    return part === undefined ? [] : [part];
  });
  const names = (nested.length > 0 ? nested : [section]).flatMap((part) =>
    isPostgres(part) && typeof part["database"] === "string" ? [part["database"]] : [],
  );
  const placeholders = [...file.opaque.keys()];
  const isOfRuby = (name: string) => placeholders.some((placeholder) => name.includes(placeholder));
  return names.some(isOfRuby) ? [] : [...new Set(names)];
}

/** A part with an address of its own may be at another server. */
function isPostgres(part: Mapping): boolean {
  return part["adapter"] === "postgresql" && part["url"] === undefined;
}

function mappingOf(value: unknown): Mapping | undefined {
  return isMapping(value) ? value : undefined;
}

/** The file is a hint, so one that cannot be read is none. */
function rendered(path: string, env: Environment): RenderedYaml | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return readYamlWithErb({ path, text: readFileSync(path, "utf8") }, env, "rails");
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}
