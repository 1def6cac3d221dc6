import { Problem } from "../common/problem.ts";

/** A container image in a registry, taken apart. */
export interface ImageReference {
  /** Host of the registry as it is asked, `ghcr.io`; Docker's own is `registry-1.docker.io`. */
  readonly registry: string;
  /** `owner/name`. */
  readonly repository: string;
  /** Registry and repository as the user wrote them. */
  readonly name: string;
  readonly tag?: string;
  /** `sha256:...` */
  readonly digest?: string;
}

/** Registry and repository of an image, as they are written. */
export function withoutTagAndDigest(reference: string): string {
  return reference.replace(/@.*$/, "").replace(/:[^:/]*$/, "");
}

const DOCKER_HUB = "registry-1.docker.io";

/** Whether an image lies in a registry, however its server is written. */
export function isOfRegistry({ registry }: ImageReference, server: string): boolean {
  const host = server.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  const hub = /(^|\.)docker\.io$/;
  return host === registry || (hub.test(host) && hub.test(registry));
}

/**
 * Reads an image reference as Docker does: what stands before the first slash is a registry if it has a dot or a port
 * (github.com/distribution/reference, `splitDockerDomain`).
 * @param setting name of the argument, for the error
 * @throws Problem when it cannot be read, or has neither tag nor digest
 */
export function parseImageReference(reference: string, setting: string): ImageReference {
  const match =
    /^((?:[a-z0-9.-]+(?::\d+)?\/)?[a-z0-9._-]+(?:\/[a-z0-9._-]+)*)(?::([\w][\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(
      reference,
    );
  const [, name, tag, digest] = match ?? [];
  if (name === undefined) {
    throw new Problem(
      `${setting}: "${reference}" is no image reference. Give for instance "ghcr.io/you/db-backup:17", or with its digest "ghcr.io/you/db-backup@sha256:...".`,
    );
  }
  if (tag === undefined && digest === undefined) {
    throw new Problem(
      `${setting}: "${reference}" has neither a tag nor a digest, so "latest" would be meant, which may be anything tomorrow. Give for instance "${reference}:17".`,
    );
  }
  const [first = "", ...rest] = name.split("/");
  const hasRegistry = rest.length > 0 && (/[.:]/.test(first) || first === "localhost");
  const path = hasRegistry ? rest.join("/") : name;
  const hub = !hasRegistry || /^(index\.)?docker\.io$/.test(first);
  return {
    registry: hub ? DOCKER_HUB : first,
    repository: hub && !path.includes("/") ? `library/${path}` : path,
    name,
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  };
}
