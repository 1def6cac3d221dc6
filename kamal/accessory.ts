import { Problem } from "../common/problem.ts";

/** Label with the digest of what was declared; it tells whether a container is up to date. */
export const DIGEST_LABEL = "kamal-postgres-backup.digest";

/** The network of Kamal's containers. */
export const KAMAL_NETWORK = "kamal";

/**
 * One accessory as it shall run. The block of deploy.yml, the `docker run` line, the env file and the digest are all views
 * of this value.
 */
export interface Accessory {
  /** Key under `accessories:`. */
  readonly key: string;
  /** `service` of the application. */
  readonly service: string;
  readonly destination?: string | undefined;
  /** Name of the container, Kamal's `service_name`. */
  readonly container: string;
  readonly image: string;
  readonly hosts: string[];
  readonly labels: Record<string, string>;
  /** Options of `docker run` without the dashes; `true` for a bare flag, a list to repeat one. */
  readonly options: Record<string, string | true | string[]>;
  /** Named volumes and folders of the host, `from:to` or `from:to:ro`. @default none */
  readonly volumes?: string[] | undefined;
  /** Environment in clear. */
  readonly clear: Record<string, string>;
  /** Secrets: `name` in the container, `from` in Kamal's secrets. */
  readonly secrets: { name: string; from: string }[];
  /** `logging` of deploy.yml, which Kamal applies to every container. */
  readonly logging?: { driver?: string; options?: Record<string, string> } | undefined;
  /** @default kamal */
  readonly network: string;
}

const WORD = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Without what would need quotes, which Kamal puts around no volume. */
const VOLUME = /^[\p{L}\p{N}_./@%+=,-]+:[\p{L}\p{N}_./@%+=,-]+(?::[a-zA-Z,]+)?$/u;

/**
 * Refuses what Kamal would refuse, or would hand to the container altered.
 * @throws Problem that names the setting
 */
export function checkAccessory(accessory: Accessory): void {
  const { key, service, destination, container, image, network } = accessory;
  const where = `accessory ${key}`;
  for (const [name, word] of Object.entries({ key, service, destination, container, network })) {
    if (word !== undefined && !WORD.test(word)) {
      throw new Problem(`${where}: ${name} "${word}" must be letters, digits, "_", "." and "-".`);
    }
  }
  if (!/^[A-Za-z0-9][\w./:@-]*$/.test(image)) {
    throw new Problem(
      `${where}: image "${image}" is not an image reference. Give REPOSITORY:TAG or REPOSITORY@sha256:....`,
    );
  }
  if (accessory.hosts.length === 0) throw new Problem(`${where} has no host. Give one.`);
  for (const host of accessory.hosts) checkHost(where, host);
  checkLabels(where, accessory.labels);
  checkOptions(where, accessory.options);
  for (const volume of accessory.volumes ?? []) checkVolume(where, volume);
  for (const [name, value] of Object.entries(accessory.clear)) {
    checkVariable(where, name);
    checkClearValue(`${where}: ${name}`, value);
  }
  checkSecretNames(where, accessory);
  for (const [name, value] of Object.entries(accessory.logging?.options ?? {})) {
    checkClearValue(`logging.options.${name}`, value);
  }
}

function checkHost(where: string, host: string): void {
  if (/^[A-Za-z0-9:][\w.:-]*$/.test(host)) return;
  throw new Problem(`${where}: host "${host}" is not a host name or address. Give one.`);
}

function checkLabels(where: string, labels: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(labels)) {
    if (["service", "role", "destination"].includes(name)) {
      throw new Problem(`${where}: label "${name}" belongs to Kamal. Choose another name.`);
    }
    if (!/^[A-Za-z0-9][\w./-]*$/.test(name)) {
      throw new Problem(
        `${where}: label "${name}" must be letters, digits, "_", ".", "/" and "-".`,
      );
    }
    checkClearValue(`${where}: label ${name}`, value);
  }
}

function checkOptions(where: string, options: Accessory["options"]): void {
  for (const [name, value] of Object.entries(options)) {
    if (!/^[a-z][a-z0-9-]+$/.test(name)) {
      throw new Problem(
        `${where}: option "${name}" is no long option of docker run. Give it without dashes.`,
      );
    }
    if (name === "restart") {
      throw new Problem(
        `${where}: option "restart" is refused by Kamal 2.6 to 2.11, whose containers restart unless stopped. Leave it out.`,
      );
    }
    for (const single of [value].flat()) {
      if (single !== true) checkClearValue(`${where}: option ${name}`, single);
    }
  }
}

function checkVolume(where: string, volume: string): void {
  if (VOLUME.test(volume)) return;
  throw new Problem(
    `${where}: volume "${volume}" must be FROM:TO, both of letters, digits and "_./@%+=,-": Kamal hands it to the shell as it is.`,
  );
}

function checkSecretNames(where: string, { clear, secrets }: Accessory): void {
  const seen = new Set(Object.keys(clear));
  for (const { name, from } of secrets) {
    checkVariable(where, name);
    checkVariable(where, from);
    if (seen.has(name)) {
      throw new Problem(
        `${where}: ${name} is set twice in its environment. Set it once, in clear or as a secret.`,
      );
    }
    seen.add(name);
  }
}

function checkVariable(where: string, name: string): void {
  if (VARIABLE.test(name)) return;
  throw new Problem(
    `${where}: "${name}" cannot name a variable. Use letters, digits and underscores.`,
  );
}

/**
 * Kamal 2.11 writes clear values into a shell line on the host (lib/kamal/utils.rb, `argumentize`): the host expands
 * `${...}`, `#{` gets a backslash, and a blank value is not set at all.
 * @throws Problem that names the setting
 */
function checkClearValue(setting: string, value: string): void {
  const culprit = findCulprit(value);
  if (culprit === undefined) return;
  throw new Problem(
    `${setting} ${culprit}, which Kamal does not hand to a container unchanged. Choose another value, or leave it out.`,
  );
}

function findCulprit(value: string): string | undefined {
  if (value.trim() === "") return "is empty";
  if (value.includes("${")) return 'contains "${"';
  const ruby = /#[{$@]/.exec(value)?.[0];
  if (ruby !== undefined) return `contains "${ruby}"`;
  if (/[\r\n\x85\u2028\u2029]/.test(value)) return "contains a line end";
  if (value.includes("\t")) return "contains a tab";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\0-\x1f\x7f-\x9f\ufeff]/.test(value)) return "contains a control character";
  return value.isWellFormed() ? undefined : "contains half a Unicode character";
}
