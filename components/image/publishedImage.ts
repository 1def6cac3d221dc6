import * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";
import { type ImageReference, isOfRegistry } from "../../kamal/imageReference.ts";
import type { RegistryLogin } from "../accessory/kamalProject.ts";
import { registryDigest } from "./registryDigest.ts";

export interface PublishedImage {
  /** How messages name the argument. */
  readonly setting: string;
  readonly image: ImageReference;
  /** Login that is used where its server is that of the image. */
  readonly registry: RegistryLogin | undefined;
}

/**
 * Pins a published image by the digest that its tag has now, so that a tag which moves is seen in the preview as one
 * update of the accessory. A reference with a digest is taken as it is. The registry itself is asked: no Docker is
 * needed where Pulumi runs.
 * @throws ResourceError when the registry does not know it
 */
export function pinnedImage(
  resource: pulumi.Resource,
  { setting, image, registry }: PublishedImage,
): pulumi.Output<string> {
  if (image.digest !== undefined) return pulumi.output(`${image.name}@${image.digest}`);
  const login = registry && isOfRegistry(image, registry.server) ? registry : undefined;
  return pulumi.unsecret(pulumi.output(login?.password)).apply(async (password) => {
    const credentials =
      login && password !== undefined ? { username: login.username, password } : undefined;
    try {
      return `${image.name}@${await registryDigest(image, credentials)}`;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      throw new pulumi.ResourceError(`${setting}: ${error.message}`, resource, true);
    }
  });
}
