/** What of other people's work the published package carries or needs: their licences, and a list for machines. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A package of npm's registry, as it is installed here. */
export interface Package {
  readonly name: string;
  readonly version: string;
  /** SPDX expression. @example "Apache-2.0" */
  readonly licence: string;
  /** Its code stands in the agent's bundle; else npm installs it beside ours. */
  readonly bundled: boolean;
  /** Folder below the checkout. */
  readonly folder: string;
}

interface Lock {
  readonly packages: Readonly<
    Record<
      string,
      {
        readonly version: string;
        readonly license?: string;
        readonly dev?: true;
        readonly peer?: true;
        readonly devOptional?: true;
        readonly optional?: true;
      }
    >
  >;
}

/**
 * The packages that are bundled, and those that npm installs for a user. Peers are the user's own choice, and are none.
 * @param bundled files of the agent's bundle, by their paths from the checkout
 */
export function thirdPartyPackages(root: string, bundled: readonly string[]): Package[] {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as Lock;
  const folders = new Set(
    bundled.flatMap((file) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []),
  );
  return Object.entries(packages)
    .filter(([folder, { dev, peer, devOptional, optional }]) => {
      return folder !== "" && (folders.has(folder) || !(dev || peer || devOptional || optional));
    })
    .map(([folder, { version, license }]) => ({
      name: folder.replace(/^.*node_modules\//, ""),
      version,
      licence: license ?? "unknown",
      bundled: folders.has(folder),
      folder,
    }));
}

/** A page for people: each package with its licence, and the texts that its licence wants handed on. */
export function licencesPage(root: string, packages: readonly Package[]): string {
  const row = ({ name, version, licence }: Package) => `- ${name} ${version}: ${licence}`;
  const byText = Map.groupBy(
    packages.filter(({ bundled }) => bundled),
    (one) => textOf(root, one) ?? "",
  );
  const { "": without = [], ...texts } = Object.fromEntries(byText);
  const sections = Object.entries(texts).map(
    ([text, named]) => `${"-".repeat(80)}\n\n${named.map(row).join("\n")}\n\n${text}\n`,
  );
  return `Other people's packages

The program in the container, agent/context/agent.cjs, holds code of these. Their licences stand below.

${packages
  .filter(({ bundled }) => bundled)
  .map(row)
  .join("\n")}

npm installs these beside kamal-postgres-backup, and what they need. Each brings its own licence.

${packages
  .filter(({ bundled }) => !bundled)
  .map(row)
  .join("\n")}

The peers of package.json and what the image takes from Debian are not listed here. An image that the project publishes has an SBOM of its own.
${without.length === 0 ? "" : `\nThese carry no text of their own. The text of Apache-2.0 below is theirs too.\n\n${without.map(row).join("\n")}\n`}
${sections.join("\n")}`;
}

/** Its licence's text: a file, or the section of its README that says so. */
function textOf(root: string, { folder }: Package): string | undefined {
  const path = join(root, folder);
  const names = readdirSync(path);
  const files = names.filter((name) => /^(?:licen[cs]e|notice)(?:\.\w+)?$/i.test(name)).toSorted();
  if (files.length > 0) {
    return files.map((name) => readFileSync(join(path, name), "utf8").trim()).join("\n\n");
  }
  const page = join(path, "README.md");
  const section = existsSync(page)
    ? /^#+ licen[cs]e\s*\n([\s\S]+?)(?=^#|$(?![\s\S]))/im.exec(readFileSync(page, "utf8"))
    : null;
  return section?.[1]?.trim() || undefined;
}

interface Component {
  readonly "bom-ref": string;
  readonly name: string;
  readonly version: string;
  readonly properties: readonly { readonly name: string; readonly value: string }[];
}

/** What npm writes down of this checkout in the form of CycloneDX. */
interface Bill {
  readonly metadata: Readonly<Record<string, unknown>> & { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/** The same for machines: npm's own SBOM without what is for development alone. The same checkout makes the same bytes. */
export function billOfMaterials(root: string, packages: readonly Package[]): unknown {
  const args = ["sbom", "--sbom-format", "cyclonedx", "--package-lock-only"];
  const printed = execFileSync("npm", args, { cwd: root, encoding: "utf8", maxBuffer: 2 ** 26 });
  const { serialNumber: _, ...bill } = JSON.parse(printed) as Bill & { serialNumber: string };
  const { timestamp: __, component, ...metadata } = bill.metadata;
  const known = new Map(packages.map((one) => [`${one.name}@${one.version}`, one]));
  const own = component["bom-ref"];
  const isKept = (ref: string) => ref === own || known.has(ref);
  return {
    ...bill,
    // npm names it after the checkout's folder.
    metadata: { ...metadata, component: { ...component, name: own.replace(/@[^@]*$/, "") } },
    components: bill.components
      .filter((one) => isKept(one["bom-ref"]))
      .map((one) => ({
        ...one,
        properties: known.get(one["bom-ref"])?.bundled
          ? [{ name: "kamal-postgres-backup:bundledIn", value: "agent/context/agent.cjs" }]
          : [],
      })),
    dependencies: bill.dependencies
      .filter(({ ref }) => isKept(ref))
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter(isKept) })),
  };
}
