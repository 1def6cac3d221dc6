import { readFile } from "node:fs/promises";
import type { OutputMap } from "@pulumi/pulumi/automation/index.js";
import { z } from "zod";

/** A stack's state as Pulumi's file backend keeps it: `apitype/core.go`, DeploymentV3. */
const stateSchema = z.object({
  checkpoint: z.object({
    latest: z.object({
      resources: z
        .array(
          z.object({ type: z.string(), outputs: z.record(z.string(), z.unknown()).default({}) }),
        )
        .default([]),
    }),
  }),
});

/** Key that marks a value of its own kind; a secret's value is encrypted beside it: `sdk/go/common/resource/sig`. */
const SIGNATURE = "4dabf18193072939515e22adb298388d";

/**
 * The stack's outputs, from the file. Pulumi itself is two more runs, `stack output` without and with secrets.
 * @returns undefined when a secret is among them, which Pulumi alone can read
 */
export async function outputsInState(file: string): Promise<OutputMap | undefined> {
  const { checkpoint } = stateSchema.parse(JSON.parse(await readFile(file, "utf8")));
  const { resources } = checkpoint.latest;
  const outputs = resources.find(({ type }) => type === "pulumi:pulumi:Stack")?.outputs ?? {};
  if (JSON.stringify(outputs).includes(SIGNATURE)) return undefined;
  return Object.fromEntries(
    Object.entries(outputs).map(([name, value]) => [name, { value, secret: false }]),
  );
}
