/** The agent's container as the component boots it, and the programs that are run in it. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { encodeBech32 } from "../../common/age/bech32.ts";
import { formatRecipient, parseIdentity, publicKeyOf } from "../../common/age/keys.ts";
import { type AgentEvent, parseEvent } from "../../common/contracts/agentEvents.ts";
import { docker, dockerEnvironment, removeContainer } from "../../sandbox/host/docker.ts";
import { sandboxLabel } from "../../sandbox/world/paths.ts";
import type { World } from "../../sandbox/world/world.ts";
import type { Encryption } from "./rounds.ts";

/** Folder of the scratch volume in the container. */
export const SCRATCH = "/scratch";
/** Folder in memory, of state and temporary files. */
const STATE = "/dev/shm";
const PASSPHRASE = "passphrase of the soak";
/** Something in the container that is no answer to the fault, but a machine that stands still. */
const TRIGGER_WITHIN_MS = 20_000;

/** How a run ended. */
export interface Outcome {
  /** Null: it did not end in time, and was given up. */
  readonly code: number | null;
  readonly elapsedMs: number;
  /** The sentence of its failure; empty: there was none. */
  readonly sentence: string;
  readonly events: readonly AgentEvent[];
  /** Standard error, where notices stand too. */
  readonly stderr: string;
}

/** A command of the agent that is under way. */
export interface Run {
  readonly ended: Promise<Outcome>;
  readonly alive: boolean;
  readonly events: readonly AgentEvent[];
  /** Takes a client that hangs away; the outcome's code is then null. */
  giveUp(): void;
}

/** A program that waits in a container for the word to do something there: starting it would take too long. */
export interface Trigger {
  /** @returns whether it found what it was to hit */
  pull(line?: string): Promise<boolean>;
  /** The moment never came. */
  disarm(): void;
}

export class Agent {
  readonly container: string;
  readonly #world: World;
  readonly #network: string;
  readonly #identity: string;
  readonly #volume: string;

  constructor(world: World, network: string, name: string) {
    this.#world = world;
    this.#network = network;
    this.container = name;
    // The sandbox removes volumes by what Kamal's application is called.
    this.#volume = `${world.app.service}-soak-scratch`;
    const { privateKey } = generateKeyPairSync("x25519");
    const bytes = privateKey.export({ format: "der", type: "pkcs8" }).subarray(-32);
    this.#identity = encodeBech32("age-secret-key-", bytes).toUpperCase();
  }

