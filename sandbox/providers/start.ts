import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { pluginVersion } from "./packageVersion.ts";
import { findPlugin } from "./plugins.ts";

export type ProviderName = "aws" | "command" | "docker";

export interface Providers {
  /** Value for `PULUMI_DEBUG_PROVIDERS`: `name:port` of each stand-in, comma-separated; empty if all plugins are real. */
  readonly debugProviders: string;
  /** One sentence a provider: real or stand-in, and why. */
  readonly report: readonly string[];
  /** Ends the stand-ins. */
  stop(): Promise<void>;
  /** Lets this process end while they run: they end with it. */
  unref(): void;
}

/** Time for a stand-in to come up, in milliseconds; loading the AWS SDK on a busy machine takes seconds. */
const START_LIMIT = 60_000;

export interface StartOptions {
  /**
   * Environment of the stand-ins, over that of this process (`SANDBOX_S3_*` for aws); `PULUMI_HOME` in it says where real plugins
   * are looked for.
   */
  readonly env: Readonly<Record<string, string>>;
  /**
   * Folder from which the stand-ins read paths: the program's, where the engine starts a plugin.
   * @default that of this process
   */
  readonly cwd?: string;
  /** The providers that are wanted. @default all three */
  readonly only?: readonly ProviderName[];
  /** `always` takes a stand-in even where the real plugin is installed. @default "where needed" */
  readonly standIns?: "where needed" | "always";
  /**
   * `warm` starts Pulumi's own provider of dynamic resources once for all operations. It lives through a change of code, and what
   * it prints does not reach the operation's output. @default "cold": the engine starts it for each operation
   */
  readonly dynamic?: "warm" | "cold";
}

/**
 * Makes the three providers usable: the real plugin where it is installed, else a stand-in of ours in a process of its own,
 * which ends with `stop` or when this process dies.
 * @throws Error when a stand-in does not come up
 */
export async function startProviders(options: StartOptions): Promise<Providers> {
  const report: string[] = [];
  const started: { name: string; child: ChildProcess; port: Promise<number> }[] = [];
  const stop = async () => {
    await Promise.all(started.map(({ child }) => end(child)));
  };

  for (const name of options.only ?? (["aws", "command", "docker"] as const)) {
    const version = pluginVersion(name);
    const real =
      options.standIns === "always"
        ? undefined
        : await findPlugin(name, version, { ...process.env, ...options.env });
    if (real !== undefined && name !== "aws") {
      report.push(`${name} ${version}: the real plugin, ${real}`);
      continue;
    }
    report.push(`${name} ${version}: a stand-in, because ${reason(name, options.standIns)}`);
    started.push({ name, ...launch(name, options) });
  }
  if (options.dynamic === "warm") {
    started.push({ name: "pulumi-nodejs", ...launch("dynamic", options) });
  }

  try {
    const attached = await Promise.all(
      started.map(async ({ name, port }) => `${name}:${await port}`),
    );
    const unref = () => {
      for (const { child } of started) {
        child.unref();
        for (const pipe of [child.stdin, child.stdout] as (Socket | null)[]) pipe?.unref();
      }
    };
    return { debugProviders: attached.join(","), report, stop, unref };
  } catch (error) {
    await stop();
    throw error;
  }
}

function reason(name: ProviderName, standIns: "where needed" | "always" | undefined): string {
  if (name === "aws") return "the real plugin waits for answers that only AWS gives";
  return standIns === "always" ? "one was asked for" : "the real plugin is not installed here";
}

function launch(name: ProviderName | "dynamic", { env, cwd }: StartOptions) {
  const program = fileURLToPath(new URL(`${name}/main.ts`, import.meta.url));
  const child = spawn(process.execPath, [program], {
    // Never written to: its end tells the stand-in that this process is gone.
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...env },
    ...(cwd !== undefined && { cwd }),
  });
  return { child, port: portOf(name, child) };
}

async function portOf(name: string, child: ChildProcess): Promise<number> {
  if (child.stdout === null) throw new Error(`${name}: no standard output`);
  const signal = AbortSignal.timeout(START_LIMIT);
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([
    once(lines, "line", { signal }),
    once(child, "exit", { signal }).then(([code]) => {
      const what =
        name === "dynamic" ? "the dynamic provider" : `the stand-in for the ${name} provider`;
      throw new Error(`${what} ended with status ${code} before it served`);
    }),
    once(child, "error", { signal }).then(([error]) => {
      throw error;
    }),
  ]);
  return Number(line);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = once(child, "exit");
  child.ref();
  child.kill();
  await gone;
}
