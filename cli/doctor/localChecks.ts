import { accessSync, constants, existsSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { nodeProblem } from "../../common/nodeVersion.mjs";
import { hasProject } from "../stack/project.ts";
import { type StackChoice, stateBackend } from "../stack/pulumi.ts";
import { type Check, fail, ok } from "./check.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Whether a program is on PATH. */
export function isOnPath(program: string, path: string | undefined): boolean {
  return (path ?? "").split(delimiter).some((folder) => isExecutable(join(folder, program)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** How Pulumi is set up on this machine. */
export type PulumiSetup =
  | { readonly state: "missing" }
  /** `local`: the state of stacks is in files of this machine, as `pulumi login --local` has it. */
  | { readonly state: "not logged in" }
  | { readonly state: "ready"; readonly backend: string; readonly needsPassphrase: boolean };

/** @param cwd any folder that is there */
export async function pulumiSetup(cwd: string, env: Environment): Promise<PulumiSetup> {
  if (!isOnPath("pulumi", env["PATH"])) return { state: "missing" };
  const backend = await stateBackend(cwd);
  if (backend === undefined) return { state: "not logged in" };
  // Pulumi's own service keeps a key for each stack; elsewhere a passphrase does, unless a provider of keys was named.
  return { state: "ready", backend, needsPassphrase: !/^https?:/.test(backend) };
}

/** The state in the files of this machine, without a login: what `pulumi login --local` selects. */
export const LOCAL_STATE = { PULUMI_BACKEND_URL: "file://~" } as const;

/** Whether Pulumi finds a passphrase by itself. */
export function hasPassphrase(env: Environment): boolean {
  return Boolean(env["PULUMI_CONFIG_PASSPHRASE"] || env["PULUMI_CONFIG_PASSPHRASE_FILE"]);
}

/**
 * What this machine needs, before anything of a stack is read.
 * @param choice with saved outputs, no Pulumi and no project is needed here
 */
export function localChecks(
  choice: StackChoice & { readonly outputs?: string },
  env: Environment,
): Check[] {
  const node: Check = {
    name: "node",
    look: () => {
      const problem = nodeProblem(process.versions.node);
      return problem === undefined
        ? ok(process.versions.node)
        : fail(process.versions.node, problem);
    },
  };
  const ssh: Check = {
    name: "ssh client",
    look: () =>
      isOnPath("ssh", env["PATH"])
        ? ok("on PATH")
        : fail("ssh is not on PATH", "Install the OpenSSH client."),
  };
  if (choice.outputs !== undefined) return [node, ssh];
  return [
    node,
    ssh,
    { name: "pulumi", look: () => judgePulumi(choice.cwd, env) },
    {
      name: "project",
      look: () =>
        hasProject(choice.cwd)
          ? ok(choice.cwd)
          : fail(
              `no Pulumi.yaml in ${choice.cwd} or above it`,
              "In the application's folder, npx kamal-postgres-backup init writes a project. --cwd names the folder of one that exists.",
            ),
    },
  ];
}

async function judgePulumi(cwd: string, env: Environment) {
  if (!existsSync(cwd)) return fail(`there is no folder ${cwd}`, "Give another one with --cwd.");
  const setup = await pulumiSetup(cwd, env);
  if (setup.state === "missing") {
    return fail(
      "pulumi is not on PATH",
      "Install it as https://www.pulumi.com/docs/install says, or read saved outputs with --outputs FILE.",
    );
  }
  if (setup.state === "not logged in") {
    return fail(
      "pulumi is not logged in",
      "Type pulumi login, or pulumi login --local to keep the state in files of this machine.",
    );
  }
  return ok(`state in ${withoutLogin(setup.backend)}`);
}

/** A backend's address may hold a password: postgres://user:password@host. */
function withoutLogin(address: string): string {
  return address.replace(/\/\/[^/@]*@/, "//");
}
