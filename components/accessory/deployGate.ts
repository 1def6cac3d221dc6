import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type DeployGate, hookLanguage, renderDeployGate } from "../../kamal/deployHook.ts";
import { rootOf } from "../../kamal/kamalCommand.ts";
import {
  type AccessoryNames,
  type KamalArgs,
  type KamalProject,
  kamalPlace,
} from "./kamalProject.ts";

export interface BeforeDeployArgs {
  /**
   * Minutes that a backup may be old to do for a deploy, 0 to 10080. It must have been read back, or is read back then.
   * @default 0: each deploy takes a new one
   * @example 15
   */
  readonly maxAgeMinutes?: number;
}

/** What a hook of the application gets. */
export interface HookBlock {
  /** Path from the program's folder. */
  readonly file: string;
  /** Lines that end, in the hook's language. */
  readonly block: string;
  /** The application's deploy.yml, by which it is known whether the application is here. */
  readonly beside: string;
}

/**
 * What the hook before a deploy gets, in the language in which it is written already.
 * @throws Problem for a hook in a language that is not known here
 */
export function deployHook(
  args: KamalArgs,
  project: KamalProject,
  { key }: AccessoryNames,
  { maxAgeMinutes = 0 }: BeforeDeployArgs,
): HookBlock {
  const root = rootOf(args.config);
  const file = join(root, project.config.hooksPath, "pre-deploy");
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  const gate: DeployGate = { accessory: key, maxAgeMinutes, ...kamalPlace(args) };
  return {
    file,
    block: renderDeployGate(gate, hookLanguage(text, file)),
    beside: project.deployFile,
  };
}
