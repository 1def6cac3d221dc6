/**
 * Tells which tables a pattern names: `events` or `audit.log`, with `*` for any characters. One without a schema names the
 * tables of that name in every schema.
 * @example tablesLike("staging.*")({ schema: "staging", name: "users" }) // true
 */
export function tablesLike(
  pattern: string,
): (table: { readonly schema: string | null; readonly name: string }) => boolean {
  const form = new RegExp(`^${pattern.split("*").map(escaped).join(".*")}$`, "s");
  return ({ schema, name }) =>
    form.test(name) || (schema !== null && form.test(`${schema}.${name}`));
}

/** What is wrong with a list of tables that may go, as the end of a sentence that begins with its setting; null: nothing. */
export function transientTablesFault(patterns: readonly string[]): string | null {
  for (const pattern of patterns) {
    if (pattern === "" || pattern !== pattern.trim() || pattern.includes(",")) {
      return `has "${pattern}", which cannot be given to the container: a name must not be empty, hold a comma, or begin or end with white space. Write * for such characters.`;
    }
    if (/^[*.]+$/.test(pattern)) {
      return `has "${pattern}", which names every table: no loss of a table would be noticed. Name those that come and go, for instance staging.* or import_*.`;
    }
  }
  return null;
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
