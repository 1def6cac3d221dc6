import { Problem } from "../../common/problem.ts";

/** What was found: `skipped` was not looked at, and `text` says why. */
export interface Finding {
  readonly state: "ok" | "warn" | "fail" | "skipped";
  /** What was found, in a clause or a sentence. */
  readonly text: string;
  /** What mends it, as a sentence. @default `text` says it, or nothing is to be mended */
  readonly remedy?: string;
  /** The earlier check that is to be mended first, where this one has found that out itself. */
  readonly cause?: string;
}

/** One thing that can be looked at. */
export interface Check {
  /** As it stands in its line: `ssh`, `newest backup`. */
  readonly name: string;
  /** Names of earlier checks without which this one would only guess. @default none */
  readonly needs?: readonly string[];
  /** What it throws as a Problem is its failure. */
  readonly look: () => Finding | Promise<Finding>;
}

/** A check that was made, or left out. */
export interface Examined extends Finding {
  readonly name: string;
}

export const ok = (text: string): Finding => ({ state: "ok", text });
export const warn = (text: string, remedy: string): Finding => ({ state: "warn", text, remedy });
export const fail = (text: string, remedy: string): Finding => ({ state: "fail", text, remedy });
export const skipped = (text: string): Finding => ({ state: "skipped", text });

/** What is left out because another check has failed. */
export const needs = (cause: string): Finding => ({
  ...skipped(`not checked: needs ${cause}`),
  cause,
});

/**
 * Makes the checks one after the other. What depends on one that failed is not looked at: its answer would be a second name
 * for the first cause, which its line names instead.
 * @param onChecked called for each as soon as it is known
 */
export async function examine(
  checks: readonly Check[],
  onChecked: (examined: Examined) => void = () => {},
): Promise<Examined[]> {
  const examined: Examined[] = [];
  /** By the name of each that gave no answer: the one to begin with. */
  const causes = new Map<string, string>();
  for (const check of checks) {
    const failed = (check.needs ?? []).map((need) => causes.get(need)).find((name) => name);
    const found = failed === undefined ? await lookAt(check) : needs(failed);
    const { cause, ...finding } =
      found.cause === undefined ? found : needs(causes.get(found.cause) ?? found.cause);
    if (finding.state === "fail" || finding.state === "skipped") {
      causes.set(check.name, cause ?? check.name);
    }
    const one = { name: check.name, ...finding };
    examined.push(one);
    onChecked(one);
  }
  return examined;
}

async function lookAt({ look }: Check): Promise<Finding> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { state: "fail", text: error.message };
  }
}
