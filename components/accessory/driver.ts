import { Problem } from "../../common/problem.ts";
import type { ImageReference } from "../../kamal/imageReference.ts";
import { type KamalPlace, kamalCommand, placeOptions, rootOf } from "../../kamal/kamalCommand.ts";
import type { KamalBoot } from "../internal/accessoryState.ts";
import type { SettingName } from "../pulumi/settingNames.ts";
import type { Needs } from "./hostLook.ts";
import { type AccessoryNames, type KamalArgs, kamalPlace } from "./kamalProject.ts";

/**
 * Who boots the container. `"ssh"`: `pulumi up`, over SSH, with the line that Kamal would run; it tries the new container before the
 * old one goes. `"kamal"`: `pulumi up` runs the application's own Kamal and then looks at what it has done. `"render"`: nobody yet;
 * `pulumi up` writes the files alone, and you run Kamal.
 */
export type Driver = "ssh" | "kamal" | "render";

/** How Kamal boots the accessory, where this package does not. */
export interface BootByKamal {
  readonly driver: "kamal" | "render";
  /** Folder of the application, from the program's. */
  readonly folder: string;
  readonly place: KamalPlace;
  readonly needs: Needs;
}

/** What decides whether Kamal can boot the container. */
export interface DriverOptions {
  readonly kamal: KamalArgs;
  /** @default "ssh" */
  readonly driver: Driver | undefined;
  /** Where the image comes from, or goes; one that is built on the hosts is there alone. */
  readonly image:
    | { readonly from: "published"; readonly reference: Pick<ImageReference, "name"> }
    | { readonly from: "registry"; readonly repository: string }
    | { readonly from: "host" };
  readonly needs: Omit<Needs, "image">;
  /** How messages name the arguments. */
  readonly name: SettingName;
}

/**
 * Resolves who boots the container.
 * @returns undefined: `pulumi up`, over SSH
 * @throws Problem where Kamal could not
 */
export function resolveDriver(options: DriverOptions): BootByKamal | undefined {
  const { kamal: args, driver = "ssh", image, needs, name } = options;
  if (driver === "ssh") return undefined;
  const setting = `${name("driver")} "${driver}"`;
  if (image.from === "host") {
    throw new Problem(
      `${setting} and ${name("build")} "host" contradict each other: Kamal pulls the image at each reboot, and one that is built on the host can be pulled from nowhere. Give ${name("image")}, or build for a registry.`,
    );
  }
  if (driver === "kamal" && args.secrets === "outputs") {
    throw new Problem(
      `${setting} and ${name("kamal.secrets")} "outputs" contradict each other: Kamal would look the secrets up in the stack's outputs before pulumi up has written them. Set ${name("kamal.secrets")} to "literal", or ${name("driver")} to "render".`,
    );
  }
  const reference = image.from === "published" ? image.reference.name : image.repository;
  return {
    driver,
    folder: rootOf(args.config),
    place: kamalPlace(args),
    needs: { ...needs, image: reference },
  };
}

/** What the resource of a container is given of it. */
export function bootOf(
  { driver, folder, place }: BootByKamal,
  { key }: AccessoryNames,
  host: { readonly name: string; readonly isOnly: boolean },
  patience: number,
): KamalBoot | "later" {
  if (driver === "render") return "later";
  // With a host of its own Kamal would lock that one, not the one that a deploy locks (2.11, lib/kamal/commander/specifics.rb).
  const only = host.isOnly ? [] : ["-h", host.name];
  return { folder, words: [key, ...only, ...placeOptions(place)], patience };
}

/** What is typed in the application's folder to put the declared container in the place of the one that is there. */
export function rebootCommand({ place }: BootByKamal, { key }: AccessoryNames): string {
  return kamalCommand(["accessory", "reboot", key], place);
}
