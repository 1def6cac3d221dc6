import * as pulumi from "@pulumi/pulumi";
import type { SigningSettings } from "../../common/contracts/agentEnvironment/signing.ts";
import { parseSigningKeys, splitSigningKeys } from "../../common/contracts/manifestMac.ts";
import { madeOrStandIn, RandomKey } from "../pulumi/randomKey.ts";
import { applyReportingProblems } from "../pulumi/resourceMessages.ts";
import type { SettingName } from "../pulumi/settingNames.ts";

export interface SigningArgs {
  /**
   * A word for the generation of the key that signs backups. Another word than at the last `pulumi up` makes a new one, and
   * the container is restarted with it. The last 35 before it stay in the stack's state and still check.
   * @default that of `keys.rotateAfter`
   * @example "2026-12"
   */
  readonly rotateAfter?: string | number;
  /**
   * Keys of a stack whose state was lost, with commas between them, as `signingKeys` of the component or `SIGNING_KEYS` in
   * the container had them. The backups that they have signed count as before; new ones are signed with this stack's key.
   * @default none: such backups are restored by their time and with `--accept-origin`
   * @example config.requireSecret("signingKeys")
   */
  readonly keys?: pulumi.Input<string>;
}

export interface SigningOptions {
  readonly parent: pulumi.Resource;
  /** Name of the backup. */
  readonly name: string;
  readonly signing: SigningArgs | undefined;
  /** The word of the access keys, which the signing key follows unless it has one of its own. */
  readonly rotateAfter: string | number | undefined;
  /** How messages name the arguments. */
  readonly settingName: SettingName;
}

/** @throws Problem when a key is given that is none; of one that is known later the resource judges */
export function checkSigning({ keys }: SigningArgs, name: SettingName): void {
  if (typeof keys === "string") parseSigningKeys(keys, name("signing.keys"));
}

/** Makes the random key by which the container signs backups. Secret. */
export function createSigningKey(
  options: SigningOptions,
): pulumi.Output<Required<SigningSettings>> {
  const { parent, name, signing = {}, settingName } = options;
  const generation = String(signing.rotateAfter ?? options.rotateAfter ?? "");
  const given = applyReportingProblems(parent, pulumi.secret(signing.keys ?? ""), (text) => {
    parseSigningKeys(text, settingName("signing.keys"));
    return splitSigningKeys(text);
  });
  const key = new RandomKey("SigningKey", `${name}-signing-key`, { generation, given }, { parent });
  return pulumi.all([madeOrStandIn(key), given]).apply(([[own, signingSince], earlier]) => ({
    signingKeys: [...own, ...earlier],
    signingSince,
  }));
}