  /** @param env what every command gets: server, S3 service, keys */
  async start(image: string, env: Record<string, string>): Promise<void> {
    await removeContainer(this.container);
    const all = { ...env, SCHEDULE: "@yearly" };
    await docker(
      [
        ...["run", "--detach", "--name", this.container, "--network", this.#network],
        ...["--label", `${sandboxLabel}=${this.#world.id}`, ...words(all)],
        ...["--read-only", "--memory", "256m", "--stop-timeout", "30"],
        ...["--volume", `${this.#volume}:${SCRATCH}`, image],
      ],
      { env: all },
    );
  }

  async removeVolume(): Promise<void> {
    await docker(["volume", "rm", "--force", this.#volume], { allowFailure: true });
  }

  /** Variables of a command whose backups are encrypted so. */
  encryption(encryption: Encryption): Record<string, string> {
    if (encryption === "plain") return {};
    if (encryption === "passphrase") return { PASSPHRASE };
    return { AGE_RECIPIENTS: formatRecipient(publicKeyOf(parseIdentity(this.#identity))) };
  }

  /** Begins a command. @param encryption of what it has to read, which the container itself cannot open with `age` */
  async begin(
    command: readonly string[],
    env: Record<string, string>,
    encryption: Encryption,
  ): Promise<Run> {
    const reads = encryption === "age" && command[0] !== "backup";
    const child = spawn(
      "docker",
      [
        ...["exec", "--interactive", ...words(env), this.container, "agent", ...command],
        ...[...(reads ? ["--identity-stdin"] : []), "--json"],
      ],
      { env: { ...process.env, ...(await dockerEnvironment()), ...env } },
    );
    child.stdin.on("error", () => {});
    child.stdin.end(reads ? `${this.#identity}\n` : "");
    return follow(child);
  }

  async run(
    command: readonly string[],
    env: Record<string, string>,
    encryption: Encryption,
    limitMs: number,
  ): Promise<Outcome> {
    const run = await this.begin(command, env, encryption);
    const timer = setTimeout(() => run.giveUp(), limitMs);
    const outcome = await run.ended;
    clearTimeout(timer);
    return outcome;
  }

  /** Files that restores have left in the scratch folder, and temporary folders of any run beside the container's state. */
  async scratchFiles(): Promise<string[]> {
    const find = `find ${SCRATCH} -mindepth 1; find ${STATE} -mindepth 1 -maxdepth 1 -type d -name '*-??????'`;
    const { stdout } = await docker(["exec", this.container, "sh", "-c", find]);
    return stdout.split("\n").filter((line) => line !== "");
  }

  async emptyScratch(): Promise<void> {
    const left = await this.scratchFiles();
    await docker(["exec", this.container, "rm", "-rf", ...left], { allowFailure: true });
  }

  /**
   * Waits in the container to send a signal to a program.
   * @param program its name as the kernel has it: `pg_dump`
   * @param word of its command line, a regular expression
   * @param waits how long it looks for the program when it is asked to, in seconds
   */
  signalTrigger(signal: string, program: string, word: string, waits: number): Promise<Trigger> {
    const look = `for d in /proc/[0-9]*; do
      { read -r name <"$d/comm"; } 2>/dev/null || continue
      case "$name" in ${program}) ;; *) continue ;; esac
      tr '\\0' ' ' <"$d/cmdline" 2>/dev/null | grep -qE -- '${word}' || continue
      kill -s ${signal} "\${d#/proc/}" && exit 0
    done`;
    const rounds = Math.max(1, Math.round(waits * 40));
    const script = `read -r go || exit 3; i=0; while [ "$i" -lt ${rounds} ]; do ${look}; sleep 0.02; i=$((i + 1)); done; exit 3`;
    return armed(this.container, script);
  }
}

/** Waits in the database's container to kill the process whose number it is given. */
export function killTrigger(container: string): Promise<Trigger> {
  return armed(container, 'read -r pid || exit 3; kill -s KILL "$pid" 2>/dev/null || exit 3');
}

async function armed(container: string, script: string): Promise<Trigger> {
  const words = ["exec", "--interactive", container, "sh", "-c", `echo armed; ${script}`];
  const child = spawn("docker", words, { env: { ...process.env, ...(await dockerEnvironment()) } });
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  child.on("error", () => {});
  child.stdin.on("error", () => {});
  child.stderr.resume();
  // Also when it ends without a word: then nothing will be hit.
  await Promise.race([new Promise((resolve) => child.stdout.once("data", resolve)), ended]);
  child.stdout.resume();
  return {
    pull: async (line = "go") => {
      const timer = setTimeout(() => child.kill("SIGKILL"), TRIGGER_WITHIN_MS);
      child.stdin.end(`${line}\n`);
      const code = await ended;
      clearTimeout(timer);
      return code === 0;
    },
    disarm: () => {
      child.stdin.end();
    },
  };
}

function follow(child: ChildProcessWithoutNullStreams): Run {
  const started = performance.now();
  const events: AgentEvent[] = [];
  const state = { alive: true, givenUp: false };
  let rest = "";
  let stderr = "";
  const take = (line: string) => {
    const event = parseEvent(line);
    if (event !== undefined) events.push(event);
  };
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(take);
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr += chunk;
  });
  const ended = new Promise<Outcome>((resolve) => {
    child.on("close", (code) => {
      state.alive = false;
      take(rest);
      const error = events.find((event) => event.event === "error");
      resolve({
        code: state.givenUp ? null : code,
        elapsedMs: Math.round(performance.now() - started),
        sentence: error?.event === "error" ? error.message : "",
        events,
        stderr,
      });
    });
  });
  return {
    ended,
    events,
    get alive() {
      return state.alive;
    },
    giveUp: () => {
      state.givenUp = true;
      child.kill("SIGKILL");
    },
  };
}

/** Names only: docker takes the values from its own environment, so that none stands in the process list. */
function words(env: Record<string, string>): string[] {
  return Object.keys(env).flatMap((name) => ["--env", name]);
}
