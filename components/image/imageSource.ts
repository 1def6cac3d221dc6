import type * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";
import type { RegistryLogin } from "../accessory/kamalProject.ts";
import type { SshAccess } from "../accessory/sshConnection.ts";
import { asArgument, nameSettings, type SettingName } from "../pulumi/settingNames.ts";
import { AgentImage, type AgentImageArgs } from "./agentImage.ts";
import { HostAgentImage } from "./hostAgentImage.ts";

/** Where the image of a backup comes from when none is named. */
export type AgentBuild = "registry" | "host";

export interface ImageSourceArgs {
  /**
   * A published image of the agent, by tag or digest. A tag is pinned to the digest that it has at each `pulumi up`.
   * @example "ghcr.io/you/db-backup:17"
   * @default built for the server's major version
   */
  readonly image?: string;
  /**
   * Where an image that is not published is built. "registry": by the Docker where Pulumi runs, and pushed to the
   * application's own registry. "host": by the Docker of each host, over SSH, and pushed nowhere; for those who have no
   * registry, and at the price that `kamal accessory reboot` fails, see `HostAgentImage`.
   * @default "registry"
   */
  readonly build?: AgentBuild;
  /**
   * Repository that an image built here is pushed to, with its registry and without a tag.
   * @default beside the application's own image, in the same namespace; a stack that has pushed elsewhere stays there
   * @example "ghcr.io/you/shop-db-backup"
   */
  readonly repository?: string;
  /**
   * Processor that an image is built for here.
   * @default `builder.arch` of deploy.yml, else that of the host
   * @example "linux/arm64"
   */
  readonly platform?: string;
  /** Image that the agent's image is built on. @default see `AgentImageArgs.baseImage` */
  readonly baseImage?: string;
}

/**
 * Whether the image is built on the hosts.
 * @throws Problem for another word than the two, or beside an image that is named
 */
export function isBuiltOnHost(
  { build, image }: ImageSourceArgs,
  name: SettingName = asArgument,
): boolean {
  if (build === undefined) return false;
  const setting = name("build");
  if (build !== "registry" && build !== "host") {
    throw new Problem(`${setting} "${build}" must be "registry" or "host".`);
  }
  if (image !== undefined) {
    throw new Problem(
      `${setting} "${build}" and ${name("image")} "${image}" are both given, but an image that is published is not built. Keep one of them.`,
    );
  }
  return build === "host";
}

/** What an image is built for. */
export interface BuiltImage {
  readonly parent: pulumi.Resource;
  readonly name: string;
  readonly postgresMajor: number;
  readonly baseImage: string | undefined;
}

/** Builds the image on each host that runs it. */
export function createHostImage(
  { parent, name, postgresMajor, baseImage }: BuiltImage,
  {
    container,
    access,
    settings,
  }: {
    readonly container: string;
    readonly access: SshAccess;
    /** The caller's words, as `nameSettings` takes them. */
    readonly settings: Readonly<Record<string, string>>;
  },
): HostAgentImage {
  return new HostAgentImage(
    `${name}-agent`,
    nameSettings(
      { name: container, postgresMajor, ...(baseImage !== undefined && { baseImage }), access },
      settings,
    ),
    { parent },
  );
}

/** Builds the image where Pulumi runs, and pushes it. */
export function createRegistryImage(
  { parent, name, postgresMajor, baseImage }: BuiltImage,
  {
    repository,
    platform,
    registry,
    transform,
  }: {
    readonly repository: string;
    readonly platform: pulumi.Input<string>;
    readonly registry: RegistryLogin | undefined;
    readonly transform: AgentImageArgs["transform"];
  },
): AgentImage {
  return new AgentImage(
    `${name}-agent`,
    {
      repository,
      platform,
      ...(registry && { registry }),
      postgresMajor,
      ...(baseImage !== undefined && { baseImage }),
      ...(transform && { transform }),
    },
    { parent },
  );
}
