import { type Accessory, checkAccessory } from "./accessory.ts";
import { checkSecret } from "./secretsFile.ts";

/**
 * The line that Kamal 2.11 runs on a host for this accessory, word by word, so that the container is Kamal's own
 * (lib/kamal/commands/accessory.rb, `run`). KAMAL_HOST is there since Kamal 2.7.
 * @param host as in deploy.yml; Kamal tells it to the container as KAMAL_HOST
 * @throws Problem for a value that would not survive the shell
 */
export function dockerRunCommand(accessory: Accessory, host: string): string {
  checkAccessory(accessory);
  const labels = { service: accessory.container, ...accessory.labels };
  return [
    "docker run",
    `--name ${accessory.container}`,
    "--detach",
    "--restart unless-stopped",
    `--network ${accessory.network}`,
    ...loggingWords(accessory.logging),
    `--env KAMAL_HOST="${host}"`,
    ...assignments("--env", accessory.clear),
    `--env-file ${envFilePath(accessory)}`,
    ...(accessory.volumes ?? []).map((volume) => `--volume ${volume}`),
    ...assignments("--label", labels),
    ...optionWords(accessory.options),
    accessory.image,
  ].join(" ");
}

/**
 * Path of the accessory's secrets on the host, from the home of the SSH user. The file is named after the accessory's key,
 * not its container (Kamal 2.11, lib/kamal/configuration/accessory.rb, `secrets_path`).
 */
export function envFilePath({
  service,
  destination,
  key,
}: Pick<Accessory, "service" | "destination" | "key">): string {
  const application = destination === undefined ? service : `${service}-${destination}`;
  return `.kamal/apps/${application}/env/accessories/${key}.env`;
}

/**
 * Content of the env file, byte for byte what Kamal 2.11 uploads (lib/kamal/env_file.rb): without secrets, one line end.
 * @param secrets value by name in the container, in the accessory's order
 * @throws Problem for a value that Kamal would alter
 */
export function renderEnvFile(secrets: Readonly<Record<string, string>>): string {
  const lines = Object.entries(secrets).map(([name, value]) => {
    checkSecret(name, value);
    return `${name}=${value}\n`;
  });
  return lines.join("") || "\n";
}

/** Kamal 2.11 passes its default option even to a log driver that does not know it (lib/kamal/configuration/logging.rb). */
function loggingWords(logging: Accessory["logging"]): string[] {
  const options = Object.entries(logging?.options ?? {});
  if (!logging?.driver && options.length === 0) return ['--log-opt max-size="10m"'];
  return [
    ...(logging?.driver ? [`--log-driver ${shellWord(logging.driver)}`] : []),
    ...options.map(([name, value]) => `--log-opt ${name}=${shellWord(value)}`),
  ];
}

function assignments(flag: string, values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).map(([name, value]) => `${flag} ${name}=${shellWord(value)}`);
}

function optionWords(options: Accessory["options"]): string[] {
  return Object.entries(options).flatMap(([name, value]) =>
    [value]
      .flat()
      .map((single) => (single === true ? `--${name}` : `--${name} ${shellWord(single)}`)),
  );
}

/** Kamal's quoting: ASCII stretches in double quotes, the others bare (2.11, lib/kamal/utils.rb, `escape_shell_value`). */
function shellWord(value: string): string {
  return value.replace(/[\0-\x7f]+/g, (ascii) => `"${ascii.replace(/[\\"`$]/g, "\\$&")}"`);
}
