import { basename } from "node:path";
import { NOT_CHECKED } from "../../common/contracts/refresh.ts";
import type { EngineEvent, ResourceState, StepMetadata } from "./engineEvents.ts";
import { lifecycleDifferences } from "./lifecycleDifferences.ts";
import { type Change, changesBetween } from "./propertyChanges.ts";

/** One row of the drift report. */
export interface Difference {
  readonly plane: "cloud" | "host" | "data";
  /** What differs, for instance `lifecycle rule "expire"`. */
  readonly subject: string;
  readonly declared: string;
  readonly found: string;
  readonly remedy: string;
}

/** Something that could not be compared, so that it neither differs nor is known to be as declared. */
export interface NotChecked {
  /** For instance `deploy.yml block`. */
  readonly subject: string;
  /** Why, as `../shop/config/deploy.yml is not here`. */
  readonly reason: string;
  /** Whether it should have been looked at, as a host; else it is only not on this machine. */
  readonly failed: boolean;
}

/** What a refresh found. */
export interface RefreshResult {
  readonly differences: readonly Difference[];
  readonly notChecked: readonly NotChecked[];
  /** Number of resources of the stack that differ and are not of a backup. */
  readonly others: number;
}

/**
 * Turns the events of a refresh into rows. Only resources below a component of this package count.
 * @param up the command that puts back what has drifted
 * @param boot the one for the container
 */
export function findDifferences(
  events: readonly EngineEvent[],
  up: string,
  boot: string,
): RefreshResult {
  const read = events.flatMap(({ resOutputsEvent }) =>
    resOutputsEvent ? [resOutputsEvent.metadata] : [],
  );
  const steps = read.filter(
    (step) => (step.op === "update" || step.op === "delete") && reasonOf(step) === undefined,
  );
  const ofBackups = steps.filter(({ urn }) => urn.includes("kamal-postgres-backup:index:"));
  return {
    notChecked: read.flatMap(notCheckedOf).sort((a, b) => a.subject.localeCompare(b.subject)),
    differences: ofBackups
      .flatMap((step) => differencesOf(step, up, boot))
      .sort((a, b) => a.plane.localeCompare(b.plane) || a.subject.localeCompare(b.subject)),
    others: steps.length - ofBackups.length,
  };
}

function differencesOf(step: StepMetadata, up: string, boot: string): Difference[] {
  const [, type = ""] = /^pulumi-nodejs:dynamic\/.*:(\w+)$/.exec(step.type) ?? [];
  if (type === "AccessoryState") return containerDifferences(step, boot);
  if (BLOCKS.has(type)) return [blockDifference(step, up)];
  if (step.type.includes("LifecycleConfiguration") && step.op === "update") {
    const rows = lifecycleDifferences(properties(step.old), properties(step.new));
    if (rows.length > 0) {
      return rows.map((row) => ({ plane: "cloud", ...row, remedy: putsBack(up) }));
    }
  }
  return resourceDifferences(step, up);
}

/** Resources that are text of ours in a file of the application's. */
const BLOCKS = new Set(["RenderedBlock", "SecretsBlock", "DeployHook"]);

const putsBack = (up: string) => `${up} puts it back`;

function notCheckedOf(step: StepMetadata): NotChecked[] {
  const reason = reasonOf(step);
  if (reason === undefined) return [];
  const failed = step.op !== "same";
  return [{ subject: failed ? hostOf(step) : blockName(step), reason, failed }];
}

/** Why the resource could not be compared; undefined: it was. */
function reasonOf(step: StepMetadata): string | undefined {
  const reason = step.new?.outputs?.[NOT_CHECKED];
  return typeof reason === "string" ? reason : undefined;
}

/** The identity is `host/container` or `host/image`; where it is reached is secret in the state. */
function hostOf(step: StepMetadata): string {
  return step.old?.id.replace("/", " ") ?? nameOf(step);
}

/** Words for what is watched of the container. */
const watched: Readonly<Record<string, string>> = {
  image: "image",
  digest: "configuration",
  envDigest: "environment",
};

/** What the container was started with, setting by setting. */
const SETTINGS = "settings.";

