import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { PassThrough } from "node:stream";
import type { TestContext } from "node:test";
import { Outside, type Result, Text } from "../support/run.ts";

/** An application's files by their path, beside a `pulumi` and a `docker` that do nothing. */
export async function layApplication(
  t: TestContext,
  files: Readonly<Record<string, string>>,
): Promise<Outside> {
  const outside = await Outside.open(t);
  for (const [path, text] of Object.entries({ ...files, "home/.ssh/known_hosts": KNOWN_HOSTS })) {
    await mkdir(dirname(join(outside.folder, path)), { recursive: true });
    await writeFile(join(outside.folder, path), text);
  }
  await writeFile(join(outside.folder, "docker"), "#!/bin/sh\n");
  await chmod(join(outside.folder, "docker"), 0o755);
  // The project's program finds the package as after `npm install`.
  const modules = join(outside.folder, "node_modules");
  await mkdir(join(modules, "@pulumi"), { recursive: true });
  await symlink(resolve("."), join(modules, "kamal-postgres-backup"));
  for (const name of ["pulumi", "aws", "command", "docker"]) {
    await symlink(resolve("node_modules/@pulumi", name), join(modules, "@pulumi", name));
  }
  return outside;
}

const HOSTS = ["192.0.2.10", "192.0.2.20", "192.0.2.30"];
const KNOWN_HOSTS = HOSTS.map(
  (host) =>
    `${host} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBase64PublicKeyOfTheTestsOwnHost000000000000\n`,
).join("");

/** A repository without a commit, in which nothing is tracked. */
export async function layRepository(outside: Outside): Promise<void> {
  for (const folder of [".git/objects", ".git/refs"]) {
    await mkdir(join(outside.folder, folder), { recursive: true });
  }
  await writeFile(join(outside.folder, ".git/HEAD"), "ref: refs/heads/main\n");
}

/** Types `init` where nothing can be asked. */
export function runInit(
  outside: Outside,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Result> {
  return outside.run(["init", "--package", "0.1.0", ...args], environment(outside, env));
}

function environment(outside: Outside, env: Readonly<Record<string, string>>) {
  return { HOME: join(outside.folder, "home"), ...env };
}

/** A question as its prompt reads, and what is typed at it. */
export type Typed = readonly [prompt: RegExp, answer: string | ((shown: string) => string)];

/** Types `init` at a terminal, and an answer when its question is there. */
export async function playInit(
  outside: Outside,
  args: readonly string[],
  typed: readonly Typed[],
  env: Readonly<Record<string, string>> = {},
): Promise<Result> {
  const { runCommandLine } = await import("../../../cli/program.ts");
  const input = Object.assign(new PassThrough(), { isTTY: true });
  const rest = [...typed];
  let shown = "";
  const err = new Text((text) => {
    shown += text;
    const [next] = rest;
    if (next === undefined || !next[0].test(shown)) return;
    rest.shift();
    const answer = typeof next[1] === "string" ? next[1] : next[1](err.text);
    shown = "";
    setImmediate(() => input.write(`${answer}\r`));
  });
  const out = new Text();
  return outside.within(environment(outside, env), async () => {
    const code = await runCommandLine(["init", "--package", "0.1.0", ...args], { input, out, err });
    return { code, stdout: out.text, stderr: err.text };
  });
}
