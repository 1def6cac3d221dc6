import type { Stack } from "@pulumi/pulumi/automation/index.js";

/**
 * The stack without what the Automation API asks Pulumi after each operation: outputs and history, which are three
 * more runs of Pulumi and take longer than a small operation itself.
 */
export function withoutPrompts(stack: Stack): Stack {
  const prompts = { outputs: async () => ({}), info: async () => undefined };
  return Object.assign(Object.create(stack) as Stack, prompts);
}
