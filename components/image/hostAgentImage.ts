import * as pulumi from "@pulumi/pulumi";
import { agentContext } from "../../common/agentContext.ts";
import { Problem } from "../../common/problem.ts";
import { HOST_IMAGES } from "../../kamal/bootScript.ts";
import { kamalNameOf, type SshAccess, toSshTarget } from "../accessory/sshConnection.ts";
import { buildDigest } from "../internal/hostImage.ts";
import { logOf, reportProblems } from "../pulumi/resourceMessages.ts";
import { type SettingName, settingNamesOf } from "../pulumi/settingNames.ts";
import { HostImage } from "./hostImage.ts";

export interface HostAgentImageArgs {
  /** What distinguishes this image from others on the host. @example "shop-db-backup" */
  readonly name: string;
  /** Major version of the PostgreSQL client, that of the server. @example 17 */
  readonly postgresMajor: number;
  /**
   * Debian image with Node to build on. A host pulls it with its own login, as Kamal leaves one.
   * @default the `BASE_IMAGE` of the Dockerfile
   */
  readonly baseImage?: string;
  /** The hosts, and the way to them. */
  readonly access: SshAccess;
}

/**
 * The agent's image, built on each host that runs it, for those who have no registry: the build context goes over SSH
 * into `docker build`. No Docker is needed where Pulumi runs, and the host builds for its own processor.
 *
 * The connection is that of the boot, with bastion, key and checked host key, and not the Docker provider's `ssh://`: that
 * one takes the private key from a file or an agent alone and a bastion through files of the user's, and its `Image` has
 * no read, so that an image removed on the host would never be missed.
 *
 * What Kamal can do with such an image: `boot`, `stop`, `start`, `restart`, `logs` and `exec` work. `kamal accessory
 * reboot` begins with a pull (since Kamal 2.8), which fails as the image is in no registry; it stops there, and the
 * container runs on. `kamal accessory remove` removes the image too, and `boot` cannot bring it back. `pulumi up` does
 * what reboot would, and builds an image that is gone again.
 *
 * A base image whose tag moves is not seen; a host's own cache decides which one is built on. Change `baseImage` to a
 * newer tag or digest for a new build.
 */
export class HostAgentImage extends pulumi.ComponentResource {
  /** One for each host. */
  readonly images: readonly HostImage[];
  /** Name that the hosts know it by; its tag changes with all that it is built from. */
  readonly reference: pulumi.Output<string>;

  constructor(name: string, args: HostAgentImageArgs, opts?: pulumi.ComponentResourceOptions) {
    super("kamal-postgres-backup:index:HostAgentImage", name, {}, opts);
    const { postgresMajor, baseImage = "" } = args;
    reportProblems(this, () => checkBaseImage(baseImage, settingNamesOf(args)));
    const log = logOf(this);
    if (log.preview) log.info(REBOOT);

    const repository = `${HOST_IMAGES}/${plainName(args.name)}`;
    const build = { postgresMajor, baseImage };
    const digest = pulumi.output(agentContext()).apply((context) => buildDigest(context, build));
    const tag = digest.apply((hex) => `pg${postgresMajor}-${hex.slice(0, 12)}`);
    this.images = args.access.hosts.map(
      (host) =>
        new HostImage(
          `${name}-${kamalNameOf(host)}`,
          { repository, tag, digest, ...build, target: toSshTarget(args.access, host) },
          { parent: this },
        ),
    );

    // Known at preview, and not there for others before the images are.
    this.reference = pulumi
      .all([tag, ...this.images.map(({ urn }) => urn)])
      .apply(([word]) => `${repository}:${word}`);
    this.registerOutputs({ reference: this.reference });
  }
}

const REBOOT =
  'build: "host": the image is in no registry. kamal accessory reboot fails at its pull and leaves the container running; use pulumi up instead. kamal accessory remove takes the image away too; pulumi up builds it again.';

/** Docker takes lower case only, Kamal also others. */
function plainName(name: string): string {
  return name
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter(Boolean)
    .join("-");
}

/** It becomes a word of a shell line on the host. */
function checkBaseImage(image: string, name: SettingName): void {
  if (image === "" || /^[A-Za-z0-9][\w./:@-]*$/.test(image)) return;
  throw new Problem(
    `${name("baseImage")} "${image}" is no image reference. Give for instance "node:24-trixie-slim".`,
  );
}
