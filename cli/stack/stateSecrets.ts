import * as z from "zod";
import { SIGNING_VARIABLE } from "../../common/contracts/agentEnvironment/signing.ts";
import { parseSigningKeys, type SigningKey } from "../../common/contracts/manifestMac.ts";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
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

/** The inputs of `KeyProbe` that matter here: each bucket's key is tried, also one that was given to the program. */
const probeSchema = z.object({
  type: z.literal("pulumi-nodejs:dynamic/kamal-postgres-backup:KeyProbe"),
  inputs: z.object({
    bucket: text,
    prefix: text,
    access: text,
    accessKeyId: text,
    secretAccessKey: text,
  }),
});

/** What matters here of `SigningKey`: its parent is the backup. */
const signingSchema = z.object({
  type: z.literal("pulumi-nodejs:dynamic/kamal-postgres-backup:SigningKey"),
  parent: z.string(),
  outputs: z.object({
    made: z.preprocess(shown, z.array(text)),
    given: z.preprocess(shown, z.array(text)),
    since: text,
  }),
});

/** Private keys of a host and of the bastions in front of it; one without takes that of the host. */
export interface SshKeys {
  readonly privateKey?: string | undefined;
  readonly proxy?: SshKeys | undefined;
}

const sshKeysSchema: z.ZodType<SshKeys> = z.object({
  privateKey: z.preprocess(shown, z.string().optional()),
  get proxy() {
    return sshKeysSchema.optional();
  },
});

/** The inputs of `AccessoryState` that matter here: there is one for each host, and it is always made. */
const accessorySchema = z.object({
  type: z.literal("pulumi-nodejs:dynamic/kamal-postgres-backup:AccessoryState"),
  inputs: z.object({
    container: text,
    target: z.preprocess(shown, z.intersection(z.object({ host: text }), sshKeysSchema)),
    /** Names of the container's secrets. Absent in states written before 0.2. */
    secretNames: z.preprocess(shown, z.array(z.string()).nullish()),
  }),
});
/** What was replaced, and waits for its deletion: its secrets no longer hold (apitype.ResourceV3 of Pulumi 3). */
const replacedSchema = z.object({ delete: z.literal(true) });
const stateSchema = z.object({
  deployment: z.object({
    resources: z.array(z.unknown()).nullish(),
    pending_operations: z.array(z.unknown()).nullish(),
  }),
});

/**
 * A key that may read the bucket, as the stack's state holds it: the one that was made for that and is never on the host, else
 * the container's own, which was given to the program. The outputs cannot hold it: one secret in them would hide them all.
 * @param backup whose bucket it is for
 * @returns or why there is none, in a clause
 * @throws Problem when Pulumi does not show the state, or writes it in an unknown form
 */
export async function readerKey(
  stack: StackChoice,
  { writerKeyId, location }: Pick<BackupOutputs, "writerKeyId" | "location">,
): Promise<Credentials | { none: string }> {
  const resources = await resourcesOf(stack);
  for (const resource of resources) {
    const keys = keysSchema.safeParse(resource).data?.outputs;
    if (keys?.accessKeyId !== writerKeyId) continue;
    return { accessKeyId: keys.readerAccessKeyId, secretAccessKey: keys.readerSecretAccessKey };
  }
  const probed = probeOf(resources, { writerKeyId, location });
  if (probed === undefined) return { none: "the stack's state holds no key for it" };
  if (probed.access === "append-only") {
    return {
      none: "the key that the program was given may only add, and the stack has made none that reads",
    };
  }
  return { accessKeyId: probed.accessKeyId, secretAccessKey: probed.secretAccessKey };
}

/** The trial of the container's key in its bucket. */
function probeOf(
  resources: readonly unknown[],
  { writerKeyId, location }: Pick<BackupOutputs, "writerKeyId" | "location">,
): z.infer<typeof probeSchema>["inputs"] | undefined {
  return resources
    .map((resource) => probeSchema.safeParse(resource).data?.inputs)
    .find(
      (probed) =>
        probed?.accessKeyId === writerKeyId &&
        probed.bucket === location.bucket &&
        probed.prefix === location.prefix,
    );
}

/** The key that the container writes with, and what it should be able to do. */
export interface WriterKey extends Credentials {
  readonly access: string;
}

/**
 * The container's own key, as it was tried by `pulumi up`.
 * @returns undefined where the state holds none for this bucket
 * @throws Problem when Pulumi does not show the state, or writes it in an unknown form
 */
export async function writerKey(
  stack: StackChoice,
  { writerKeyId, location }: Pick<BackupOutputs, "writerKeyId" | "location">,
): Promise<WriterKey | undefined> {
  const probed = probeOf(await resourcesOf(stack), { writerKeyId, location });
  if (probed === undefined) return undefined;
  const { accessKeyId, secretAccessKey, access } = probed;
  return { accessKeyId, secretAccessKey, access };
}

/** By which keys a backup is signed, and since when. */
export interface Signing {
  readonly keys: readonly SigningKey[];
  /** ISO 8601 in UTC; absent: the container that was booted last does not sign, since the boot of one that does has failed so far. */
  readonly since?: string;
}

