import { readFileSync, writeFileSync } from "node:fs";
import { parseDocument } from "yaml";

/** Settings by name, without the program's namespace, or with another one (`pulumi:disable-default-providers`). */
export type StackSettings = Readonly<Record<string, string | undefined>>;

/**
 * Writes settings into a stack's file, as an editor would. `pulumi config set` is a run of Pulumi for each.
 * @param project whose settings those without a namespace are
 * @param settings over what stands there; `undefined` takes a setting out
 * @param from the file whose settings count instead of those that stand there; the salt of the secrets is kept
 */
export function writeSettings(
  file: string,
  project: string,
  settings: StackSettings,
  from = file,
): void {
  const document = parseDocument(readFileSync(file, "utf8"));
  if (from !== file) {
    document.set("config", parseDocument(readFileSync(from, "utf8")).get("config"));
  }
  for (const [name, value] of Object.entries(settings)) {
    const path = ["config", name.includes(":") ? name : `${project}:${name}`];
    if (value === undefined) document.deleteIn(path);
    else document.setIn(path, value);
  }
  writeFileSync(file, String(document));
}
