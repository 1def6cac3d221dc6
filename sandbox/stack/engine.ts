import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Output } from "@pulumi/pulumi";
import {
  type EngineEvent,
  LocalWorkspace,
  type OutputMap,
  PulumiCommand,
  type PulumiFn,
  type Stack,
} from "@pulumi/pulumi/automation/index.js";
import { declareBackup } from "../../stacks/program.ts";
import { type Providers, startProviders } from "../providers/start.ts";
import type { World } from "../world/world.ts";
import { ensureIdentity } from "./identity.ts";
import { layOutProject, TEMPLATE } from "./projectFolder.ts";
import { type StackSettings, writeSettings } from "./settingsFile.ts";
import { outputsInState } from "./stateOutputs.ts";
import { withoutPrompts } from "./withoutPrompts.ts";

/** Its name in `Pulumi.yaml`. */
const PROJECT = "kamal-postgres-backup";

export interface EngineOptions {
  /** Name of the stack. @default "sandbox" */
  readonly stack?: string;
  /** Program to run. @default that of `stacks/` */
  readonly program?: PulumiFn;
  /** Settings over those of `stacks/Pulumi.sandbox.yaml`. */
  readonly config?: StackSettings;
  /** Providers that run already and stay when the stack is closed. @default started for this stack */
  readonly providers?: Providers;
  /** Whoever keeps the key of its secrets, if it is made now. @default the sandbox's passphrase */
  readonly secrets?: {
    readonly provider: string;
    /** What Pulumi's environment needs for it. */
    readonly env: Readonly<Record<string, string>>;
  };
}

export interface Outcome {
  /** 0 done, 7 changes where none were expected, anything else failed. */
  readonly code: number;
  /** All that Pulumi printed. */
  readonly output: string;
  /** Number of resources per operation: create, update, replace, delete, same. */
  readonly changes: Readonly<Record<string, number>>;
  readonly events: readonly EngineEvent[];
}

/** A stack on the real Pulumi engine, with its state in the sandbox and the program of `stacks/` run in this process. */
export interface SandboxStack {
  readonly stack: Stack;
  /** Folder with the stack's `Pulumi.yaml`, for commands that are given `--cwd`. */
  readonly dir: string;
  /** Environment in which the `pulumi` command finds this stack, its secrets and the providers. */
  readonly env: Readonly<Record<string, string>>;
  readonly providers: Providers;
  /** Sets the stack's settings: those that it was opened with, and these over them. Others are gone. */
  configure(settings?: StackSettings): void;
  preview(options?: { expectNoChanges?: boolean }): Promise<Outcome>;
  /** @param options.refresh false: without the look before, unless the project asks for it */
  up(options?: { expectNoChanges?: boolean; refresh?: boolean }): Promise<Outcome>;
  destroy(options?: object): Promise<Outcome>;
  /** The stack's outputs, as the last operation left them. */
  outputs(): Promise<OutputMap>;
  close(): Promise<void>;
}

/** The program, which is asked for its version once. */
let pulumi: Promise<PulumiCommand> | undefined;

