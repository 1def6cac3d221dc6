import { randomBytes } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { Problem } from "../../../common/problem.ts";
import { Interrupted, onInterrupt } from "../../../common/process.ts";
import { shellQuote } from "../../../common/ssh/command.ts";
import { docker, INTERRUPTED, localContainer, requireDocker } from "../../drill/localDocker.ts";
import { startServer } from "../../drill/serverContainer.ts";

/** Label of everything that belongs to one pulled server; its value is the server's name. */
const LABEL = "kamal-postgres-backup.pull";
/** Label with the volume of a server. */
const VOLUME = `${LABEL}.volume`;
/** Label with the port of a server on 127.0.0.1. */
const PORT = `${LABEL}.port`;

/** A server of an earlier pull. */
export interface EarlierServer {
  readonly volume: string;
  readonly port: number;
}

/** A server that a pull leaves on this machine. */
export interface PulledServer {
  /** Name of the container. */
  readonly name: string;
  readonly volume: string;
  /** On 127.0.0.1. */
  readonly port: number;
  readonly user: string;
  /** File with the password, in the form of libpq. */
  readonly passwordFile: string;
}

/** Name of the server of a database where none was given. */
export function serverName(database: string): string {
  return `kamal-postgres-backup-pull-${database.replace(/[^\w.-]/g, "-")}`;
}

/**
 * Looks for a server that an earlier pull has left.
 * @returns null: nothing has the name
 * @throws Problem when something else has it
 */
export async function findServer(name: string): Promise<EarlierServer | null> {
  const asked = ["container", "inspect", "--format", "{{json .Config.Labels}}", name];
  const { code, stdout } = await docker(asked);
  if (code !== 0) return null;
  const labels = (JSON.parse(stdout) ?? {}) as Readonly<Record<string, string>>;
  const volume = labels[VOLUME];
  if (labels[LABEL] !== name || volume === undefined) {
    throw new Problem(
      `there is a container ${name} here that no pull has made. Name another one with --server NAME.`,
    );
  }
  return { volume, port: Number(labels[PORT]) };
}

/**
 * Makes the volume for a new server, and takes away what pulls of this name have left that were killed.
 * @returns its name
 */
export async function makeVolume(name: string, earlier: EarlierServer | null): Promise<string> {
  const filter = ["--filter", `label=${LABEL}=${name}`];
  const what = "what an earlier pull has left could not be listed";
  const containers = await requireDocker(what, [
    "ps",
    "--all",
    ...filter,
    "--format",
    "{{.Names}}",
  ]);
  for (const other of lines(containers).filter((one) => one !== name)) {
    await docker(["rm", "--force", "--volumes", other], { unstoppable: true });
  }
  const volumes = await requireDocker(what, ["volume", "ls", ...filter, "--format", "{{.Name}}"]);
  for (const other of lines(volumes).filter((one) => one !== earlier?.volume)) {
    // One that is in use stays.
    await docker(["volume", "rm", other], { unstoppable: true });
  }
  const volume = `${name}-${randomBytes(4).toString("hex")}`;
  await requireDocker("the volume for the data could not be made", [
    ...["volume", "create", "--label", `${LABEL}=${name}`, volume],
  ]);
  return volume;
}

/** Takes a volume away that came to nothing. */
export async function dropVolume(volume: string): Promise<void> {
  await docker(["volume", "rm", volume], { unstoppable: true });
}

/** A port for the server: the one that was asked for, else that of the server that it replaces, else a free one. */
export async function choosePort(
  wanted: number | undefined,
  earlier: EarlierServer | null,
): Promise<number> {
  if (wanted === undefined || wanted === earlier?.port) return earlier?.port ?? freePort(0);
  try {
    return await freePort(wanted);
  } catch {
    throw new Problem(
      `--port ${wanted} is in use on 127.0.0.1. Give another one, or leave it out.`,
    );
  }
}

function freePort(wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(wanted, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : wanted;
      server.close(() => resolve(port));
    });
  });
}

/**
 * Runs a server without a network on the volume, for as long as it is filled, and shuts it down.
 * @param fill gets its container
 */
export async function withFillingServer(
  {
    name,
    volume,
    image,
    superuser,
  }: { name: string; volume: string; image: string; superuser: string },
  fill: (container: string) => Promise<void>,
): Promise<void> {
  const stopped = new AbortController();
  const forget = onInterrupt(() => stopped.abort(new Interrupted(INTERRUPTED)));
  try {
    await startServer(
      {
        ...{ name: volume, image, superuser, password: randomBytes(18).toString("base64url") },
        words: ["--network", "none", "--label", `${LABEL}=${name}`],
        data: { kind: "volume", name: volume },
      },
      stopped.signal,
    );
    await fill(volume);
    await shutDown(volume);
  } finally {
    await docker(["rm", "--force", "--volumes", volume], { unstoppable: true });
    forget();
  }
}