function containerDifferences(step: StepMetadata, up: string): Difference[] {
  const row = { plane: "host", subject: hostOf(step) } as const;
  if (step.op === "delete") {
    return [{ ...row, declared: "running", found: "missing", remedy: `${up} boots it` }];
  }
  const changes = changesOf(step).filter(
    ({ path }) => path === "status" || path in watched || path.startsWith(SETTINGS),
  );
  if (changes.length === 0) return resourceDifferences(step, up);
  return changes.map(({ path, declared, found }) =>
    path === "status"
      ? { ...row, declared, found, remedy: `${up} starts it` }
      : {
          ...row,
          declared: `${watched[path] ?? path.slice(SETTINGS.length)} ${shorten(declared)}`,
          found: shorten(found) || "none",
          remedy: putsBack(up),
        },
  );
}

function blockDifference(step: StepMetadata, up: string): Difference {
  const declared = properties(step.old);
  const row = { plane: "host", subject: blockName(step), remedy: putsBack(up) } as const;
  if (step.op === "delete") return { ...row, declared: "as rendered", found: "missing" };
  const [was, is] = [declared["block"], properties(step.new)["block"]];
  if (typeof was !== "string" || typeof is !== "string" || step.type.endsWith(":SecretsBlock")) {
    return { ...row, declared: "as rendered", found: "edited by hand" };
  }
  const [wasLines, isLines] = [was.split("\n"), is.split("\n")];
  const at = wasLines.findIndex((line, i) => line !== isLines[i]);
  const line = at === -1 ? wasLines.length : at;
  return {
    ...row,
    declared: wasLines[line]?.trim() || "as rendered",
    found: `edited by hand: ${isLines[line]?.trim() || "line removed"}`,
  };
}

function blockName(step: StepMetadata): string {
  return `${basename(String(properties(step.old)["file"] ?? nameOf(step)))} block`;
}

function resourceDifferences(step: StepMetadata, up: string): Difference[] {
  const kind = readableType(step.type);
  // A bucket that is not on AWS is watched by dynamic resources, as the host is.
  const onHost = /^(pulumi-nodejs:dynamic(?!.*:S3)|command:)/.test(step.type);
  const plane = onHost ? "host" : "cloud";
  const subject = `${kind} ${nameOf(step)}`;
  if (step.op === "delete") {
    return [{ plane, subject, declared: "present", found: "missing", remedy: putsBack(up) }];
  }
  const changes = changesOf(step);
  if (changes.length === 0) {
    return [
      { plane, subject, declared: "as in the state", found: "changed", remedy: putsBack(up) },
    ];
  }
  return changes.map(({ path, declared, found }) => ({
    plane,
    subject,
    declared: `${path} ${shorten(declared)}`,
    found: shorten(found),
    remedy: path.startsWith("conflicts")
      ? "remove that rule: this stack did not make it"
      : putsBack(up),
  }));
}

/** Inputs first, as the engine does: they are what was declared. Outputs only where the inputs are equal. */
function changesOf(step: StepMetadata): Change[] {
  const inputs = changesBetween(step.old?.inputs ?? {}, step.new?.inputs ?? {});
  return inputs.length > 0
    ? inputs
    : changesBetween(step.old?.outputs ?? {}, step.new?.outputs ?? {});
}

function properties(state: ResourceState | null | undefined): Record<string, unknown> {
  return { ...state?.outputs, ...state?.inputs };
}

function nameOf(step: StepMetadata): string {
  return step.urn.split("::").at(-1) ?? step.urn;
}

/** `aws:s3/bucketVersioning:BucketVersioning` as `bucket versioning`. */
function readableType(type: string): string {
  const name = type.split(":").at(-1) ?? type;
  return name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, " ").toLowerCase();
}

/** Fits a table: digests to their first 12 figures, the rest to 60 characters. */
function shorten(text: string): string {
  const short = text.replace(/\b([0-9a-f]{12})[0-9a-f]{28,}\b/g, "$1");
  return short.length > 60 ? `${short.slice(0, 59)}…` : short;
}
