import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import {
  type EngineEvent,
  LocalWorkspace,
  type OutputMap,
  type PulumiFn,
} from "@pulumi/pulumi/automation/index.js";
import { type ProviderName, startProviders } from "../../sandbox/providers/start.ts";

/** What one run of the engine did to a resource, by logical name: `create`, `update`, `replace`, `delete`, `same` ... */
export type Steps = Record<string, string>;

export interface Project {
  up(program: PulumiFn): Promise<{ steps: Steps; outputs: OutputMap; log: string }>;
  /** `preview`, or `preview --refresh --expect-no-changes`: `code` is 7 when there are changes. */
  preview(program: PulumiFn): Promise<{ steps: Steps; diffs: Record<string, string[]> }>;
  drift(
    program: PulumiFn,
  ): Promise<{ code: number; steps: Steps; diffs: Record<string, string[]> }>;
  /** The error that `up` ends with. */
  failure(program: PulumiFn): Promise<string>;
  destroy(program: PulumiFn): Promise<void>;
  /** The exported state, as text. */
  state(): Promise<string>;
  close(): Promise<void>;
}

/** A stack of its own on the real engine, with stand-ins started for it and its state in a temporary folder. */
export async function openProject(
  only: ProviderName[],
  env: Record<string, string> = {},
): Promise<Project> {
  const dir = await mkdtemp(join(tmpdir(), "kpb-project-"));
  // A real plugin that is installed on this machine must not take the place of what is tested here.
  const path = (process.env["PATH"] ?? "")
    .split(delimiter)
    .filter((entry) => !entry.includes(".pulumi"));
  const home = join(dir, "home");
  const providers = await startProviders({
    only,
    env: { ...env, PULUMI_HOME: home, PATH: path.join(delimiter) },
  });
  const envVars = {
    PULUMI_BACKEND_URL: `file://${join(dir, "state")}`,
    PULUMI_CONFIG_PASSPHRASE: "a passphrase of the test",
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    PULUMI_DEBUG_PROVIDERS: providers.debugProviders,
  };
  await mkdir(join(dir, "state"));
  const stackOf = (program: PulumiFn) =>
    LocalWorkspace.createOrSelectStack(
      { stackName: "test", projectName: "contract", program },
      { envVars, pulumiHome: home },
    );

  const project: Project = {
    async up(program) {
      const seen = new Observer();
      const { outputs, stdout } = await (await stackOf(program)).up({ onEvent: seen.note });
      return { steps: seen.steps, outputs, log: stdout };
    },
    async preview(program) {
      const seen = new Observer();
      await (await stackOf(program)).preview({ onEvent: seen.note });
      return seen;
    },
    async drift(program) {
      const seen = new Observer();
      const stack = await stackOf(program);
      const code = await stack
        .preview({ refresh: true, expectNoChanges: true, onEvent: seen.note })
        .then(() => 0, exitCode);
      return { code, ...seen };
    },
    async failure(program) {
      const stack = await stackOf(program);
      return stack.up().then(
        () => {
          throw new Error("up was expected to fail");
        },
        (error: Error) => error.message,
      );
    },
    async destroy(program) {
      await (await stackOf(program)).destroy();
    },
    async state() {
      return JSON.stringify(await (await stackOf(async () => {})).exportStack());
    },
    async close() {
      await providers.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
  return project;
}

class Observer {
  readonly steps: Steps = {};
  /** Changed property paths by logical name. */
  readonly diffs: Record<string, string[]> = {};

  readonly note = (event: EngineEvent) => {
    const metadata = event.resourcePreEvent?.metadata;
    if (metadata === undefined || metadata.type.startsWith("pulumi:")) return;
    const name = metadata.urn.split("::").at(-1) ?? "";
    // Of a refresh and the step after it, the step is what counts; of a replacement's parts, its name.
    if (metadata.op === "refresh") return;
    const replaces = /replace/.test(metadata.op);
    if (!(this.steps[name] === "replace")) this.steps[name] = replaces ? "replace" : metadata.op;
    const paths = Object.keys(metadata.detailedDiff ?? {});
    if (paths.length > 0) this.diffs[name] = paths.sort();
  };
}

function exitCode(error: Error): number {
  // The Automation API keeps the status of its `pulumi` to itself, but for the sentence.
  const code = /exit code (\d+)/.exec(error.message)?.[1];
  if (code === undefined) throw error;
  return Number(code);
}
