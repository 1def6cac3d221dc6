import { createHash } from "node:crypto";
import type { Accessory } from "./accessory.ts";
import { withoutTagAndDigest } from "./imageReference.ts";

/**
 * What a container was started with, by the words of `docker run`: `memory`, `env SCHEDULE`, `volume /scratch`. Secrets are
 * one entry, their hash. What is not there has Docker's default, or the image's.
 */
export type RunSettings = Readonly<Record<string, string>>;

/** What `docker container inspect` tells, as far as it is read. */
export interface Inspected {
  readonly Id: string;
  readonly Config: ContainerConfig;
  readonly HostConfig: Readonly<Record<string, unknown>>;
}

/** The part of a container's configuration that its image may bring. */
export interface ContainerConfig {
  readonly Env?: readonly string[] | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly [field: string]: unknown;
}

/**
 * Whether this package has made a container: it has our digest label, or runs an image of the declared one's repository, as one
 * that was started by hand does. The boot script asks the same.
 * @param found the label (empty: none), and the reference that the container was made from
 * @param image declared, with or without a tag
 */
export function isOfThisPackage(
  found: { readonly digest: string; readonly image: string },
  image: string,
): boolean {
  return found.digest !== "" || withoutTagAndDigest(found.image) === withoutTagAndDigest(image);
}

/** Labels that are compared by other means, or that Docker Desktop adds by itself. */
const OTHER_LABELS = /^(?:kamal-postgres-backup\.digest$|desktop\.docker\.io\/)/;
/** Kamal tells it to each container since 2.7, an older one does not. */
const OTHER_VARIABLES = ["KAMAL_HOST"];

/** Fields of `Config` that come from the image unless `docker run` is given something else, by the name of its option. */
const OF_IMAGE: Readonly<Record<string, string>> = {
  command: "Cmd",
  entrypoint: "Entrypoint",
  user: "User",
  workdir: "WorkingDir",
  healthcheck: "Healthcheck",
  "stop-signal": "StopSignal",
};

/**
 * Fields of `HostConfig` by the name of their option, with what stands there by default besides nothing. Those that the
 * daemon's own configuration fills (ulimits, runtime, cgroup namespace) are left out; its shm-size counts where one is declared.
 */
const ON_HOST: Readonly<Record<string, readonly [field: string, ...defaults: unknown[]]>> = {
  network: ["NetworkMode"],
  memory: ["Memory"],
  "memory-reservation": ["MemoryReservation"],
  "memory-swappiness": ["MemorySwappiness", -1],
  cpus: ["NanoCpus"],
  "cpu-shares": ["CpuShares"],
  "cpu-quota": ["CpuQuota"],
  "cpu-period": ["CpuPeriod"],
  "cpuset-cpus": ["CpusetCpus"],
  "cpuset-mems": ["CpusetMems"],
  "pids-limit": ["PidsLimit", -1],
  "blkio-weight": ["BlkioWeight"],
  "oom-kill-disable": ["OomKillDisable"],
  "oom-score-adj": ["OomScoreAdj"],
  privileged: ["Privileged"],
  "read-only": ["ReadonlyRootfs"],
  publish: ["PortBindings"],
  "publish-all": ["PublishAllPorts"],
  "cap-add": ["CapAdd"],
  "cap-drop": ["CapDrop"],
  "security-opt": ["SecurityOpt"],
  device: ["Devices"],
  dns: ["Dns"],
  "dns-search": ["DnsSearch"],
  "dns-option": ["DnsOptions"],
  "add-host": ["ExtraHosts"],
  "group-add": ["GroupAdd"],
  init: ["Init"],
  pid: ["PidMode"],
  uts: ["UTSMode"],
  userns: ["UsernsMode"],
  "cgroup-parent": ["CgroupParent"],
  sysctl: ["Sysctls"],
  tmpfs: ["Tmpfs"],
  "volumes-from": ["VolumesFrom"],
  link: ["Links"],
  rm: ["AutoRemove"],
};

/** The daemon gives each container one, of a size of its own configuration. */
const SHM_SIZE = "shm-size";
/** Sizes in bytes, shown as they are written. */
const SIZES = ["memory", "memory-reservation", SHM_SIZE];

/**
 * What the accessory's line starts a container with, for comparison with `foundSettings`.
 * @param secrets value by name in the container, in the accessory's order
 */
