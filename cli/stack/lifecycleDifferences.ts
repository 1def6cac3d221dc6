import { changesBetween } from "./propertyChanges.ts";

interface Rule {
  readonly id: string;
  readonly [property: string]: unknown;
}

/** Difference of one lifecycle rule in the words of a person. */
export interface RuleDifference {
  readonly subject: string;
  readonly declared: string;
  readonly found: string;
}

/** Words around the number of days, by the property that holds it. */
const daysOf: Readonly<Record<string, string>> = {
  "expiration.days": "",
  "noncurrentVersionExpiration.noncurrentDays": "noncurrent ",
  "abortIncompleteMultipartUpload.daysAfterInitiation": "abort unfinished uploads after ",
  // A bucket that is not on AWS.
  expirationDays: "",
  noncurrentDays: "noncurrent ",
  abortIncompleteMultipartDays: "abort unfinished uploads after ",
};

/** Compares the rules of two lifecycle configurations by their ids. */
export function lifecycleDifferences(
  declared: Readonly<Record<string, unknown>>,
  found: Readonly<Record<string, unknown>>,
): RuleDifference[] {
  const [was, is] = [rulesOf(declared), rulesOf(found)];
  return [...new Set([...was.keys(), ...is.keys()])].flatMap((id) => {
    const subject = `lifecycle rule "${id}"`;
    const [old, now] = [was.get(id), is.get(id)];
    if (old === undefined || now === undefined) {
      return [{ subject, declared: summary(old), found: summary(now) }];
    }
    return changesBetween(old, now).map((change) => ({
      subject,
      declared: words(change.path, change.declared),
      found: words(change.path, change.found),
    }));
  });
}

function rulesOf(properties: Readonly<Record<string, unknown>>): Map<string, Rule> {
  const rules = properties["rules"];
  if (!Array.isArray(rules)) return new Map();
  return new Map(
    rules.map((rule: Partial<Rule>, i) => [rule.id ?? String(i), { ...rule, id: rule.id ?? "" }]),
  );
}

function summary(rule: Rule | undefined): string {
  if (rule === undefined) return "none";
  const days = changesBetween({}, rule).filter(({ path }) => path in daysOf);
  return days.map(({ path, found }) => words(path, found)).join(", ") || "present";
}

function words(path: string, value: string): string {
  const before = daysOf[path];
  if (before === undefined) return `${path} ${value}`;
  return value === "none" ? "none" : `${before}${value} ${value === "1" ? "day" : "days"}`;
}
