import type { LifecycleRule as ServiceRule, TransitionStorageClass } from "@aws-sdk/client-s3";
import type { BucketAbilities } from "../address/providerCapabilities.ts";
import type { LifecycleRule } from "./lifecycle.ts";

/** The part of the rules that a service takes. */
export function rulesFor(
  abilities: BucketAbilities,
  rules: readonly LifecycleRule[],
): LifecycleRule[] {
  if (!abilities.lifecycle) return [];
  const versions = abilities.versioning !== "none";
  return rules.flatMap(({ noncurrentDays, ...rule }) => {
    if (rule.expiredObjectDeleteMarker && !versions) return [];
    if (rule.abortIncompleteMultipartDays !== undefined && !abilities.abortUnfinished) return [];
    return [{ ...rule, ...(versions && noncurrentDays !== undefined && { noncurrentDays }) }];
  });
}

/** A rule in the words of the S3 API. */
export function toService(rule: LifecycleRule): ServiceRule {
  const expiration =
    rule.expirationDays !== undefined
      ? { Days: rule.expirationDays }
      : rule.expiredObjectDeleteMarker && { ExpiredObjectDeleteMarker: true };
  return {
    ID: rule.id,
    Status: "Enabled",
    Filter: { Prefix: rule.prefix },
    ...(expiration && { Expiration: expiration }),
    ...(rule.noncurrentDays !== undefined && {
      NoncurrentVersionExpiration: { NoncurrentDays: rule.noncurrentDays },
    }),
    ...(rule.abortIncompleteMultipartDays !== undefined && {
      AbortIncompleteMultipartUpload: { DaysAfterInitiation: rule.abortIncompleteMultipartDays },
    }),
    ...(rule.transitions && {
      Transitions: rule.transitions.map(({ days, storageClass }) => ({
        Days: days,
        StorageClass: storageClass as TransitionStorageClass,
      })),
    }),
  };
}

/**
 * What a rule of a bucket amounts to. A rule that is switched off, or limited by more than a prefix, does not do what a
 * rule of `backupLifecycle` does, and comes back without its actions, so that the two differ.
 */
export function fromService(rule: ServiceRule): LifecycleRule {
  const id = rule.ID ?? "";
  const prefix = prefixOf(rule);
  if (rule.Status !== "Enabled" || prefix === undefined) return { id, prefix: prefix ?? "" };
  const days = rule.Expiration?.Days;
  const noncurrentDays = rule.NoncurrentVersionExpiration?.NoncurrentDays;
  const abort = rule.AbortIncompleteMultipartUpload?.DaysAfterInitiation;
  const transitions = (rule.Transitions ?? []).map(({ Days = 0, StorageClass = "" }) => ({
    days: Days,
    storageClass: StorageClass,
  }));
  return {
    id,
    prefix,
    ...(days !== undefined && { expirationDays: days }),
    ...(noncurrentDays !== undefined && { noncurrentDays }),
    ...(rule.Expiration?.ExpiredObjectDeleteMarker && { expiredObjectDeleteMarker: true }),
    ...(abort !== undefined && { abortIncompleteMultipartDays: abort }),
    ...(transitions.length > 0 && { transitions }),
  };
}

/** Undefined when the rule asks for more than a prefix. Some services put the prefix beside the filter. */
export function prefixOf({ Filter, Prefix }: ServiceRule): string | undefined {
  const { Prefix: inFilter, ...more } = Filter ?? {};
  const and = more.And;
  const limited = Object.values(more).some((value) => value !== undefined && value !== and);
  if (limited || and?.Tags?.length || and?.ObjectSizeGreaterThan || and?.ObjectSizeLessThan) {
    return undefined;
  }
  return inFilter ?? and?.Prefix ?? Prefix ?? "";
}
