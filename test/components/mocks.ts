import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import "./promises.ts";
import "./sshSettings.ts";

export interface Declared {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
}

/**
 * Records what a program declares, without an engine.
 * @param preview outputs that only an update would know stay unknown
 */
export async function declare(
  preview: boolean,
  program: () => pulumi.Output<unknown>[],
): Promise<Declared[]> {
  const declared: Declared[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource: (args) => {
        declared.push({ type: args.type, name: args.name, inputs: args.inputs });
        return {
          id: `${args.name}-id`,
          state: { ...args.inputs, ...(preview ? {} : madeUp(args)) },
        };
      },
      call: () => {
        throw new Error("no function of a provider is called");
      },
    },
    "kamal-postgres-backup",
    "test",
    preview,
    "organization",
  );
  try {
    const outputs = program();
    await Promise.all(
      outputs.map((o) =>
        (o as unknown as { promise(unknowns: boolean): Promise<unknown> }).promise(true),
      ),
    );
  } finally {
    // A component that throws has begun to register itself.
    await pulumi.runtime.disconnect();
  }
  return declared;
}

/** What is said to the user meanwhile, a line each. */
export async function overhear(work: () => Promise<unknown>): Promise<string[]> {
  const said: string[] = [];
  const { info, warn } = pulumi.log;
  const hear = async (text: string) => void said.push(text);
  Object.assign(pulumi.log, { info: hear, warn: hear });
  try {
    await work();
  } finally {
    Object.assign(pulumi.log, { info, warn });
  }
  return said;
}

/** What a provider would add to the inputs. */
function madeUp({ type, name }: { type: string; name: string }): Record<string, unknown> {
  if (type === "aws:s3/bucket:Bucket") {
    const bucket = `${name}-4f2a`;
    return { bucket, arn: `arn:aws:s3:::${bucket}`, region: "eu-west-3" };
  }
  if (type === "aws:iam/user:User") return { name };
  if (type === "aws:iam/accessKey:AccessKey") return { secret: SECRET_KEY };
  if (type === "scaleway:iam/apiKey:ApiKey") {
    return { accessKey: "SCWMADEUP00000000000", secretKey: SECRET_KEY };
  }
  if (type.endsWith(":SigningKey")) return { made: [SIGNING_KEY], since: "2026-11-24T03:15:02Z" };
  if (type.endsWith(":WalPassword")) return { made: [WAL_PASSWORD], since: "2026-11-24T03:15:02Z" };
  if (type === "docker:index/image:Image") {
    return { repoDigest: `registry.example.com/shop-db-backup@sha256:${"4f".repeat(32)}` };
  }
  return {};
}

export const SIGNING_KEY = "c2lnbmluZy1rZXktb2YtMzItYnl0ZXMtbWFkZS11cC0";
export const WAL_PASSWORD = "cGFzc3dvcmQtb2Yta3BiX3dhbC1tYWRlLXVwLTMyLWI";
export const SECRET_KEY = "made/up/secret/access/key/of/40/letters0";

const SIGNATURE = "4dabf18193072939515e22adb298388d";

/** Whether a recorded input was handed to the engine as a secret. */
export function isSecret(input: unknown): boolean {
  return typeof input === "object" && input !== null && SIGNATURE in input;
}

/** The text of everything that is not inside a secret. */
export function plainText(value: unknown): string {
  return JSON.stringify(value, (_key, part) => (isSecret(part) ? "[secret]" : part));
}

/** Inputs of the one resource whose type ends so. */
export function inputs(declared: readonly Declared[], type: string): Record<string, unknown> {
  const [found, ...more] = declared.filter((resource) => resource.type.endsWith(type));
  assert.deepEqual(more, []);
  assert.ok(found, `${type} is not among ${declared.map((r) => r.type).join(", ")}`);
  return found.inputs;
}

/** Names of a policy's statements, without what ours begin with. */
export function sids(policy: unknown): string[] {
  const { Statement } = JSON.parse(String(policy)) as { Statement: { Sid: string }[] };
  return Statement.map(({ Sid }) => Sid.replace("KamalPostgresBackup", ""));
}