/**
 * The keys that sign the backups of one component.
 * @param name of the component
 * @param container name of its container on the hosts
 * @returns undefined where the stack has made none, as before signing
 * @throws Problem when Pulumi does not show the state, or writes it in an unknown form
 */
export async function signingKeys(
  stack: StackChoice,
  name: string,
  container: string,
): Promise<Signing | undefined> {
  const resources = await resourcesOf(stack);
  for (const resource of resources) {
    const found = signingSchema.safeParse(resource).data;
    if (!found?.parent.endsWith(`kamal-postgres-backup:index:PostgresBackup::${name}`)) continue;
    const { made, given, since } = found.outputs;
    const all = [...made, ...given].join(",");
    const keys = parseSigningKeys(all, "the signing key in the stack's state");
    return hasNotBegun(resources, container) ? { keys } : { keys, since };
  }
  return undefined;
}

/** Whether a container was booted, and none with a key: what is stored until one is cannot be signed. */
function hasNotBegun(resources: readonly unknown[], container: string): boolean {
  const booted = resources
    .map((resource) => accessorySchema.safeParse(resource).data?.inputs)
    .filter((inputs) => inputs?.container === container);
  return (
    booted.length > 0 && !booted.some((inputs) => inputs?.secretNames?.includes(SIGNING_VARIABLE))
  );
}

/**
 * The private SSH keys that the program was given, or has found in files where it ran.
 * @param container name of the container on the host
 * @returns undefined where the program left it to the SSH agent, or the stack has no such container on this host
 * @throws Problem when Pulumi does not show the state, or writes it in an unknown form
 */
export async function sshKeys(
  stack: StackChoice,
  container: string,
  host: string,
): Promise<SshKeys | undefined> {
  for (const resource of await resourcesOf(stack)) {
    const inputs = accessorySchema.safeParse(resource).data?.inputs;
    if (inputs?.container === container && inputs.target.host === host) {
      const { target } = inputs;
      return hasKey(target) ? target : undefined;
    }
  }
  return undefined;
}

function hasKey({ privateKey, proxy }: SshKeys): boolean {
  return privateKey !== undefined || (proxy !== undefined && hasKey(proxy));
}

/** What the state of a stack tells without any look at the world. */
export interface RecordedStack {
  /** The stack's own outputs by their names. */
  readonly outputs: Readonly<Record<string, unknown>>;
  /** Default retention of buckets with Object Lock that the stack has made, by the bucket's name. */
  readonly locks: ReadonlyMap<string, { readonly mode: string; readonly days: number }>;
  /** Operations that were begun and whose end nobody has seen: an update was cut off. */
  readonly pending: number;
}

const rootSchema = z.object({
  type: z.literal("pulumi:pulumi:Stack"),
  outputs: z.record(z.string(), z.preprocess(shown, z.unknown())),
});

const lockedDays = z.object({ mode: text, days: z.preprocess(shown, z.number()) });
/** On AWS, and as our own resource has it. */
const lockSchema = z.union([
  z.object({
    type: z.literal("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"),
    inputs: z
      .object({ bucket: text, rule: z.object({ defaultRetention: lockedDays }) })
      .transform(({ bucket, rule }) => ({ bucket, ...rule.defaultRetention })),
  }),
  z.object({
    type: z.literal("pulumi-nodejs:dynamic/kamal-postgres-backup:S3BucketObjectLock"),
    inputs: lockedDays
      .extend({ connection: z.preprocess(shown, z.object({ bucket: text })) })
      .transform(({ connection, mode, days }) => ({ bucket: connection.bucket, mode, days })),
  }),
]);

/**
 * Reads what a stack has recorded, without a run of its program.
 * @throws Problem when Pulumi does not show the state, or writes it in an unknown form
 */
export async function recordedStack(stack: StackChoice): Promise<RecordedStack> {
  const { resources, pending } = await stateOf(stack);
  const [root] = resources.flatMap((one) => rootSchema.safeParse(one).data ?? []);
  const locks = resources.flatMap((one) => lockSchema.safeParse(one).data?.inputs ?? []);
  return {
    outputs: root?.outputs ?? {},
    locks: new Map(locks.map(({ bucket, ...lock }) => [bucket, lock])),
    pending,
  };
}

async function resourcesOf(stack: StackChoice): Promise<readonly unknown[]> {
  return (await stateOf(stack)).resources;
}

async function stateOf(
  stack: StackChoice,
): Promise<{ readonly resources: readonly unknown[]; readonly pending: number }> {
  const asked = states.get(stack) ?? stackState(stack);
  states.set(stack, asked);
  const state = stateSchema.safeParse(await asked);
  if (!state.success) {
    throw new Problem(
      "this version of Pulumi writes a state that this program does not read. Use Pulumi 3.",
    );
  }
  const { resources, pending_operations: pending } = state.data.deployment;
  return {
    resources: (resources ?? []).filter((one) => !replacedSchema.safeParse(one).success),
    pending: pending?.length ?? 0,
  };
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
