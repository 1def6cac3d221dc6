import { Document, Scalar, visit } from "yaml";
import { type Accessory, checkAccessory, KAMAL_NETWORK } from "./accessory.ts";

/**
 * The accessory as it stands under `accessories:` of deploy.yml, without markers; the last line ends.
 * @param indent columns before the accessory's key
 * @throws Problem for a value that Kamal would refuse or alter
 */
export function renderAccessoryBlock(accessory: Accessory, indent = 2): string {
  checkAccessory(accessory);
  const document = new Document({ [accessory.key]: settingsOf(accessory) }, { version: "1.1" });
  visit(document, {
    Scalar(_, scalar) {
      if (typeof scalar.value === "string")
        scalar.type = isPlain(scalar.value) ? Scalar.PLAIN : Scalar.QUOTE_DOUBLE;
    },
  });
  return (
    document
      .toString({ lineWidth: 0 })
      // The file goes through ERB before it is read as YAML.
      .replaceAll("<%", "<%%")
      .replace(/^(?=.)/gm, " ".repeat(indent))
  );
}

/** What Kamal would assume anyway is left out. */
function settingsOf(accessory: Accessory): Record<string, unknown> {
  const { key, service, container, image, hosts, network, labels, options, clear, secrets } =
    accessory;
  const { volumes = [] } = accessory;
  const env = {
    ...(isFilled(clear) && { clear }),
    ...(secrets.length > 0 && {
      secret: secrets.map(({ name, from }) => (name === from ? name : `${name}:${from}`)),
    }),
  };
  return {
    ...(container !== `${service}-${key}` && { service: container }),
    image,
    ...(hosts.length === 1 ? { host: hosts[0] } : { hosts }),
    ...(network !== KAMAL_NETWORK && { network }),
    ...(isFilled(labels) && { labels }),
    ...(isFilled(options) && { options }),
    ...(volumes.length > 0 && { volumes }),
    ...(isFilled(env) && { env }),
  };
}

function isFilled(record: Readonly<Record<string, unknown>>): boolean {
  return Object.keys(record).length > 0;
}

/**
 * Bare only what no reader of YAML could take for anything but text: Ruby's reads `1,000` as a number, `:x` as a symbol,
 * `2026-11-24` as a date. Words such as `yes` are quoted by the YAML package itself.
 */
function isPlain(value: string): boolean {
  return (
    /^[A-Za-z_/][\w./@+-]*(?::[\w./@+-]+)*$/.test(value) ||
    /^\d+(?:\.\d+){3}$/.test(value) ||
    /^[1-9]\d*[bkmg]$/.test(value)
  );
}
