import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import {
  type ConfigMap,
  type Deployment,
  type EngineEvent,
  LocalWorkspace,
  type OutputMap,
  PulumiCommand,
  type PulumiFn,
} from "@pulumi/pulumi/automation/index.js";
import { type ProviderName, startProviders } from "../../sandbox/providers/start.ts";
import { outputsInState } from "../../sandbox/stack/stateOutputs.ts";
import { withoutPrompts } from "../../sandbox/stack/withoutPrompts.ts";
import { startVault } from "./servers/vault.ts";

/** What was seen of one run of the engine, by the resources' logical names. */
export interface Seen {
  /** `create`, `update`, `replace`, `delete`, `same` ... */
  readonly steps: Record<string, string>;
  /** Changed property paths. */
  readonly diffs: Record<string, string[]>;
  /** Inputs that differ between the state and the program, which is what Pulumi prints of a change. */
  readonly inputs: Record<string, string[]>;
  /** Lines that providers logged. */
  readonly lines: readonly string[];
}

export interface Project {
  /** `up`; with `refresh`, what is there is looked at first. */
  up(program: PulumiFn, options?: { refresh: boolean }): Promise<Seen>;
  /** The stack's outputs, as the last operation left them. */
  outputs(): Promise<OutputMap>;
  preview(program: PulumiFn): Promise<Seen>;
  /** Looks at what is there and writes it into the state. Number of resources by what was found: `same`, `update` ... */
  refresh(program: PulumiFn): Promise<Record<string, number>>;
  /** `preview --refresh --expect-no-changes`: `code` is 7 when there are changes. */
  drift(program: PulumiFn): Promise<Seen & { code: number }>;
  /** The error that `up` ends with. */
  failure(program: PulumiFn): Promise<string>;
  destroy(program: PulumiFn): Promise<void>;
  /** The state as it is stored: secrets encrypted. */
  state(): Promise<string>;
  /** Takes a state as `pulumi stack export --show-secrets` prints it, in the place of its own. */
  take(exported: Deployment): Promise<void>;
  /** What the stand-ins left in their folder for temporary files. */
  leftovers(): Promise<string[]>;
  close(): Promise<void>;
}

/** Ignored by git, and inside the checkout: a dynamic resource finds the package from the folder of the program. */
const scratch = join(import.meta.dirname, "../../build");

/** The program, which is asked for its version once. */
let pulumi: Promise<PulumiCommand> | undefined;
let vault: ReturnType<typeof startVault> | undefined;

/**
 * A stack of its own on the real engine, with stand-ins started for it and its state in a temporary folder.
 * @param config settings of the stack, by path
 * @param dynamic `cold` lets the engine start Pulumi's provider of dynamic resources for each operation, as users have it;
 *   `warm` starts it once
 */
export async function openProject(
  only: ProviderName[],
  env: Record<string, string> = {},
  config: ConfigMap = {},
  dynamic: "warm" | "cold" = "cold",
): Promise<Project> {
  await mkdir(scratch, { recursive: true });
  const dir = await mkdtemp(join(scratch, "project-"));
  const home = join(dir, "home");
  const temporary = join(dir, "tmp");
  const workDir = join(dir, "program");
  const stateFile = join(dir, "state/.pulumi/stacks/contract/test.json");
  await Promise.all([mkdir(temporary), mkdir(workDir)]);
  const providers = await startProviders({
    only,
    env: { ...env, TMPDIR: temporary },
    standIns: "always",
    dynamic,
  });
  vault ??= startVault();
  const { env: vaultEnv, provider: secretsProvider } = await vault;
  const envVars = {
    ...vaultEnv,
    PULUMI_BACKEND_URL: `file://${join(dir, "state")}`,
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    PULUMI_DEBUG_PROVIDERS: providers.debugProviders,
  };
  await mkdir(join(dir, "state"));
  pulumi ??= PulumiCommand.get();
  const stack = await LocalWorkspace.createStack(
    { stackName: "test", projectName: "contract", program: async () => {} },
    {
      envVars,
      pulumiHome: home,
      workDir,
      secretsProvider,
      pulumiCommand: await pulumi,
    },
  );
  if (Object.keys(config).length > 0) await stack.setAllConfig(config, true);
  const operated = withoutPrompts(stack);
  const running = (program: PulumiFn) => {
    stack.workspace.program = program;
    return operated;
  };

  const project: Project = {
    async up(program, options) {
      const seen = new Observer();
      await running(program).up({ ...options, onEvent: seen.note });
      return seen;
    },
    outputs: async () => (await outputsInState(stateFile)) ?? stack.outputs(),
    async preview(program) {
      const seen = new Observer();
      await running(program).preview({ onEvent: seen.note });
      return seen;
    },
    async refresh(program) {
      let found: Record<string, number> = {};
      const onEvent = ({ summaryEvent }: EngineEvent) => {
        if (summaryEvent !== undefined) found = { ...summaryEvent.resourceChanges };
      };
      await running(program).refresh({ onEvent });
      return found;
    },
    async drift(program) {
      const seen = new Observer();
      const code = await running(program)
        .preview({ refresh: true, expectNoChanges: true, onEvent: seen.note })
        .then(() => 0, exitCode);
      return { code, ...seen };
    },
    async failure(program) {
      return running(program)
        .up()
        .then(
          () => {
            throw new Error("up was expected to fail");
          },
          (error: Error) => error.message,
        );
    },
    async destroy(program) {
      await running(program).destroy();
    },
    async take({ version, deployment }) {
      // Of an export in plain text the engine asks who shall encrypt it.
      const settings = await stack.workspace.stackSettings("test");
      const { secretsProvider: url, encryptedKey: encryptedkey } = settings;
      const providers = { type: "cloud", state: { url, encryptedkey } };
      await stack.importStack({
        version,
        deployment: { ...deployment, secrets_providers: providers },
      });
    },
    async state() {
      return readFile(stateFile, "utf8");
    },
    leftovers() {
      return readdir(temporary);
    },
    async close() {
      await providers.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
  return project;
}

class Observer implements Seen {
  readonly steps: Record<string, string> = {};
  readonly diffs: Record<string, string[]> = {};
  readonly inputs: Record<string, string[]> = {};
  readonly lines: string[] = [];

  readonly note = (event: EngineEvent) => {
    if (event.diagnosticEvent?.urn) this.lines.push(event.diagnosticEvent.message);
    const metadata = event.resourcePreEvent?.metadata;
    if (metadata === undefined || metadata.type.startsWith("pulumi:")) return;
    const name = metadata.urn.split("::").at(-1) ?? "";
    // Of a refresh and the step after it, the step is what counts; of a replacement's parts, its name.
    if (metadata.op === "refresh") return;
    const replaces = /replace/.test(metadata.op);
    if (!(this.steps[name] === "replace")) this.steps[name] = replaces ? "replace" : metadata.op;
    const paths = Object.keys(metadata.detailedDiff ?? {});
    if (paths.length > 0) this.diffs[name] = paths.sort();
    const [old, now] = [metadata.old?.inputs ?? {}, metadata.new?.inputs ?? {}];
    this.inputs[name] = Object.keys(now).filter((key) => !isDeepStrictEqual(old[key], now[key]));
  };
}

function exitCode(error: Error): number {
  // The Automation API keeps the status of its `pulumi` to itself, but for the sentence.
  const code = /exit code (\d+)/.exec(error.message)?.[1];
  if (code === undefined) throw error;
  return Number(code);
}
