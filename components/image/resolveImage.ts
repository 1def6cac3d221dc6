import { Problem } from "../../common/problem.ts";
import type { KamalConfig } from "../../kamal/configuration/config.ts";
import {
  type ImageReference,
  isOfRegistry,
  parseImageReference,
} from "../../kamal/imageReference.ts";
import { repositoryBeside } from "../../kamal/imageRepository.ts";
import {
  type AccessoryNames,
  type KamalProject,
  type RegistryArgs,
  type RegistryLogin,
  registryLogin,
} from "../accessory/kamalProject.ts";
import type { ResourceLog } from "../pulumi/resourceMessages.ts";
import type { SettingName } from "../pulumi/settingNames.ts";
import { type ImageSourceArgs, isBuiltOnHost } from "./imageSource.ts";

/** A published image, or where one is built. */
export type ResolvedImage =
  | { readonly from: "published"; readonly reference: ImageReference }
  | { readonly from: "host" }
  | {
      readonly from: "registry";
      readonly repository: string;
      /** Undefined: that of the host, which is asked. */
      readonly platform: string | undefined;
    };

export interface ImageOptions {
  readonly args: ImageSourceArgs & { readonly registry?: RegistryArgs };
  readonly project: KamalProject;
  readonly accessory: AccessoryNames;
  /** How messages name the arguments. */
  readonly name: SettingName;
}

/**
 * Resolves where the image comes from, and the login that this takes: none for an image that is built on the host.
 * @throws Problem that names the setting
 */
export function resolveImage(
  options: ImageOptions,
  log: ResourceLog,
): { readonly image: ResolvedImage; readonly registry: RegistryLogin | undefined } {
  const { args, name } = options;
  const onHost = isBuiltOnHost(args, name);
  if (args.image !== undefined) {
    const reference = parseImageReference(args.image, name("image"));
    return {
      image: { from: "published", reference },
      registry: loginForPull(options, reference, log),
    };
  }
  if (onHost) return { image: { from: "host" }, registry: undefined };
  const registry = loginForPush(options);
  return {
    image: {
      from: "registry",
      repository: repositoryOf(options, registry?.username),
      platform: platformOf(args.platform, options),
    },
    registry,
  };
}

/** Also an image that anybody may pull can lie there, so that a login which cannot be read is no reason to stop. */
function loginForPull(
  { args, project, name }: ImageOptions,
  reference: ImageReference,
  log: ResourceLog,
): RegistryLogin | undefined {
  try {
    const { server = "docker.io" } = project.config.registry;
    if (!isOfRegistry(reference, server)) return undefined;
    return registryLogin(project, args.registry, name);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (log.preview) {
      log.info(`${error.message} The image ${args.image} is pulled without a login until then.`);
    }
    return undefined;
  }
}

function loginForPush({ args, project, name }: ImageOptions): RegistryLogin | undefined {
  try {
    return registryLogin(project, args.registry, name);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw new Problem(`${error.message} ${name("build")}: "host" does without a registry.`);
  }
}

function repositoryOf(
  { args, project: { config }, accessory, name }: ImageOptions,
  username: string | undefined,
): string {
  if (args.repository !== undefined) {
    if (/^[a-z0-9][a-z0-9._/:-]*[a-z0-9]$/.test(args.repository)) return args.repository;
    throw new Problem(
      `${name("repository")} "${args.repository}" is no repository. Give it with the registry and without a tag, for instance "ghcr.io/you/shop-db-backup".`,
    );
  }
  const { server } = config.registry;
  const image = `${accessory.service}-${accessory.key.replaceAll("_", "-")}`;
  const earlier = [server, image].filter(Boolean).join("/");
  if (isInUse(config, earlier)) return earlier;
  return repositoryBeside({ server, image: config.image, username }, image);
}

/**
 * Whether an accessory runs an image of this repository. Until 2026-12 the repository had no namespace; where a registry
 * took that, it stays: it may not take another one.
 */
function isInUse({ accessories }: KamalConfig, repository: string): boolean {
  return Object.values(accessories).some((accessory) => {
    try {
      return accessory.image?.startsWith(`${repository}@`) ?? false;
    } catch (error) {
      if (error instanceof Problem) return false;
      throw error;
    }
  });
}

/** Docker's word for the processor of the hosts: the one that the application is built for, if it is one. */
function platformOf(
  given: string | undefined,
  { project: { config }, name }: ImageOptions,
): string | undefined {
  const [first, ...others] = given === undefined ? config.arches : [given];
  if (first === undefined || others.length > 0) return undefined;
  const platform = first.includes("/") ? first : `linux/${first}`;
  if (/^linux\/[a-z0-9]+(?:\/v\d+)?$/.test(platform)) return platform;
  throw new Problem(
    given === undefined
      ? `${config.path}: builder.arch "${first}" is no processor. Give ${name("platform")} to the program, for instance "linux/amd64".`
      : `${name("platform")} "${given}" is no platform. Give for instance "linux/amd64" or "linux/arm64".`,
  );
}
