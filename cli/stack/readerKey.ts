import * as z from "zod";
import { Problem } from "../../common/problem.ts";
import type { Credentials } from "../../storage/s3/credentials.ts";
import { type StackChoice, stackState } from "./pulumi.ts";

/** How the engine writes a secret of the state when it is asked to show it. */
const secretSchema = z.object({
  "4dabf18193072939515e22adb298388d": z.literal("1b47061264138c4ac30d75fd1eb44270"),
  /** JSON itself. */
  plaintext: z.string(),
});
/** What a command has asked for once: a stack's state does not change under it, and each asking runs Pulumi. */
const states = new WeakMap<StackChoice, Promise<unknown>>();

const text = z.preprocess(shown, z.string());

/** The outputs of `BackupKeys` that matter here. */
const keysSchema = z.object({
  type: z.literal("kamal-postgres-backup:index:BackupKeys"),
  outputs: z.object({
    accessKeyId: text,
    readerAccessKeyId: text,
    readerSecretAccessKey: text,
  }),
});
const stateSchema = z.object({
  deployment: z.object({ resources: z.array(z.unknown()).nullish() }),
});

/**
 * The key that may read and is never on the host, as the stack's state holds it. The outputs cannot: one secret in them
 * would hide them all.
 * @param writerKeyId of the container's key that was made together with it
 * @returns undefined where the stack has made none, as for a bucket with keys of its own
 * @throws Problem when Pulumi does not show the state, or writes it in an unknown form
 */
export async function readerKey(
  stack: StackChoice,
  writerKeyId: string,
): Promise<Credentials | undefined> {
  const asked = states.get(stack) ?? stackState(stack);
  states.set(stack, asked);
  const state = stateSchema.safeParse(await asked);
  if (!state.success) {
    throw new Problem(
      "this version of Pulumi writes a state that this program does not read. Use Pulumi 3.",
    );
  }
  for (const resource of state.data.deployment.resources ?? []) {
    const keys = keysSchema.safeParse(resource).data?.outputs;
    if (keys?.accessKeyId !== writerKeyId) continue;
    return { accessKeyId: keys.readerAccessKeyId, secretAccessKey: keys.readerSecretAccessKey };
  }
  return undefined;
}

function shown(value: unknown): unknown {
  const secret = secretSchema.safeParse(value);
  if (!secret.success) return value;
  try {
    return JSON.parse(secret.data.plaintext);
  } catch {
    return undefined;
  }
}
