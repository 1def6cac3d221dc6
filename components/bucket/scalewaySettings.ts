import * as pulumi from "@pulumi/pulumi";
import type { types } from "@pulumiverse/scaleway";
import { Problem } from "../../common/problem.ts";
import type { LifecycleRule } from "../../storage/bucket/lifecycle.ts";
import { applyReportingProblems } from "../pulumi/resourceMessages.ts";

/** @throws Problem for what is no region there, from which no address could be made */
export function checkRegion(region: string, setting: string): void {
  if (/^[a-z]{2}-[a-z]{3}$/.test(region)) return;
  throw new Problem(
    `${setting} "${region}" is none of Scaleway's. Give for instance "fr-par", "nl-ams" or "pl-waw".`,
  );
}

/** A lifecycle rule in the words of the Scaleway provider. */
export function toScalewayRule(rule: LifecycleRule): types.input.object.BucketLifecycleRule {
  return {
    id: rule.id,
    enabled: true,
    ...(rule.prefix !== "" && { prefix: rule.prefix }),
    ...(rule.expirationDays !== undefined && { expiration: { days: rule.expirationDays } }),
    ...(rule.expiredObjectDeleteMarker && { expiration: { expiredObjectDeleteMarker: true } }),
    ...(rule.noncurrentDays !== undefined && {
      noncurrentVersionExpiration: { noncurrentDays: rule.noncurrentDays },
    }),
    ...(rule.abortIncompleteMultipartDays !== undefined && {
      abortIncompleteMultipartUploadDays: rule.abortIncompleteMultipartDays,
    }),
  };
}

/** @throws Problem when there is no administrator, or one that is known already is no principal */
export function checkAdministrators(
  administrators: readonly pulumi.Input<string>[],
  setting: string,
): void {
  if (administrators.length === 0) {
    throw new Problem(
      `${setting} is empty, so the bucket's policy would shut out whoever runs Pulumi. Name at least that one, as user_id:ID or application_id:ID.`,
    );
  }
  for (const one of administrators) if (typeof one === "string") checkPrincipal(one, setting);
}

/** The principals that keep every right; one that is known later is checked then, on the resource. */
export function administratorsOf(
  resource: pulumi.Resource,
  administrators: readonly pulumi.Input<string>[],
  setting: string,
): pulumi.Output<string[]> {
  return applyReportingProblems(resource, pulumi.all([...administrators]), (all) =>
    all.map((one) => checkPrincipal(one, setting)),
  );
}

function checkPrincipal(principal: string, setting: string): string {
  if (/^(user|application)_id:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(principal)) {
    return principal;
  }
  throw new Problem(
    `${setting}: "${principal}" is no principal of Scaleway. Give user_id:ID or application_id:ID, with the ID that the console shows under IAM.`,
  );
}
