import * as pulumi from "@pulumi/pulumi";
import { parseRecipient } from "../../common/age/keys.ts";
import type { AgentSettings } from "../../common/contracts/agentEnvironment/environment.ts";
import { Problem } from "../../common/problem.ts";
import { applyReportingProblems, type ResourceLog } from "../pulumi/resourceMessages.ts";
import type { SettingName } from "../pulumi/settingNames.ts";

type Settings = AgentSettings["encryption"];

/** What a program writes for a passphrase; a stack has a word for it. */
export const PASSPHRASE = "Encryption.passphrase";

/**
 * How backups are encrypted, always in the format of age (age-encryption.org/v1), so that the `age` program reads them.
 *
 * With recipients the host knows only public keys: whoever steals it can read no backup, and a restore needs a private
 * key, which is kept elsewhere. A passphrase stands in the container's environment, so a restore asks for nothing.
 */
export class Encryption {
  readonly #settings: pulumi.Output<Settings>;
  readonly #means: "recipients" | "passphrase" | "nothing";

  private constructor(
    settings: pulumi.Output<Settings>,
    means: "recipients" | "passphrase" | "nothing",
  ) {
    this.#settings = settings;
    this.#means = means;
  }

  /**
   * For one public key, as `age-keygen` prints it. Keep the private one in at least two places that are not the host.
   * @throws Problem when it is no age recipient
   * @example Encryption.recipient("age1...")
   */
  static recipient(publicKey: string): Encryption {
    return Encryption.recipients([publicKey]);
  }

  /**
   * For several public keys, any one of whose private keys opens a backup.
   * @throws Problem when there is none, one stands twice, or one is no age recipient
   * @example Encryption.recipients(["age1...", "age1..."])
   */
  static recipients(publicKeys: readonly string[]): Encryption {
    checkRecipients(publicKeys, "Encryption.recipients");
    return new Encryption(pulumi.output({ recipients: [...publicKeys] }), "recipients");
  }

  /**
   * With a passphrase, kept as a secret. One that is changed later does not open earlier backups.
   * @throws Problem when it is empty; one that is known later is refused in the preview
   * @example Encryption.passphrase(config.requireSecret("passphrase"))
   */
  static passphrase(passphrase: pulumi.Input<string>): Encryption {
    if (typeof passphrase === "string") requireText(passphrase, PASSPHRASE);
    return new Encryption(
      pulumi.secret(passphrase).apply((text): Settings => ({ passphrase: text })),
      "passphrase",
    );
  }

  /**
   * Not at all, which is the default too, but for the notice that it gives at preview: whoever can read the bucket can read
   * the backups.
   */
  static none(): Encryption {
    return new Encryption(pulumi.output(undefined), "nothing");
  }

  /** Whether the container gets a passphrase. @internal */
  static hasPassphrase(encryption: Encryption | undefined): boolean {
    return encryption !== undefined && encryption.#means === "passphrase";
  }

  /** Whether backups are encrypted at all. @internal */
  static encrypts(encryption: Encryption | undefined): boolean {
    return encryption !== undefined && encryption.#means !== "nothing";
  }

  /**
   * What the container is given; a wrong passphrase is reported on the component that it was given to.
   * @internal
   */
  static settingsOf(
    resource: pulumi.Resource,
    encryption: Encryption | undefined,
    name: SettingName,
  ): pulumi.Output<Settings> {
    if (encryption === undefined) return pulumi.output(undefined);
    return applyReportingProblems(resource, encryption.#settings, (settings) => {
      if (settings && "passphrase" in settings) requireText(settings.passphrase, name(PASSPHRASE));
      return settings;
    });
  }
}

const NOT_ENCRYPTED =
  'encryption is not declared, so whoever can read the bucket can read the backups: give Encryption.recipient("age1...") the public key that age-keygen prints (ageRecipients in a stack\'s configuration), or Encryption.none() (there ageRecipients: none) if that is meant.';

/** Says at preview that a backup which declares no encryption is stored in clear. */
export function warnUnencrypted(encryption: Encryption | undefined, log: ResourceLog): void {
  if (encryption === undefined && log.preview) log.warn(NOT_ENCRYPTED);
}

/**
 * @param setting where the keys were written
 * @throws Problem when there is none, one stands twice, or one is no age recipient
 */
export function checkRecipients(publicKeys: readonly string[], setting: string): void {
  if (publicKeys.length === 0) {
    throw new Problem(`${setting}: give at least one age recipient (age1...).`);
  }
  for (const publicKey of publicKeys) {
    try {
      parseRecipient(publicKey);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      throw new Problem(`${setting}: ${error.message}`, { cause: error });
    }
  }
  const twice = publicKeys.find((key, index) => publicKeys.indexOf(key) !== index);
  if (twice !== undefined) {
    throw new Problem(`${setting}: ${twice} stands twice. Give each key once.`);
  }
}

function requireText(passphrase: string, setting: string): void {
  if (passphrase.trim() !== "") return;
  throw new Problem(
    `${setting}: the passphrase is empty. Give one, best from a secret of the stack's configuration.`,
  );
}
