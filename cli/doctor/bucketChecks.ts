import {
  GetBucketLifecycleConfigurationCommand,
  ListObjectsV2Command,
  type LifecycleRule as ServiceRule,
} from "@aws-sdk/client-s3";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { Problem } from "../../common/problem.ts";
import { fromService } from "../../storage/bucket/lifecycleTranslation.ts";
import { describeExcess, type KeyAccess } from "../../storage/bucket/probeKey.ts";
import { explain, isDenied } from "../../storage/s3/errors.ts";
import { READER_NAMES, withReader } from "../backups/bucketSource.ts";
import type { Session } from "../session/session.ts";
import type { StackChoice } from "../stack/pulumi.ts";
import { writerKey } from "../stack/stateSecrets.ts";
import { checkBucket } from "./bucketCheck.ts";
import { type Check, type Finding, ok, skipped, warn } from "./check.ts";
import { serviceUrl } from "./networkChecks.ts";

/** The bucket as it is seen from here, with keys out of the stack's state. */
export function bucketChecks(session: () => Session, stack: StackChoice): Check[] {
  return [
    {
      name: "bucket",
      needs: ["state", "clock"],
      look: () =>
        withReader(session(), stack, async ({ client, address }) => {
          const { bucket, prefix } = address;
          const first = { Bucket: bucket, Prefix: `${prefix}/`, MaxKeys: 1 };
          await client.send(new ListObjectsV2Command(first)).catch((error: unknown) => {
            throw explain(error, address, `list s3://${bucket}/${prefix}`);
          });
          return ok(`s3://${bucket}/${prefix} can be read`);
        }),
    },
    { name: "key's rights", needs: ["bucket"], look: () => judgeKey(session(), stack) },
    {
      name: "rules",
      needs: ["bucket"],
      look: () =>
        withReader(session(), stack, async ({ client, address }) => {
          const Bucket = address.bucket;
          try {
            const found = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
            return judgeRules(found.Rules ?? [], session().backup);
          } catch (error) {
            if (isDenied(error)) return ok("this key may not read them; drift compares them");
            if ((error as Error).name === "NoSuchLifecycleConfiguration") {
              return judgeRules([], session().backup);
            }
            throw explain(error, address, `read the rules of ${Bucket}`);
          }
        }),
    },
  ];
}

async function judgeKey({ backup }: Session, stack: StackChoice): Promise<Finding> {
  const key = await writerKey(stack, backup);
  if (key === undefined) return skipped("the stack's state does not hold the container's key");
  const access: KeyAccess = key.access === "append-only" ? "append-only" : "restorable";
  const finding = await checkBucket({ ...backup.location, allowInsecure: true }, key, {
    access,
    names: READER_NAMES,
  });
  if (finding.state !== "good") throw new Problem(finding.reason);
  if (finding.excess.length === 0) return ok("it can add, and neither delete nor change rules");
  const service = serviceUrl(backup.location).hostname;
  return warn(
    `the container's key can do more than it needs: ${finding.excess.join(", ")}`,
    finding.excess.map((right) => describeExcess(right, service)).join(" "),
  );
}

/** Whether the rules that are there expire backups as it was declared: sooner loses some, later costs money. */
export function judgeRules(
  rules: readonly ServiceRule[],
  { location, retentionDays, tierDays }: BackupOutputs,
): Finding {
  if (retentionDays === undefined) return ok("no retention is declared");
  const declared: readonly (readonly [folder: string, days: number])[] =
    tierDays === undefined
      ? [[`${location.prefix}/`, retentionDays]]
      : Object.entries(tierDays).map(([tier, days]) => [`${location.prefix}/${tier}/`, days]);
  const faults = declared.flatMap(([folder, days]) => {
    const [shortest] = rules
      .map(fromService)
      .filter(({ prefix }) => folder.startsWith(prefix))
      .flatMap(({ id, expirationDays }) => (expirationDays ? [{ id, expirationDays }] : []))
      .toSorted((a, b) => a.expirationDays - b.expirationDays);
    if (shortest?.expirationDays === days) return [];
    return shortest === undefined
      ? [`nothing expires ${folder} after ${days} days, unless the container does (keepDays)`]
      : [`"${shortest.id}" expires ${folder} after ${shortest.expirationDays}, not ${days} days`];
  });
  if (faults.length === 0) return ok(`backups expire after ${retentionDays} days`);
  return warn(
    faults.join("; "),
    "drift compares every rule; pulumi up --refresh puts back what was declared.",
  );
}
