import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundleAgent } from "../../common/agentContext.ts";
import { docker, removeContainer } from "../../sandbox/host/docker.ts";
import { imageNames } from "../../sandbox/host/images.ts";
import { eventually } from "../../sandbox/world/run.ts";
import type { World } from "../../sandbox/world/world.ts";
import type { Cgroup } from "./cgroup.ts";
import { type DatabaseSize, dataDigest, makeDatabase } from "./data.ts";
import { accountOf, type Services, start } from "./measure.ts";
import { benchLabel, names, workDir } from "./names.ts";
import { type Store, startSink, startStore } from "./store.ts";

/** Everything that the measured programs work with. */
export interface Bench {
  readonly services: Services;
  readonly store: Store;
  /** An S3 service that only swallows. */
  readonly sink: { readonly endpoint: string; readonly account: Cgroup };
  readonly images: { readonly agent: string; readonly incumbent: string };
  /** Password of the role `bench`, a superuser. */
  readonly password: string;
  readonly passphrase: string;
}

/** Host name and role of the database server as the measured containers see it. */
export const database = { host: "db.bench", user: "bench", container: names.database };

/**
 * Starts the server, the S3 service and builds the images. Data that an earlier run kept is used again.
 * @throws Problem that names what could not be had
 */
export async function startBench(
  world: World,
  databases: readonly DatabaseSize[],
  log: (line: string) => void,
): Promise<Bench> {
  await removeContainers();
  mkdirSync(workDir, { recursive: true, mode: 0o700 });
  const network = await docker(["network", "inspect", names.network], { allowFailure: true });
  if (network.code !== 0) await docker(["network", "create", "--label", benchLabel, names.network]);
  const images = imageNames(world.registry.server);
  const store = await startStore(images.debian);
  log("SeaweedFS answers over TLS, its data in memory");
  const password = randomBytes(12).toString("hex");
  await startServer(images.postgres, password, databases, log);
  await buildImages(images, log);
  const sink = await startSink(names.agentImage);
  return {
    services: {
      server: await accountOf(names.database),
      store: await accountOf(names.store),
    },
    store,
    sink: { endpoint: sink, account: await accountOf(names.sink) },
    images: { agent: names.agentImage, incumbent: names.incumbentImage },
    password,
    passphrase: randomBytes(16).toString("hex"),
  };
}

async function startServer(
  image: string,
  password: string,
  databases: readonly DatabaseSize[],
  log: (line: string) => void,
): Promise<void> {
  const volume = names.data(dataDigest(databases));
  await removeOtherVolumes(volume);
  const there = await docker(["volume", "inspect", volume], { allowFailure: true });
  if (there.code !== 0) await docker(["volume", "create", "--label", benchLabel, volume]);
  const file = writeEnvironment("server", {
    POSTGRES_USER: "bench",
    POSTGRES_PASSWORD: password,
    POSTGRES_DB: "postgres",
  });
  await start(
    image,
    [
      ...["--name", names.database, "--network", names.network, "--network-alias", database.host],
      ...["--env-file", file, "--volume", `${volume}:/var/lib/postgresql/data`, "--shm-size=256m"],
    ],
    // Background work would fall on one side of the comparison or the other by chance.
    ["postgres", "-c", "autovacuum=off"],
  );
  await eventually("PostgreSQL", 60_000, async () => {
    const probe = await docker(
      ["exec", names.database, "pg_isready", "--host=localhost", "--quiet"],
      {
        allowFailure: true,
      },
    );
    return probe.code === 0 ? true : undefined;
  });
  const change = `ALTER ROLE bench PASSWORD '${password}'`;
  await sql("postgres", change);
  const kept = await sql("postgres", "SELECT datname FROM pg_database WHERE NOT datistemplate");
  if (kept.split("\n").includes("complete")) {
    log("data of an earlier run is used again");
    return;
  }
  for (const size of databases) {
    await sql("postgres", `DROP DATABASE IF EXISTS ${size.name}`);
    await makeDatabase(names.database, size);
    log(`database ${size.name}: ${(await sizeOf(size.name)) / 1e6} MB`);
  }
  // Its presence says that the others are whole.
  await sql("postgres", "CREATE DATABASE complete");
  await sql("postgres", "CHECKPOINT");
}

async function buildImages(
  images: { readonly base: string; readonly debian: string },
  log: (line: string) => void,
): Promise<void> {
  const context = join(workDir, "agent-image");
  rmSync(context, { recursive: true, force: true });
  const { dir } = await bundleAgent(context);
  await build(names.agentImage, dir, `BASE_IMAGE=${images.base}`);
  const incumbent = join(import.meta.dirname, "incumbent");
  await build(names.incumbentImage, incumbent, `DEBIAN_IMAGE=${images.debian}`);
  log("images built: the agent's, the incumbent's steps");
}

async function build(tag: string, context: string, argument: string): Promise<void> {
  const options = ["--quiet", "--label", benchLabel, "--build-arg", argument, "--tag", tag];
  await docker(["build", ...options, context], { timeoutMs: 600_000 });
}

/** One statement on the bench's server; returns what it printed, a row a line. */
export async function sql(name: string, statement: string): Promise<string> {
  const options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--username=bench"];
  const args = ["exec", "--interactive", names.database, "psql", ...options];
  const { stdout } = await docker([...args, "--set=ON_ERROR_STOP=1", name], { input: statement });
  return stdout.trim();
}

export async function sizeOf(name: string): Promise<number> {
  return Number(await sql("postgres", `SELECT pg_database_size('${name}')`));
}

/** A file for `--env-file`, readable by its owner alone: secrets stay out of the process list. */
export function writeEnvironment(
  name: string,
  variables: Readonly<Record<string, string>>,
): string {
  const file = join(workDir, `${name}.env`);
  const text = Object.entries(variables)
    .map(([key, value]) => `${key}=${value}\n`)
    .join("");
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

async function labelled(kind: readonly string[], format: string): Promise<string[]> {
  const filter = ["--filter", `label=${benchLabel}`, "--format", format];
  const { stdout } = await docker([...kind, ...filter]);
  return stdout.split("\n").filter((line) => line !== "");
}

async function removeContainers(): Promise<void> {
  for (const name of await labelled(["ps", "--all"], "{{.ID}}")) await removeContainer(name);
}

async function removeOtherVolumes(kept: string | undefined): Promise<void> {
  for (const name of await labelled(["volume", "ls"], "{{.Name}}")) {
    if (name !== kept) await docker(["volume", "rm", name]);
  }
}

/**
 * Removes everything that carries the bench's label, and its folder.
 * @param keep leaves the data and the images for the next run
 */
export async function stopBench(keep: boolean): Promise<void> {
  await removeContainers();
  for (const name of await labelled(["network", "ls"], "{{.ID}}")) {
    await docker(["network", "rm", name]);
  }
  if (!keep) {
    await removeOtherVolumes(undefined);
    const images = [...new Set(await labelled(["image", "ls"], "{{.ID}}"))];
    if (images.length > 0) await docker(["image", "rm", "--force", ...images]);
  }
  rmSync(workDir, { recursive: true, force: true });
}

/** The version line of a program in an image. */
export async function versionIn(image: string, ...command: string[]): Promise<string> {
  const { stdout } = await docker(["run", "--rm", "--label", benchLabel, image, ...command]);
  return stdout.trim().split("\n")[0] ?? "";
}
