import * as z from "zod";
import { Problem } from "../../common/problem.ts";
import { quoteSecret } from "../../kamal/secretsFile.ts";
import { type Container, dockerProblem } from "../session/agentCall.ts";
import type { Session } from "../session/session.ts";

export interface EnvOptions {
  /** As `docker run --env-file` reads it, which takes quotes for a part of the value. @default false */
  readonly docker?: boolean;
}

const environmentSchema = z.array(z.string()).nullable();
const containerSchema = z.object({ env: environmentSchema, image: z.string() });

/** Kamal tells it to each container (2.7 and later); it means nothing elsewhere. */
const OF_KAMAL = "KAMAL_HOST";

/**
 * Prints what the container was started with, secrets included, as lines of a `.env` file: for tools that run the agent
 * elsewhere.
 * @throws Problem on a terminal, where there is no container, and for a value that the file cannot hold
 */
export async function env(
  { container, screen }: Session,
  { docker = false }: EnvOptions,
): Promise<void> {
  if (screen.terminal.out.isTTY) {
    throw new Problem(
      "env prints secrets. Give it a file that nobody else can read: (umask 077; npx kamal-postgres-backup env > backup.env)",
    );
  }
  const variables = await environmentOf(container);
  const line = docker ? literal : quoteSecret;
  const lines = variables.map(([name, value]) => line(name, value));
  for (const text of lines) screen.line(text);
  screen.document(Object.fromEntries(variables));
}

/** Without what comes from the image. Sorted, since Docker gives them an order of its own each time. */
async function environmentOf(container: Container): Promise<[name: string, value: string][]> {
  const format = '{"env":{{json .Config.Env}},"image":{{json .Image}}}';
  const found = await inspect(container, ["container", "inspect"], format, container.name);
  const { env, image } = containerSchema.parse(found);
  const ofImage = await inspect(container, ["image", "inspect"], "{{json .Config.Env}}", image);
  const usual = new Set(environmentSchema.parse(ofImage));
  return (env ?? [])
    .filter((entry) => !usual.has(entry) && !entry.startsWith(`${OF_KAMAL}=`))
    .map((entry): [string, string] => {
      const end = entry.indexOf("=");
      return [entry.slice(0, end), entry.slice(end + 1)];
    })
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
}

async function inspect(
  container: Container,
  command: readonly string[],
  format: string,
  name: string,
): Promise<unknown> {
  let text = "";
  const { code, stderr } = await container.connection.run({
    words: ["docker", ...command, "--format", format, name],
    onLine: (line) => {
      text += line;
    },
    interrupted: "interrupted. Not a line was printed.",
  });
  if (code !== 0) throw dockerProblem(container, code, stderr);
  return JSON.parse(text);
}

function literal(name: string, value: string): string {
  if (!/[\r\n]/.test(value)) return `${name}=${value}`;
  throw new Problem(`${name} has a line end, which docker run --env-file cannot hold.`);
}
