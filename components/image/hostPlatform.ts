import * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";
import { IS_PODMAN, PODMAN } from "../../kamal/bootScript.ts";
import { type SshAccess, toSshTarget } from "../accessory/sshConnection.ts";
import { runScript, type SshTarget } from "../pulumi/hostScript.ts";

/**
 * What Docker on the host runs, `linux/arm64`. Asked at each run of the program, since an image for another processor would
 * not start there.
 * @param setting how messages name the argument that says it
 * @throws ResourceError when the host does not tell
 */
export function hostPlatform(
  resource: pulumi.Resource,
  access: SshAccess,
  setting: string,
): pulumi.Output<string> {
  const [host] = access.hosts;
  if (host === undefined) throw new Error("an accessory without a host is refused before");
  return pulumi.unsecret(
    toSshTarget(access, host).apply(async (target) => {
      try {
        return await platformOf(target, setting);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        throw new pulumi.ResourceError(error.message, resource, true);
      }
    }),
  );
}

/** @throws Problem with the host's reason and the setting that does without asking */
export async function platformOf(target: SshTarget, setting: string): Promise<string> {
  const instead = `The image is built for the processor of the host; give ${setting} to build it without asking, for instance "linux/amd64".`;
  const { stdout, stderr } = await runScript(target, ASK).catch((error: unknown) => {
    throw error instanceof Problem ? new Problem(`${error.message} ${instead}`) : error;
  });
  const platform = stdout.trim();
  if (platform === "podman") throw new Problem(`${target.host}: ${PODMAN}`);
  if (/^linux\/[a-z0-9]+$/.test(platform)) return platform;
  const found = stderr.trim() || `"${platform}"`;
  throw new Problem(
    `docker on ${target.host} does not say which processor it has (${found}). ${instead}`,
  );
}

const ASK = `if ${IS_PODMAN}; then echo podman; else docker version --format '{{.Server.Os}}/{{.Server.Arch}}'; fi`;
