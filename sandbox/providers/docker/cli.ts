import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Finished, run } from "../run.ts";

export interface Build {
  readonly image: string;
  readonly context: string;
  readonly dockerfile: string;
  readonly args: Readonly<Record<string, string>>;
  readonly platform: string;
  readonly target?: string | undefined;
  readonly network?: string | undefined;
  /** Login of the registry, for images that the build starts from. */
  readonly login?: Login | undefined;
  readonly onLine: (line: string) => void;
}

export interface Login {
  readonly server: string;
  readonly username: string;
  readonly password: string;
}

/** The platform that this machine builds for when none is asked for. */
export const hostPlatform = `linux/${process.arch === "x64" ? "amd64" : process.arch}`;

/** Builds and tags an image in the local engine. */
export async function build(wanted: Build): Promise<void> {
  const buildx = await run("docker", ["buildx", "version"]);
  await loggedIn(wanted.login, (client) =>
    docker(
      [
        ...client,
        "build",
        ...["--tag", wanted.image, "--file", wanted.dockerfile],
        // Values stay out of the argument list: the CLI takes them from its environment.
        ...Object.keys(wanted.args).flatMap((name) => ["--build-arg", name]),
        // An engine without buildx builds for its own platform only, and some refuse even that flag.
        ...(wanted.platform === hostPlatform ? [] : ["--platform", wanted.platform]),
        ...(wanted.target ? ["--target", wanted.target] : []),
        ...(wanted.network ? ["--network", wanted.network] : []),
        wanted.context,
      ],
      {
        env: { ...wanted.args, ...(buildx.status !== 0 && { DOCKER_BUILDKIT: "0" }) },
        onLine: (_stream, line) => wanted.onLine(line),
      },
    ),
  );
}

/** The id of an image in the local engine, `sha256:...`. */
export async function imageId(image: string): Promise<string> {
  const { stdout } = await docker(["image", "inspect", "--format", "{{.Id}}", image]);
  return stdout.trim();
}

/** Pushes an image and returns its digest in the registry, `sha256:...`. */
export async function push(image: string, login: Login | undefined): Promise<string> {
  return digestOf(image, await loggedIn(login, (client) => docker([...client, "push", image])));
}

/**
 * Runs work with the options that make the CLI use this login. It is made in a throw-away configuration, so that the
 * user's own logins are neither used nor changed; without one the user's are used.
 */
async function loggedIn<T>(
  login: Login | undefined,
  work: (client: readonly string[]) => Promise<T>,
): Promise<T> {
  if (login === undefined) return work([]);
  const folder = await mkdtemp(join(tmpdir(), "kpb-docker-"));
  try {
    // The engine may be chosen by the user's configuration, which the throw-away one lacks.
    const endpoint = ["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"];
    const host = (await docker(endpoint)).stdout.trim();
    const client = ["--config", folder, "--host", host];
    await docker(
      [...client, "login", "--username", login.username, "--password-stdin", login.server],
      { input: login.password },
    );
    return await work(client);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function digestOf(image: string, pushed: Finished): string {
  const digest = /digest: (sha256:[0-9a-f]{64})/.exec(pushed.stdout)?.[1];
  if (digest === undefined)
    throw new Error(`the push of ${image} reported no digest: ${pushed.stdout}`);
  return digest;
}

async function docker(args: string[], options: Parameters<typeof run>[2] = {}): Promise<Finished> {
  const done = await run("docker", args, options);
  if (done.status === 0) return done;
  const command = args.find((word) => /^(build|image|context|login|push)$/.test(word));
  throw new Error(`docker ${command} failed with status ${done.status}:\n${done.output.trim()}`);
}
