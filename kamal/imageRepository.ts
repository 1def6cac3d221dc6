/** What deploy.yml says about the application's own image. */
export interface ApplicationImage {
  /** `registry.server`; absent: Docker Hub. */
  readonly server?: string | undefined;
  /** `image`, as written. */
  readonly image?: string | undefined;
  /** Who logs in to the registry. */
  readonly username?: string | undefined;
}

/** Registries that take no image without an owner, who usually is the one that logs in. */
const WITH_OWNER =
  /^(?:(?:index\.|registry-1\.)?docker\.io|registry\.hub\.docker\.com|ghcr\.io|quay\.io)$/;
/** GitLab has images only below a project, whose path the application's own image is or begins with. */
const BELOW_PROJECT = /(?:^|\.)gitlab\./;

/**
 * Repository for an image beside the application's own: in the same registry and namespace, which most registries demand.
 * Kamal's own is `server/image` (2.11, lib/kamal/configuration.rb, `repository`).
 * @param name of the image there
 * @returns `ghcr.io/me/shop-db-backup` for the image `me/shop` at ghcr.io; without a server, as Docker Hub's are
 */
export function repositoryBeside(
  { server = "", image = "", username }: ApplicationImage,
  name: string,
): string {
  const registry = server.replace(/^\w+:\/\//, "").replace(/(?:\/v\d+)?\/*$/, "");
  const host = registry.split("/")[0] || "docker.io";
  const own = image
    .replace(/@.*$/, "")
    .replace(/:[^/]*$/, "")
    .split("/")
    .filter(Boolean);
  // Some repeat the server there.
  if (own[0] === registry) own.shift();
  const namespace = BELOW_PROJECT.test(host) ? own : own.slice(0, -1);
  if (namespace.length === 0 && registry.split("/").length === 1 && WITH_OWNER.test(host)) {
    namespace.push(...(username ? [username] : []));
  }
  // Docker takes lower case only, Kamal also others.
  return [registry, ...[...namespace, name].map((word) => word.toLowerCase())]
    .filter(Boolean)
    .join("/");
}
