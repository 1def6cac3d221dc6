import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { promisify } from "node:util";
import { type AgentContext, agentContext } from "../../common/agentContext.ts";
import { problemWithoutStack } from "../../common/problem.ts";
import { runScript, type ScriptResult, type SshTarget, sameAccess } from "../pulumi/hostScript.ts";
import { watched } from "../pulumi/watchedResource.ts";

/** What decides about an image, besides the build context. */
export interface HostBuild {
  readonly postgresMajor: number;
  /** "": that of the Dockerfile. */
  readonly baseImage: string;
}

/** Inputs of the resource. Only the digest can be seen of an image; all others are what it is made with. */
export interface HostImageInputs extends HostBuild {
  /** Name of the image without its tag. */
  readonly repository: string;
  readonly tag: string;
  /** `buildDigest`, which the image carries as a label. */
  readonly digest: string;
  readonly target: SshTarget;
}

const LABEL = "kamal-postgres-backup.build";
/** A small host installs PostgreSQL's client for minutes. */
const BUILD_MINUTES = 30;

/** SHA-256 of all that decides about an image. */
export function buildDigest(context: AgentContext, build: HostBuild): string {
  const parts = [context.digest, build.postgresMajor, build.baseImage];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

const { check, create, read, diff, update, remove } = watched<HostImageInputs>({
  idOf: ({ target, repository }) => `${target.host}/${repository}`,

  /** An unreachable host throws, because then nothing is known. */
  async observe(inputs) {
    const digest = await digestOnHost(inputs);
    return digest === undefined ? undefined : { digest };
  },

  unseen: (reason) => ({ digest: `not seen: ${reason}` }),

  apply: buildUnlessThere,

  diff(olds, news) {
    const replaces = [
      ...(olds.repository === news.repository ? [] : ["repository"]),
      ...(olds.target.host === news.target.host ? [] : ["target"]),
    ];
    const changes =
      replaces.length > 0 ||
      olds.tag !== news.tag ||
      olds.digest !== news.digest ||
      !sameAccess(olds.target, news.target);
    return { changes, replaces };
  },

  async remove(inputs) {
    await clear(inputs, "");
  },
});

export { check, create, diff, read, remove as delete, update };

/** Builds the declared image unless it is there, and removes earlier ones that no container is made from. */
async function buildUnlessThere(inputs: HostImageInputs): Promise<void> {
  if ((await digestOnHost(inputs)) !== inputs.digest) {
    const context = await agentContext();
    if (buildDigest(context, inputs) !== inputs.digest) {
      throw problemWithoutStack(
        "kamal-postgres-backup was changed while pulumi up ran, so another image would be built than was shown. Run pulumi up again.",
      );
    }
    const archive = await pack(context.dir);
    const built = await runScript(inputs.target, buildScript(inputs), archive, BUILD_MINUTES);
    if (built.code !== 0) {
      throw problemWithoutStack(
        `the image could not be built on ${inputs.target.host}:\n${lastLines(built, 15)}\nThe host must reach Debian's and PostgreSQL's package servers, and the registry of the base image.`,
      );
    }
    if ((await digestOnHost(inputs)) !== inputs.digest) {
      throw problemWithoutStack(
        `${nameOf(inputs)} was built on ${inputs.target.host}, but docker does not have it. Look at docker image ls there.`,
      );
    }
  }
  await clear(inputs, nameOf(inputs));
}

function nameOf({ repository, tag }: HostImageInputs): string {
  return `${repository}:${tag}`;
}

function buildScript(inputs: HostImageInputs): string {
  const { digest, postgresMajor, baseImage } = inputs;
  const words = [
    `docker build --tag '${nameOf(inputs)}' --label '${LABEL}=${digest}'`,
    `--build-arg PG_MAJOR=${postgresMajor}`,
    ...(baseImage === "" ? [] : [`--build-arg 'BASE_IMAGE=${baseImage}'`]),
    "- 2>&1",
  ];
  return words.join(" ");
}

/** @returns the label of the image under the declared name; undefined when there is none */
async function digestOnHost(inputs: HostImageInputs): Promise<string | undefined> {
  const script = `docker image inspect -f '{{index .Config.Labels "${LABEL}"}}' '${nameOf(inputs)}'`;
  const result = await runScript(inputs.target, script);
  if (result.code === 1 && /no such image/i.test(result.stderr)) return undefined;
  if (result.code !== 0) {
    throw problemWithoutStack(
      `docker on ${inputs.target.host} does not answer: ${lastLines(result, 1)}`,
    );
  }
  return result.stdout.trim();
}

/** Removes the images of this name but one, and those that a container is made from. */
async function clear({ target, repository }: HostImageInputs, kept: string): Promise<void> {
  const script = `set -e
docker image ls --format '{{.Repository}}:{{.Tag}}' '${repository}' | while IFS= read -r image; do
  if [ "$image" = '${kept}' ] || docker ps --all --format '{{.Image}}' | grep -qxF "$image"; then continue; fi
  docker image rm "$image" > /dev/null
done`;
  const result = await runScript(target, script);
  if (result.code !== 0) {
    throw problemWithoutStack(
      `an earlier image of ${repository} could not be removed from ${target.host}: ${lastLines(result, 1)}`,
    );
  }
}

/** The folder as a tar archive, which `docker build -` takes from its standard input. */
async function pack(dir: string): Promise<Uint8Array> {
  try {
    // Another program may lay the folder out again at this moment, in hidden folders first.
    const files = (await readdir(dir)).filter((name) => !name.startsWith("."));
    const { stdout } = await promisify(execFile)("tar", ["-cf", "-", "-C", dir, ...files], {
      encoding: "buffer",
      maxBuffer: 64 * 1024 * 1024,
      // Otherwise macOS adds files of its own.
      env: { ...process.env, COPYFILE_DISABLE: "1" },
    });
    return stdout;
  } catch (error) {
    throw problemWithoutStack(`${dir} could not be packed with tar: ${(error as Error).message}`);
  }
}

function lastLines({ stdout, stderr }: ScriptResult, count: number): string {
  return `${stdout}\n${stderr}`.trim().split("\n").slice(-count).join("\n");
}
