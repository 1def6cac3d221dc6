import * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";

/** Where a component says what its user should know. Handed to what makes no resources, and so can be read in a test. */
export interface ResourceLog {
  /** Whether this is a preview, where what is planned is described. */
  readonly preview: boolean;
  info(text: string): void;
  warn(text: string): void;
}

/** The log of one resource. */
export function logOf(resource: pulumi.Resource): ResourceLog {
  return {
    preview: pulumi.runtime.isDryRun(),
    info: (text) => void pulumi.log.info(text, resource),
    warn: (text) => void pulumi.log.warn(text, resource),
  };
}

/**
 * Runs a step of a component. A failure that the user can mend becomes one sentence on that component, without a stack;
 * a defect of this package keeps its stack.
 */
export function reportProblems<T>(resource: pulumi.Resource, step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw new pulumi.ResourceError(error.message, resource, true);
  }
}

/** Like `reportProblems`, for a step that waits for other resources. */
export function applyReportingProblems<T, U>(
  resource: pulumi.Resource,
  input: pulumi.Output<T>,
  step: (value: T) => U,
): pulumi.Output<U> {
  return input.apply((value) =>
    reportProblems(resource, () => step(value as T)),
  ) as pulumi.Output<U>;
}
