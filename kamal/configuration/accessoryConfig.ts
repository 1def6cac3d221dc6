import { Problem } from "../../common/problem.ts";
import { KAMAL_NETWORK } from "../accessory.ts";
import type { Settings } from "./settings.ts";

/** An accessory of deploy.yml, its names and places resolved as Kamal does. */
export interface KamalAccessoryConfig {
  /** Key under `accessories:`. */
  readonly name: string;
  /** Name of the container, and so of the host on its Docker network. */
  readonly service: string;
  readonly image?: string | undefined;
  readonly hosts: string[];
  readonly env: {
    readonly clear: Record<string, string>;
    /** `name` is that in the container, `from` that in the secrets file. */
    readonly secret: { name: string; from: string }[];
  };
  /** As written: `5432` or `127.0.0.1:5432:5432`. */
  readonly port?: string | undefined;
  /** What the container runs in the place of the image's own command, as written. */
  readonly cmd?: string | undefined;
  /** The network of its own that it is on. @default kamal */
  readonly network: string;
}

export function readAccessories(root: Settings): Record<string, KamalAccessoryConfig> {
  const accessories = root.mapping("accessories");
  return Object.fromEntries(
    accessories.keys.map((name) => [name, readAccessory(name, accessories.mapping(name), root)]),
  );
}

function readAccessory(name: string, settings: Settings, root: Settings): KamalAccessoryConfig {
  return {
    name,
    get service() {
      return settings.text("service") ?? `${root.requiredText("service")}-${name}`;
    },
    get image() {
      const server = settings.has("registry")
        ? settings.mapping("registry").text("server")
        : undefined;
      const image = settings.text("image");
      return server === undefined || image === undefined ? image : `${server}/${image}`;
    },
    get hosts() {
      return readHosts(settings, root);
    },
    get env() {
      return readEnv(settings.mapping("env"));
    },
    get port() {
      return settings.text("port");
    },
    get cmd() {
      return settings.text("cmd");
    },
    get network() {
      return settings.text("network") ?? networkOption(settings) ?? KAMAL_NETWORK;
    },
  };
}

/** Kamal hands `options` to docker run, where a network that is named there is one besides its own. */
function networkOption(settings: Settings): string | undefined {
  const options = settings.mapping("options");
  return options.isList("network") ? options.texts("network")[0] : options.text("network");
}

/** A flat `env` is all clear, unless it has one of Kamal's own keys (Kamal 2.11, lib/kamal/configuration/env.rb). */
function readEnv(env: Settings): KamalAccessoryConfig["env"] {
  const split = env.has("clear") || env.has("secret");
  return {
    clear: (split ? env.mapping("clear") : env).lazyTexts(),
    get secret() {
      return (split ? env.texts("secret") : []).map((entry) => {
        const [name = "", ...from] = entry.split(":");
        return { name, from: from.length > 0 ? from.join(":") : name };
      });
    },
  };
}

/** Kamal wants exactly one of them (2.11, lib/kamal/configuration/validator/accessory.rb). */
const PLACES = ["host", "hosts", "role", "roles", "tag", "tags"] as const;

function readHosts(settings: Settings, root: Settings): string[] {
  const [place, ...others] = PLACES.filter((key) => settings.has(key));
  if (place === undefined) {
    throw settings.problem("host", "is missing", `Give one of ${PLACES.join(", ")}`);
  }
  if (others.length > 0) {
    throw settings.problem(place, `stands beside ${others.join(", ")}`, "Keep one of them");
  }
  const names = place.endsWith("s") ? settings.texts(place) : [settings.requiredText(place)];
  if (place.startsWith("host")) return names;
  const found = names.flatMap((name) =>
    place.startsWith("role") ? hostsOfRole(root, name) : hostsWithTag(root, name),
  );
  if (found.length === 0) {
    throw settings.problem(
      place,
      `"${names.join(", ")}" matches no server`,
      "Name one that servers has",
    );
  }
  return [...new Set(found)];
}

/** Without roles, every server has the role `web`. */
function serversOfRole(root: Settings, role: string): unknown[] {
  if (root.isList("servers")) return role === "web" ? root.list("servers") : [];
  const servers = root.mapping("servers");
  return servers.isMapping(role) ? servers.mapping(role).list("hosts") : servers.list(role);
}

function hostsOfRole(root: Settings, role: string): string[] {
  return serversOfRole(root, role).map((server) =>
    root.element("servers", hostAndTags(server).host),
  );
}

function hostsWithTag(root: Settings, tag: string): string[] {
  if (root.isList("servers")) return [];
  return root
    .mapping("servers")
    .keys.flatMap((role) => serversOfRole(root, role))
    .map(hostAndTags)
    .filter(({ tags }) => tags.includes(tag))
    .map(({ host }) => root.element("servers", host));
}

/** A server is a host, or a mapping of one host to its tags. */
function hostAndTags(server: unknown): { host: string; tags: string[] } {
  if (typeof server !== "object" || server === null) return { host: String(server), tags: [] };
  const [entry] = Object.entries(server);
  if (entry === undefined) throw new Problem("servers has an empty entry. Give a host there.");
  return { host: entry[0], tags: [entry[1]].flat().map(String) };
}
