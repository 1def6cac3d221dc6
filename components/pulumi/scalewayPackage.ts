import { createRequire } from "node:module";
import type * as Scaleway from "@pulumiverse/scaleway";
import { problemWithoutStack } from "../../common/problem.ts";

const NAME = "@pulumiverse/scaleway";

/** The optional package, loaded at once and not awaited, so that programs in the older module form can load this one. */
export const scaleway = load();

function load(): typeof Scaleway {
  try {
    return createRequire(import.meta.url)(NAME);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "MODULE_NOT_FOUND" || !message.includes(NAME)) throw error;
    throw problemWithoutStack(
      `kamal-postgres-backup/scaleway needs the package ${NAME}, which is not installed: npm install ${NAME}`,
    );
  }
}