/** Stops a server so that its data folder needs no recovery. */
export async function shutDown(container: string): Promise<void> {
  const words = ["stop", "--time", "120", container];
  const options = { limitMs: 180_000, unstoppable: true };
  await requireDocker("the server could not be stopped", words, options);
}

/** Runs SQL, which may hold a secret, in a server's container. */
export async function runSql(
  { container, user, database }: { container: string; user: string; database: string },
  sql: string,
): Promise<string[]> {
  const found: string[] = [];
  const { code, stderr } = await localContainer(container).connection.run({
    words: ["docker", "exec", "--interactive", container, ...psqlWords(user, database)],
    input: sql,
    onLine: (line) => found.push(line),
    interrupted: INTERRUPTED,
  });
  if (code === 0) return found;
  throw new Problem(`the server in ${container} did not do it: ${stderr.trim().split("\n")[0]}`);
}

/** psql in a server's container, by its socket. */
export function psqlWords(user: string, database: string): string[] {
  return [
    ...["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align"],
    ...["--set", "ON_ERROR_STOP=1", "--username", user, "--dbname", database],
  ];
}

/** What a server is made of once its volume is filled. */
export interface Publication {
  readonly name: string;
  readonly volume: string;
  readonly image: string;
  readonly superuser: string;
  readonly port: number;
  readonly password: string;
  readonly earlier: EarlierServer | null;
}

/**
 * Starts the server that listens, in the place of an earlier one, which goes only once the new one answers.
 * @throws Problem; the earlier one runs then as before
 */
export async function publish(publication: Publication): Promise<PulledServer> {
  const { name, volume, image, superuser, port, password, earlier } = publication;
  const before = `${name}-before`;
  const stopped = new AbortController();
  const forget = onInterrupt(() => stopped.abort(new Interrupted(INTERRUPTED)));
  const passwordFile = passwordFileOf(name);
  let isFree = earlier === null;
  try {
    if (!isFree) {
      await shutDown(name);
      const what = "the earlier server could not be renamed";
      await requireDocker(what, ["rename", name, before], { unstoppable: true });
      isFree = true;
    }
    const labels = { [LABEL]: name, [VOLUME]: volume, [PORT]: String(port) };
    await startServer(
      {
        ...{ name, image, superuser },
        words: [
          ...["--publish", `127.0.0.1:${port}:5432`, "--restart", "unless-stopped"],
          ...Object.entries(labels).flatMap(([label, value]) => ["--label", `${label}=${value}`]),
        ],
        data: { kind: "volume", name: volume },
      },
      stopped.signal,
    );
    await writePasswordFile(passwordFile, { port, user: superuser, password });
  } catch (error) {
    // Until then the name is the earlier server's.
    if (isFree) await docker(["rm", "--force", "--volumes", name], { unstoppable: true });
    if (earlier !== null) {
      if (isFree) await docker(["rename", before, name], { unstoppable: true });
      await docker(["start", name], { unstoppable: true });
    }
    throw error;
  } finally {
    forget();
  }
  if (earlier !== null) {
    await docker(["rm", "--force", "--volumes", before], { unstoppable: true });
    await dropVolume(earlier.volume);
  }
  return { name, volume, port, user: superuser, passwordFile };
}

function passwordFileOf(name: string): string {
  return join(homedir(), ".kamal-postgres-backup", `${name}.pgpass`);
}

/** One line, as libpq reads it (https://www.postgresql.org/docs/current/libpq-pgpass.html), for its owner alone. */
async function writePasswordFile(
  path: string,
  { port, user, password }: { port: number; user: string; password: string },
): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await rm(path, { force: true });
  const name = user.replace(/[\\:]/g, "\\$&");
  await writeFile(path, `127.0.0.1:${port}:*:${name}:${password}\n`, { mode: 0o600, flag: "wx" });
}

/** The commands for a server that a pull has left. */
export function serverCommands(
  { name, volume, port, user, passwordFile }: PulledServer,
  database: string,
): { readonly address: string; readonly reach: string; readonly remove: string } {
  const path = encodeURIComponent(passwordFile).replaceAll("%2F", "/");
  const address = `postgres://${encodeURIComponent(user)}@127.0.0.1:${port}/${encodeURIComponent(database)}?passfile=${path}`;
  return {
    address,
    reach: `psql ${shellQuote(address)}`,
    remove: `docker rm --force ${name} && docker volume rm ${volume} && rm ${shellQuote(passwordFile)}`,
  };
}

function lines(text: string): string[] {
  return text.split("\n").filter(Boolean);
}
