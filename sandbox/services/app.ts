import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { stateDir } from "../world/paths.ts";
import { run } from "../world/run.ts";
import type { Settings } from "../world/settings.ts";
import type { World } from "../world/world.ts";

const template = join(import.meta.dirname, "../app");
const target = join(stateDir, "app");
const recordFile = join(stateDir, "app.values.json");
const filledIn = ["config/deploy.yml", "config/deploy.staging.yml"];

/** Copies the sample application with this machine's ports and keys, and commits it to a repository of its own. */
export async function ensureApp(
  settings: Settings,
  ssh: World["ssh"],
  registry: World["registry"],
): Promise<World["app"]> {
  const world = {
    dir: target,
    config: join(target, "config", "deploy.yml"),
    stagingConfig: join(target, "config", "deploy.staging.yml"),
    service: settings.service,
  };
  const values = placeholders(settings, ssh, registry);
  // A copy with the same values stays, together with what was rendered into it since.
  const record = JSON.stringify(values, null, 2);
  const same = existsSync(recordFile) && readFileSync(recordFile, "utf8") === record;
  if (same && existsSync(target)) return world;

  const fresh = `${target}.new`;
  rmSync(fresh, { recursive: true, force: true });
  cpSync(template, fresh, { recursive: true });
  renameSync(join(fresh, "gitignore"), join(fresh, ".gitignore"));
  for (const file of filledIn) {
    const path = join(fresh, file);
    writeFileSync(path, fillIn(readFileSync(path, "utf8"), values));
  }
  writeSecrets(fresh, values);
  await commit(fresh);
  rmSync(target, { recursive: true, force: true });
  renameSync(fresh, target);
  writeFileSync(recordFile, record, { mode: 0o600 });
  return world;
}

/** With a destination Kamal reads `secrets.staging` instead of `secrets`; both are for their owner alone. */
function writeSecrets(app: string, values: Readonly<Record<string, string>>): void {
  const secrets = fillIn(readFileSync(join(template, "kamal", "secrets"), "utf8"), values);
  mkdirSync(join(app, ".kamal"), { recursive: true });
  for (const name of ["secrets", "secrets.staging"]) {
    writeFileSync(join(app, ".kamal", name), secrets, { mode: 0o600 });
  }
  rmSync(join(app, "kamal"), { recursive: true });
}

function placeholders(
  settings: Settings,
  ssh: World["ssh"],
  registry: World["registry"],
): Record<string, string> {
  return {
    ID: settings.id,
    SERVICE: settings.service,
    REGISTRY: registry.server,
    REGISTRY_PASSWORD: registry.password,
    ARCH: process.arch === "arm64" ? "arm64" : "amd64",
    SSH_USER: ssh.user,
    SSH_PORT: String(ssh.port),
    SSH_KEY: ssh.keyFile,
    DB_PORT: String(settings.databasePort),
    STAGING_DB_PORT: String(settings.stagingDatabasePort),
    DB_PASSWORD: settings.databasePassword,
  };
}

/** Replaces every `__NAME__`. @throws Error when the template names something unknown */
export function fillIn(text: string, values: Readonly<Record<string, string>>): string {
  return text.replaceAll(/__([A-Z]+(?:_[A-Z]+)*)__/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`the sample application's template names __${name}__`);
    return value;
  });
}

/** Kamal needs a repository with a commit; the user's own git configuration has no say in it. */
async function commit(dir: string): Promise<void> {
  const env = { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" };
  const who = ["-c", "user.name=Sandbox", "-c", "user.email=sandbox@localhost"];
  await run("git", ["init", "--quiet", "--initial-branch=main"], { cwd: dir, env });
  await run("git", ["add", "."], { cwd: dir, env });
  await run("git", [...who, "commit", "--quiet", "-m", "The shop"], { cwd: dir, env });
}
