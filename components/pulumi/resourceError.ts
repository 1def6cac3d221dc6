import * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";

/**
 * Runs a step of a component. A failure that the user can mend becomes one sentence on that component, without a stack;
 * a defect of ours keeps its stack.
 */
export function explained<T>(resource: pulumi.Resource, step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw toResourceError(resource, error);
  }
}

/** Like `explained`, for a step that waits for other resources. */
export function explainedApply<T, U>(
  resource: pulumi.Resource,
  input: pulumi.Output<T>,
  step: (value: T) => U,
): pulumi.Output<U> {
  return input.apply((value) => explained(resource, () => step(value as T))) as pulumi.Output<U>;
}

function toResourceError(resource: pulumi.Resource, error: unknown): unknown {
  if (error instanceof Problem) {
    return new pulumi.ResourceError(error.message, resource, true);
  }
  return error;
}
