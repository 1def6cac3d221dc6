import type { Stack } from "@pulumi/pulumi/automation/index.js";

/**
 * The stack without the questions that the Automation API asks after each operation: outputs and history, which are three
 * more runs of Pulumi and take longer than a small operation itself.
 */
export function unasked(stack: Stack): Stack {
  const questions = { outputs: async () => ({}), info: async () => undefined };
  return Object.assign(Object.create(stack) as Stack, questions);
}