/** Opens a stack of the sandbox, made if it does not exist. */
export async function openStack(world: World, options: EngineOptions = {}): Promise<SandboxStack> {
  const name = options.stack ?? "sandbox";
  const dir = join(world.dir, "stacks", name);
  const settings = await layOutProject(dir, name);
  const declared = { ...sandboxSettings(world), ...options.config };
  const providers = options.providers ?? (await startProviders({ env: storeEnvironment(world) }));
  const env = { ...(await engineEnvironment(world, providers)), ...options.secrets?.env };
  const state = join(world.dir, `state/.pulumi/stacks/${PROJECT}/${name}.json`);
  pulumi ??= PulumiCommand.get();
  const named = { stackName: name, workDir: dir };
  const workspace = {
    workDir: dir,
    envVars: env,
    program: options.program ?? publishBackup,
    pulumiHome: env["PULUMI_HOME"] as string,
    pulumiCommand: await pulumi,
    ...(options.secrets && { secretsProvider: options.secrets.provider }),
  };
  // Not createOrSelectStack, which tries the one and then does the other.
  const stack = existsSync(state)
    ? await LocalWorkspace.selectStack(named, workspace)
    : await LocalWorkspace.createStack(named, workspace);
  writeSettings(settings, PROJECT, declared);

  const operated = withoutPrompts(stack);
  const observe = async (run: (watch: Watch) => Promise<unknown>): Promise<Outcome> => {
    const watch = new Watch();
    try {
      await run(watch);
      return watch.outcome(0);
    } catch (error) {
      const text = (error as Error).message;
      const code = /exit code (\d+)/.exec(text)?.[1];
      if (code === undefined) throw error;
      return watch.outcome(Number(code));
    }
  };
  return {
    stack,
    dir,
    env,
    providers,
    configure: (more = {}) => writeSettings(settings, PROJECT, { ...declared, ...more }, TEMPLATE),
    preview: (o = {}) =>
      observe((w) => operated.preview({ ...w.listeners, diff: true, refresh: true, ...o })),
    up: (o = {}) => observe((w) => operated.up({ ...w.listeners, refresh: true, ...o })),
    destroy: () => observe((w) => operated.destroy({ ...w.listeners, refresh: true })),
    outputs: async () => (await outputsInState(state)) ?? stack.outputs(),
    close: async () => {
      if (options.providers === undefined) await providers.stop();
    },
  };
}

const publishBackup: PulumiFn = async () => {
  const { outputs, secretOutputs } = declareBackup();
  await resolved(outputs);
  return { backup: outputs, ...secretOutputs };
};

/**
 * Waits for an output, known or not, and fails as it does. An inline program that returns earlier counts as complete, and
 * whatever a failed output kept from being declared is deleted; a program that Pulumi starts itself ends with an error.
 */
export function resolved(output: Output<unknown>): Promise<unknown> {
  return (output as unknown as { promise(withUnknowns: boolean): Promise<unknown> }).promise(true);
}

/** Collects what an operation says. */
class Watch {
  #output = "";
  readonly #events: EngineEvent[] = [];
  readonly listeners = {
    color: "never" as const,
    onOutput: (text: string) => {
      this.#output += text;
    },
    onError: (text: string) => {
      this.#output += text;
    },
    onEvent: (event: EngineEvent) => {
      this.#events.push(event);
    },
  };

  outcome(code: number): Outcome {
    const summary = this.#events.find((event) => event.summaryEvent)?.summaryEvent;
    return {
      code,
      output: this.#output,
      changes: { ...(summary?.resourceChanges as Record<string, number> | undefined) },
      events: this.#events,
    };
  }
}

async function engineEnvironment(
  world: World,
  providers: Providers,
): Promise<Record<string, string>> {
  const state = join(world.dir, "state");
  const passphrase = join(world.dir, "passphrase");
  await mkdir(state, { recursive: true });
  await readFile(passphrase).catch(() =>
    writeFile(passphrase, randomBytes(24).toString("hex"), { mode: 0o600 }),
  );
  return {
    PULUMI_BACKEND_URL: `file://${state}`,
    PULUMI_CONFIG_PASSPHRASE_FILE: passphrase,
    PULUMI_HOME: join(world.dir, "pulumi-home"),
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    PULUMI_DEBUG_PROVIDERS: providers.debugProviders,
    ...storeEnvironment(world),
  };
}

export function storeEnvironment(world: World): Record<string, string> {
  return {
    SANDBOX_S3_ENDPOINT: world.store.endpoint,
    SANDBOX_S3_REGION: world.store.region,
    SANDBOX_S3_ACCESS_KEY_ID: world.store.accessKeyId,
    SANDBOX_S3_SECRET_ACCESS_KEY: world.store.secretAccessKey,
  };
}

/** The settings that differ from one sandbox to the next. */
function sandboxSettings(world: World): StackSettings {
  return {
    name: "shop",
    schedule: world.schedule,
    kamalConfig: world.app.config,
    s3Endpoint: world.store.endpoint,
    s3AllowInsecure: "true",
    hostKeys: JSON.stringify({ [world.ssh.host]: world.ssh.hostKey }),
    baseImage: world.image.base,
    ageRecipients: ensureIdentity(world).recipient,
  };
}