export function declaredSettings(
  accessory: Accessory,
  secrets: Readonly<Record<string, string>>,
): RunSettings {
  const { driver, options = {} } = accessory.logging ?? {};
  const logs = driver || Object.keys(options).length > 0 ? options : { "max-size": "10m" };
  const { mount = [], ...others } = accessory.options;
  return {
    secrets: digestOfSecrets(secrets),
    restart: "unless-stopped",
    network: accessory.network,
    ...prefixed("env", accessory.clear),
    ...prefixed("label", { service: accessory.container, ...withoutDigest(accessory.labels) }),
    ...(driver && { "log-driver": driver }),
    ...prefixed("log-opt", logs),
    ...volumeSettings(accessory.volumes ?? []),
    ...mountSettings([mount].flat().map((text) => parseMount(String(text)))),
    ...Object.fromEntries(
      Object.entries(others).flatMap(([name, value]) => declaredOption(name, value)),
    ),
  };
}

/**
 * What a container was started with.
 * @param image configuration of its image, which its own is compared with; undefined: not known, and nothing that may come
 * from it is told
 * @param declared what it is compared with: the values of other variables, which may be secrets, are not shown
 * @param secretNames names in the container, in the accessory's order
 */
export function foundSettings(
  { Id, Config, HostConfig }: Inspected,
  image: ContainerConfig | undefined,
  declared: RunSettings,
  secretNames: readonly string[],
): RunSettings {
  const environment = variables(Config.Env);
  const ofImage = variables(image?.Env);
  const secrets = secretNames.map((name) => [name, environment[name] ?? ""]);
  const others = Object.entries(environment).filter(
    ([name, value]) =>
      ![...secretNames, ...OTHER_VARIABLES].includes(name) &&
      (`env ${name}` in declared || (image !== undefined && ofImage[name] !== value)),
  );
  const shown = others.map(([name, value]) => [
    `env ${name}`,
    `env ${name}` in declared ? value : "set",
  ]);
  const labels = Object.entries(withoutDigest(Config.Labels ?? {})).filter(
    ([name, value]) =>
      `label ${name}` in declared || (image !== undefined && image.Labels?.[name] !== value),
  );
  return {
    secrets: digestOfSecrets(Object.fromEntries(secrets)),
    ...Object.fromEntries(shown),
    ...prefixed("label", Object.fromEntries(labels)),
    ...restartSetting(HostConfig["RestartPolicy"] as RestartPolicy | undefined),
    ...logSettings(HostConfig["LogConfig"] as LogConfig | undefined, declared),
    ...volumeSettings((HostConfig["Binds"] ?? []) as string[]),
    ...mountSettings((HostConfig["Mounts"] ?? []) as Mount[]),
    ...hostSettings(HostConfig),
    ...(SHM_SIZE in declared && { [SHM_SIZE]: sizeText(Number(HostConfig["ShmSize"])) }),
    ...(Config["StopTimeout"] ? { "stop-timeout": String(Config["StopTimeout"]) } : {}),
    ...(Config["Tty"] ? { tty: "true" } : {}),
    ...(HostConfig["NetworkMode"] === "host" || Id.startsWith(String(Config["Hostname"] ?? ""))
      ? {}
      : { hostname: String(Config["Hostname"]) }),
    ...(image && imageSettings(Config, image)),
  };
}

/** The settings that differ, each with what was declared and what was found. */
export function differingSettings(
  declared: RunSettings,
  found: RunSettings,
): { readonly name: string; readonly declared: string; readonly found: string }[] {
  const names = [...new Set([...Object.keys(declared), ...Object.keys(found)])];
  return names
    .filter((name) => declared[name] !== found[name])
    .map((name) => ({
      name,
      declared: declared[name] ?? "none",
      found: found[name] ?? "none",
    }));
}

/** Bytes of a size as Docker reads it, `256m` or `1.5g`; undefined: it is none. */
export function sizeInBytes(text: string): number | undefined {
  const [, number, unit = "b"] = /^(\d+(?:\.\d+)?) ?(?:([kmgt])i?)?b?$/i.exec(text) ?? [];
  if (number === undefined) return undefined;
  return Math.trunc(Number(number) * 1024 ** UNITS.indexOf(unit.toLowerCase()));
}

const UNITS = "bkmgt";

function sizeText(bytes: number): string {
  const power = [4, 3, 2, 1].find((each) => bytes % 1024 ** each === 0) ?? 0;
  return `${bytes / 1024 ** power}${power === 0 ? "" : UNITS[power]}`;
}

/** It holds a random key, so the hash gives nothing away of the others. */
function digestOfSecrets(secrets: Readonly<Record<string, string>>): string {
  const text = Object.entries(secrets).map(([name, value]) => `${name}=${value}\n`);
  return createHash("sha256").update(text.join("")).digest("hex");
}

