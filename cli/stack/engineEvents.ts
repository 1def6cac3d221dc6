import * as z from "zod";
import { Problem } from "../../common/problem.ts";

const propertiesSchema = z.record(z.string(), z.unknown()).nullish();
const stateSchema = z.object({
  id: z.string().default(""),
  inputs: propertiesSchema,
  outputs: propertiesSchema,
});

const eventSchema = z.object({
  resOutputsEvent: z
    .object({
      metadata: z.object({
        op: z.string(),
        urn: z.string(),
        type: z.string(),
        old: stateSchema.nullish(),
        new: stateSchema.nullish(),
      }),
    })
    .optional(),
  diagnosticEvent: z
    .object({ severity: z.string(), message: z.string(), urn: z.string().optional() })
    .optional(),
  summaryEvent: z.object({}).optional(),
});

/** What is read of the Pulumi engine's events. */
export type EngineEvent = z.infer<typeof eventSchema>;
export type StepMetadata = NonNullable<EngineEvent["resOutputsEvent"]>["metadata"];
export type ResourceState = z.infer<typeof stateSchema>;

/**
 * Reads the engine's event log, one JSON object a line.
 * @throws Problem when a line is not what the engine writes
 */
export function parseEngineEvents(log: string): EngineEvent[] {
  return log
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      try {
        return eventSchema.parse(JSON.parse(line));
      } catch (error) {
        throw new Problem(
          "the check could not be made: this version of Pulumi writes events that this program does not read. Use Pulumi 3.",
          { cause: error },
        );
      }
    });
}
