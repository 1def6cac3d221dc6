import type { LifecycleRule as ServiceRule } from "@aws-sdk/client-s3";
import type { LifecycleRule } from "./lifecycle.ts";
import { prefixOf, toService } from "./lifecycleTranslation.ts";

/** Rules under an owner's name, so that they are known among those of others. */
export function ownedBy(owner: string, rules: readonly LifecycleRule[]): LifecycleRule[] {
  return rules.map((rule) => ({ ...rule, id: `${rule.id}@${owner}` }));
}

/** Whether a rule stands under this owner's name. */
export function isOwn(owner: string, id = ""): boolean {
  const at = id.indexOf("@");
  return at > 0 && id.slice(at + 1) === owner;
}

/** The bucket's rules with the owner's new ones in the place of the earlier ones; everybody else's stay as they are. */
export function mergeRules(
  found: readonly ServiceRule[],
  owner: string,
  own: readonly LifecycleRule[],
): ServiceRule[] {
  return [...found.filter(({ ID }) => !isOwn(owner, ID)), ...own.map(toService)];
}

/**
 * Rules of others that would remove backups before the own rules do, one phrase each: expiry by age is a way to delete.
 */
export function conflicts(
  found: readonly ServiceRule[],
  owner: string,
  own: readonly LifecycleRule[],
): string[] {
  return found
    .filter(({ ID, Status }) => !isOwn(owner, ID) && Status === "Enabled")
    .flatMap((rule) => {
      const prefix = prefixOf(rule) ?? "";
      const sooner = own.find(
        (mine) =>
          mine.expirationDays !== undefined &&
          (mine.prefix.startsWith(prefix) || prefix.startsWith(mine.prefix)) &&
          (rule.Expiration?.Date !== undefined ||
            (rule.Expiration?.Days ?? Number.POSITIVE_INFINITY) < mine.expirationDays),
      );
      if (sooner === undefined) return [];
      const when =
        rule.Expiration?.Days === undefined
          ? "on a fixed date"
          : `after ${rule.Expiration.Days} of ${sooner.expirationDays} days`;
      return [`rule "${rule.ID ?? ""}" expires backups ${when}`];
    });
}
