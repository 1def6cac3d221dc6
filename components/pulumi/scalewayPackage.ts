import { createRequire } from "node:module";
import type * as Scaleway from "@pulumiverse/scaleway";
import { problemWithoutStack } from "../../common/problem.ts";

const NAME = "@pulumiverse/scaleway";

let loaded: typeof Scaleway | undefined;

/**
 * The optional package, loaded at the first call and not awaited, so that programs in the older module form can load this one.
 * @throws Problem when it is not installed
 */
export function scaleway(): typeof Scaleway {
  loaded ??= load();
  return loaded;
}

function load(): typeof Scaleway {
  try {
    return createRequire(import.meta.url)(NAME);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "MODULE_NOT_FOUND" || !message.includes(NAME)) throw error;
    throw problemWithoutStack(
      `a bucket made at Scaleway needs the package ${NAME}, which is not installed: npm install ${NAME}`,
    );
  }
}
