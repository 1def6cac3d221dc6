/** Everything that the soak breaks, and how it is made whole again. */
import { docker, removeContainer } from "../../sandbox/host/docker.ts";
import { imageNames } from "../../sandbox/host/images.ts";
import { sandboxLabel } from "../../sandbox/world/paths.ts";
import type { World } from "../../sandbox/world/world.ts";
import { buildAgents } from "../support/majors.ts";
import { Agent } from "./agent.ts";
import type { Encryption } from "./rounds.ts";
import { Server } from "./server.ts";
import { FOLDER, Service, SIGNING_KEYS } from "./service.ts";

const MAJOR = 17;

/** The two buckets of a backup with a copy. */
export type Place = "first" | "copy";

export class SoakWorld {
  readonly network: string;
  readonly server: Server;
  readonly places: Readonly<Record<Place, Service>>;
  readonly agent: Agent;
  readonly #world: World;
  /** Whatever is stored from now on is signed. */
  readonly #began = `${new Date().toISOString().slice(0, 19)}Z`;
  #image = "";

  constructor(world: World) {
    const name = (part: string) => `kamal-postgres-backup-${world.id}-soak-${part}`;
    this.#world = world;
    this.network = name("network");
    this.server = new Server(world, this.network, name("db"));
    this.places = {
      first: new Service(world, this.network, name("s3")),
      copy: new Service(world, this.network, name("copy")),
    };
    this.agent = new Agent(world, this.network, name("agent"));
  }

  async start(): Promise<void> {
    await this.stop();
    const label = `${sandboxLabel}=${this.#world.id}`;
    await docker(["network", "create", "--label", label, this.network]);
    const images = imageNames(this.#world.registry.server);
    const [built] = await Promise.all([
      buildAgents(this.#world, [MAJOR]),
      this.server.start(images.postgres),
      this.places.first.start(),
      this.places.copy.start(),
    ]);
    this.#image = built[MAJOR];
    await this.#boot();
  }

  /** Removes what it has made. */
  async stop(): Promise<void> {
    this.close();
    const parts = [this.agent, this.server, this.places.first, this.places.copy];
    await Promise.all(parts.map(({ container }) => removeContainer(container)));
    await this.agent.removeVolume();
    await docker(["network", "rm", this.network], { allowFailure: true });
  }

  /** Lets go of what would keep this process alive. */
  close(): void {
    this.server.closeWatch();
    for (const place of Object.values(this.places)) place.close();
  }

  /** The environment of a command beside what the container has. */
  environment(
    encryption: Encryption,
    { databases, copy }: { readonly databases: readonly string[]; readonly copy: boolean },
  ): Record<string, string> {
    const folder = folderOf(encryption);
    return {
      POSTGRES_DATABASE: databases.join(","),
      S3_PREFIX: folder,
      ...this.agent.encryption(encryption),
      ...(copy ? this.places.copy.environment(folder, "COPY_") : {}),
    };
  }

  /**
   * Whatever a fault has left: everything runs, is connected and answers.
   * @returns the places whose service had to be made anew, empty, because it did not write any more
   */
  async mend(): Promise<Place[]> {
    const containers = [this.agent, this.server, this.places.first, this.places.copy];
    await Promise.all(containers.map(({ container }) => this.#revive(container)));
    await this.server.answers();
    const broken: Place[] = [];
    for (const place of ["first", "copy"] as const) {
      if (await this.places[place].writes()) continue;
      await this.places[place].start();
      broken.push(place);
    }
    // Its environment has the keys of a service that is no more.
    if (broken.length > 0) await this.#boot();
    return broken;
  }

  #boot(): Promise<void> {
    return this.agent.start(this.#image, {
      ...this.server.environment,
      ...this.places.first.environment(`${FOLDER}/idle`),
      POSTGRES_DATABASE: "shop",
      SIGNING_KEYS,
      SIGNING_SINCE: this.#began,
    });
  }

  async #revive(container: string): Promise<void> {
    const format = `{{.State.Status}} {{.State.Paused}} {{json .NetworkSettings.Networks}}`;
    const { stdout } = await docker(["container", "inspect", "--format", format, container]);
    if (/^\w+ true/.test(stdout)) await docker(["unpause", container], { allowFailure: true });
    if (!stdout.includes(`"${this.network}"`)) await connect(this.network, container);
    if (!/^(running|paused)/.test(stdout)) await docker(["start", container]);
  }
}

/** Each way of encryption has a folder of its own: a restore's newest backup is then one that its key opens. */
export const folderOf = (encryption: Encryption) => `${FOLDER}/${encryption}`;

/** Also when it is connected already. */
export async function connect(network: string, container: string): Promise<void> {
  await docker(["network", "connect", network, container], { allowFailure: true });
}
