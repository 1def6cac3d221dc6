import * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";
import { DIGEST_LABEL, KAMAL_NETWORK } from "../../kamal/accessory.ts";
import { IS_PODMAN, PODMAN } from "../../kamal/bootScript.ts";
import { isOfThisPackage } from "../../kamal/runningContainer.ts";
import { runScript } from "../pulumi/hostScript.ts";
import { logOf, type ResourceLog } from "../pulumi/resourceMessages.ts";
import { type SshAccess, toSshTarget } from "./sshConnection.ts";

/** What the container needs on its host, besides Docker. */
export interface Needs {
  /** The image, or its repository: by it a container is known as one of this package, too. */
  readonly image: string;
  readonly network: string;
  /** Container of the database; undefined: it is none of the application's. */
  readonly database: string | undefined;
}

/** What a host should have, where Kamal boots the container later. */
export interface Expected extends Needs {
  readonly container: string;
  /** What is typed to put the declared container in its place. */
  readonly reboot: string;
}

/**
 * Looks at each host before Kamal boots there, and says at preview over what it would stumble, at `pulumi up` what is to be
 * typed. A host that is not reached is no failure: nothing is done there.
 * @param digest our label of the declared container
 * @returns whether each was reached
 */
export function lookAtHosts(
  resource: pulumi.Resource,
  access: SshAccess,
  expected: Expected,
  digest: pulumi.Output<string>,
): pulumi.Output<boolean[]> {
  const log = logOf(resource);
  const declared = log.preview ? pulumi.output(undefined) : digest;
  const looks = access.hosts.map((host) =>
    pulumi.all([toSshTarget(access, host), declared]).apply(async ([target, wanted]) => {
      try {
        const { stdout } = await runScript(target, lookScript(expected));
        describeHost(host.host, expected, readLook(stdout), wanted, log);
        return true;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        log.warn(`what Kamal will find on ${host.host} is not known: ${error.message}`);
        return false;
      }
    }),
  );
  return pulumi.unsecret(pulumi.all(looks));
}

/** The names are checked before: no quote is in them. */
function lookScript({ container, network, database }: Expected): string {
  const inspect = (what: string, format: string, name: string) =>
    `docker ${what} inspect -f '${format}' '${name}' 2> /dev/null || true`;
  const label = `{{index .Config.Labels "${DIGEST_LABEL}"}}`;
  return [
    `if ${IS_PODMAN}; then echo podman; fi`,
    "docker version -f 'docker {{.Server.Version}}' 2> /dev/null || true",
    inspect("container", `container {{.Config.Image}} {{.State.Status}} ${label}`, container),
    inspect("network", "network {{.Driver}}", network),
    ...(database === undefined
      ? []
      : [inspect("container", "database {{.State.Status}}", database)]),
  ].join("; ");
}

/** What was found, by its first word; what is not there has no line. */
type Look = ReadonlyMap<string, readonly string[]>;

function readLook(stdout: string): Look {
  const lines = stdout.split("\n").map((line) => line.trim().split(" "));
  return new Map(lines.map(([word = "", ...rest]) => [word, rest] as const));
}

/**
 * @param look lines of what was found
 * @param digest undefined at preview
 */
export function describeHost(
  host: string,
  { container, image: declared, network, database, reboot }: Expected,
  look: Look,
  digest: string | undefined,
  log: Pick<ResourceLog, "warn">,
): void {
  if (look.has("podman")) {
    log.warn(`${host}: ${PODMAN}`);
    return;
  }
  if (!look.has("docker")) {
    log.warn(`docker on ${host} does not answer, which Kamal needs too: kamal server bootstrap`);
    return;
  }
  const [image, status, label = ""] = look.get("container") ?? [];
  const isForeign = image !== undefined && !isOfThisPackage({ digest: label, image }, declared);
  if (digest === undefined && isForeign) {
    log.warn(
      `a container ${container} is on ${host} that kamal-postgres-backup did not make: image ${image}, ${status}. Kamal's boot would leave it there and end without an error, and its reboot replaces it.`,
    );
  }
  if (digest === undefined && network !== KAMAL_NETWORK && !look.has("network")) {
    log.warn(
      `the Docker network ${network} is not on ${host}, and Kamal makes none but its own: docker network create ${network}`,
    );
  }
  const [state = "missing"] = look.get("database") ?? [];
  if (digest === undefined && database !== undefined && state !== "running") {
    log.warn(
      `the database's container ${database} on ${host} is ${state}: no backup can be taken.`,
    );
  }
  if (digest !== undefined && (label !== digest || status !== "running")) {
    log.warn(
      `the files are written, and ${container} on ${host} is not yet as declared. Run this in the application's folder: ${reboot}`,
    );
  }
}
