import { setTimeout as sleep } from "node:timers/promises";
import type * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";
import { type AddressNames, parseAddress } from "../../storage/address/address.ts";
import { describeExcess, type KeyAccess, probeKey } from "../../storage/bucket/probeKey.ts";
import { openStore } from "../../storage/s3/client.ts";

/** Inputs of the resource; `verdict` is what is declared, always `fit`. */
export interface KeyProbeInputs {
  /** Absent: AWS. */
  readonly endpoint?: string | undefined;
  readonly region: string;
  readonly bucket: string;
  readonly prefix: string;
  readonly allowInsecure: boolean;
  readonly accessKeyId: string;
  /** Secret. */
  readonly secretAccessKey: string;
  readonly access: KeyAccess;
  /** How long a key that was just made may be unknown to the service, seconds. */
  readonly patienceSeconds: number;
  /** `fit`, or what the key cannot do although it must. */
  readonly verdict: string;
}

export interface KeyProbeState extends KeyProbeInputs {
  /** What the key can do and should not, and that it could not be tried. One sentence each. */
  readonly warnings: readonly string[];
}

const COMPARED = [
  "endpoint",
  "region",
  "bucket",
  "prefix",
  "allowInsecure",
  "accessKeyId",
  "secretAccessKey",
  "access",
  "verdict",
] as const;
/** The resource does not know whether its bucket is the first one or that of the copies, or who gave the key. */
const NAMES: AddressNames = {
  endpoint: "the bucket's endpoint",
  region: "the bucket's region",
  bucket: "the bucket's name",
  prefix: "the prefix",
  allowInsecure: "allowInsecure",
  accessKeyId: "the key's accessKeyId",
  secretAccessKey: "the key's secretAccessKey",
  regionRemedy:
    "Give the bucket that region in the program or the stack's configuration, then run pulumi up",
};
const BETWEEN_TRIES_MS = 2_000;

type Findings = Pick<KeyProbeState, "verdict" | "warnings">;

export async function check(
  _olds: unknown,
  news: KeyProbeInputs,
): Promise<pulumi.dynamic.CheckResult> {
  return { inputs: news };
}

export async function create(inputs: KeyProbeInputs): Promise<pulumi.dynamic.CreateResult> {
  return { id: `${inputs.bucket}/${inputs.prefix}`, outs: await prove(inputs) };
}

export async function read(
  id: string,
  props: KeyProbeState,
): Promise<pulumi.dynamic.ReadResult<KeyProbeState>> {
  const { verdict, warnings } = await findings(props, Date.now());
  const { warnings: _before, ...inputs } = props;
  return {
    id,
    props: { ...props, verdict, warnings },
    inputs: { ...inputs, verdict },
  } as pulumi.dynamic.ReadResult<KeyProbeState>;
}

export async function diff(
  _id: string,
  olds: KeyProbeState,
  news: KeyProbeInputs,
): Promise<pulumi.dynamic.DiffResult> {
  return { changes: COMPARED.some((field) => olds[field] !== news[field]) };
}

export async function update(
  _id: string,
  _olds: KeyProbeState,
  news: KeyProbeInputs,
): Promise<pulumi.dynamic.UpdateResult> {
  return { outs: await prove(news) };
}

/** Nothing was made. */
async function remove(): Promise<void> {}

export { remove as delete };

async function prove(inputs: KeyProbeInputs): Promise<KeyProbeState> {
  const found = await findings(inputs, Date.now() + inputs.patienceSeconds * 1000);
  if (found.verdict !== "fit") throw new Problem(found.verdict);
  return { ...inputs, ...found };
}

async function findings(inputs: KeyProbeInputs, deadline: number): Promise<Findings> {
  const store = openStore(parseAddress(inputs, NAMES), inputs);
  const service = inputs.endpoint ?? "AWS";
  try {
    for (;;) {
      try {
        const excess = await probeKey(store, inputs.access);
        return { verdict: "fit", warnings: excess.map((right) => describeExcess(right, service)) };
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (!isAnswered(error)) {
          // The bucket may be within reach of the database's host alone.
          const warning = `the access key was not tried from here: ${error.message} The container tries it when it boots.`;
          return { verdict: "fit", warnings: [warning] };
        }
        if (Date.now() >= deadline) return { verdict: error.message, warnings: [] };
      }
      await sleep(BETWEEN_TRIES_MS);
    }
  } finally {
    store.client.destroy();
  }
}

/** Whether the service itself said no; a Problem without cause is a judgement on answers. */
function isAnswered(problem: Error): boolean {
  const cause = problem.cause as { $metadata?: { httpStatusCode?: number } } | undefined;
  return cause === undefined || cause.$metadata?.httpStatusCode !== undefined;
}
