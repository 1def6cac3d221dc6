import * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";
import { type ImageReference, parseImageReference } from "../../kamal/imageReference.ts";
import { explained } from "../pulumi/resourceError.ts";
import { registryDigest } from "./registryDigest.ts";

/** A login of one registry. */
export interface RegistryLogin {
  readonly server: string;
  readonly username: string;
  readonly password: pulumi.Input<string>;
}

/**
 * Pins a published image by the digest that its tag has now, so that a tag which moves is seen in the preview as one
 * update of the accessory. A reference with a digest is taken as it is. The registry itself is asked: no Docker is
 * needed where Pulumi runs.
 * @param login used where its server is that of the image
 * @throws ResourceError when the reference is unfit, or the registry does not know it
 */
export function pinnedImage(
  resource: pulumi.Resource,
  setting: string,
  reference: string,
  login?: RegistryLogin,
): pulumi.Output<string> {
  const image = explained(resource, () => parseImageReference(reference, setting));
  if (image.digest !== undefined) return pulumi.output(`${image.name}@${image.digest}`);
  const mine = login !== undefined && sameRegistry(login.server, image) ? login : undefined;
  const password = pulumi.output(mine?.password);
  const pinned = pulumi.unsecret(password).apply(async (secret) => {
    const credentials =
      mine && secret !== undefined ? { username: mine.username, password: secret } : undefined;
    try {
      return `${image.name}@${await registryDigest(image, credentials)}`;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      throw new pulumi.ResourceError(`${setting}: ${error.message}`, resource, true);
    }
  });
  return pinned;
}

function sameRegistry(server: string, { registry }: ImageReference): boolean {
  const host = server.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  return (
    host === registry || (/(^|\.)docker\.io$/.test(host) && /(^|\.)docker\.io$/.test(registry))
  );
}