/** One entry; none for a limit of 0, which is no limit. */
function declaredOption(name: string, value: string | true | string[]): [string, string][] {
  if (Array.isArray(value)) return [[name, list(value)]];
  const bytes = SIZES.includes(name) && typeof value === "string" ? sizeInBytes(value) : undefined;
  if (bytes === 0) return [];
  return [[name, bytes === undefined ? String(value) : sizeText(bytes)]];
}

function hostSettings(host: Inspected["HostConfig"]): RunSettings {
  const settings = Object.entries(ON_HOST).flatMap(([name, [field, ...defaults]]) => {
    const value = host[field];
    if (isNothing(value) || defaults.includes(value)) return [];
    if (SIZES.includes(name)) return [[name, sizeText(Number(value))]];
    return [[name, text(value)]];
  });
  return { ...Object.fromEntries(settings), ...swapSetting(host) };
}

/** Without `memory-swap` the daemon gives as much swap as memory; where the kernel cannot limit it, it says -1. */
function swapSetting({ Memory, MemorySwap }: Inspected["HostConfig"]): RunSettings {
  if (isNothing(MemorySwap) || [-1, 2 * Number(Memory)].includes(Number(MemorySwap))) return {};
  return { "memory-swap": sizeText(Number(MemorySwap)) };
}

/** The daemon merges what the image says into the container's own configuration, so that both are equal where nothing was given. */
function imageSettings(config: ContainerConfig, image: ContainerConfig): RunSettings {
  const differing = Object.entries(OF_IMAGE).filter(
    ([, field]) => text(config[field]) !== text(image[field]),
  );
  return Object.fromEntries(differing.map(([name, field]) => [name, text(config[field])]));
}

interface RestartPolicy {
  readonly Name?: string;
  readonly MaximumRetryCount?: number;
}

function restartSetting({ Name, MaximumRetryCount }: RestartPolicy = {}): RunSettings {
  const times = MaximumRetryCount ? `:${MaximumRetryCount}` : "";
  return { restart: `${Name || "no"}${times}` };
}

interface LogConfig {
  readonly Type?: string;
  readonly Config?: Readonly<Record<string, string>> | null;
}

/** The daemon has a driver and options of its own for what is not given. */
function logSettings({ Type, Config }: LogConfig = {}, declared: RunSettings): RunSettings {
  const options = Object.entries(Config ?? {}).filter(([name]) => `log-opt ${name}` in declared);
  return {
    ...("log-driver" in declared && Type ? { "log-driver": Type } : {}),
    ...prefixed("log-opt", Object.fromEntries(options)),
  };
}

function volumeSettings(volumes: readonly string[]): RunSettings {
  return Object.fromEntries(
    volumes.map((volume) => [`volume ${volume.split(":")[1] ?? volume}`, volume]),
  );
}

/** `--mount`, as the daemon tells it. */
interface Mount {
  readonly Type: string;
  readonly Source?: string;
  readonly Target: string;
  readonly ReadOnly?: boolean;
}

function parseMount(option: string): Mount {
  const parts = new Map(option.split(",").map((part) => part.split(/=(.*)/s) as [string, string]));
  const source = parts.get("source");
  return {
    Type: parts.get("type") ?? "volume",
    ...(source !== undefined && { Source: source }),
    Target: parts.get("target") ?? "",
    ReadOnly: parts.has("readonly"),
  };
}

function mountSettings(mounts: readonly Mount[]): RunSettings {
  return Object.fromEntries(
    mounts.map(({ Type, Source = "", Target, ReadOnly }) => [
      `mount ${Target}`,
      [Type, Source, ...(ReadOnly ? ["readonly"] : [])].join(" "),
    ]),
  );
}

function variables(entries: readonly string[] | null | undefined): Record<string, string> {
  return Object.fromEntries(
    (entries ?? []).map((entry) => {
      const [name = "", value = ""] = entry.split(/=(.*)/s);
      return [name, value];
    }),
  );
}

function withoutDigest(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => !OTHER_LABELS.test(name)));
}

function prefixed(word: string, values: Readonly<Record<string, string>>): RunSettings {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [`${word} ${name}`, value]),
  );
}

/** Docker has several ways to say that there is nothing. */
function isNothing(value: unknown): boolean {
  if (value === null || value === undefined || value === "" || value === 0 || value === false) {
    return true;
  }
  return typeof value === "object" && Object.keys(value).length === 0;
}

function text(value: unknown): string {
  if (isNothing(value)) return "";
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return list(value);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function list(values: readonly string[]): string {
  return values.join(" ");
}
