import { type SigningKey, signatureOf } from "../../common/contracts/manifestMac.ts";
import type { CatalogueEntry, DeployMark } from "./catalogueEntry.ts";

/** What a mark says of a dump. */
export type MarkedAs =
  /** It was read back to its end and found whole. */
  | { readonly kind: "verified"; readonly dump: string }
  /** It was there before the deploy of a revision. */
  | { readonly kind: "deploy"; readonly dump: string; readonly revision: string };

/** 128 of the 256 bits, half of them, as RFC 2104 has it: the name stays short. */
const MAC_DIGITS = 32;

/**
 * The signature that a mark carries in its name. It is bound to the dump's key, so that no mark serves another backup.
 * @param keys the first one signs
 * @returns undefined without a key
 */
export function markMac(mark: MarkedAs, keys: readonly SigningKey[]): string | undefined {
  const revision = mark.kind === "deploy" ? mark.revision : null;
  return signatureOf([mark.kind, mark.dump, revision], keys, "mark")?.value.slice(0, MAC_DIGITS);
}

/**
 * Says which marks count. Whoever may merely write can put one beside a backup, and would so have one taken for read back
 * that is damaged, or an old one for the one before a deploy. Without keys every mark counts, as every manifest does.
 * @param keys with one of which a mark that counts is signed
 */
export function judgeMarks(
  entries: readonly CatalogueEntry[],
  keys: readonly SigningKey[],
): CatalogueEntry[] {
  if (keys.length === 0) return [...entries];
  const isSigned = (mark: MarkedAs, mac: string | undefined) =>
    mac !== undefined && keys.some((key) => markMac(mark, [key]) === mac);
  return entries.map((entry) => {
    const { key: dump, verifications, deploys } = entry;
    if (verifications === undefined && deploys === undefined) return entry;
    const signed = verifications?.find(({ mac }) => isSigned({ kind: "verified", dump }, mac));
    return {
      ...entry,
      verifiedKey: signed?.key ?? null,
      ...(verifications && signed === undefined && { unsignedVerification: true }),
      ...(deploys && {
        deploys: deploys.map((mark): DeployMark => {
          const { revision, mac } = mark;
          return isSigned({ kind: "deploy", dump, revision }, mac)
            ? mark
            : { ...mark, unsigned: true };
        }),
      }),
    };
  });
}

/** Whoever may write can add any number of them. */
const MOST_UNSIGNED = 3;

/**
 * What a list says of the marks beside a backup, in the order in which they are found; those that are not signed come last.
 * A commit's 40 letters are cut to 12, which `restore --before-deploy` takes too.
 */
export function markRemarks({
  unsignedVerification,
  deploys = [],
}: Pick<CatalogueEntry, "unsignedVerification" | "deploys">): string[] {
  const before = ({ revision }: DeployMark) =>
    `before deploy ${revision.replace(/^([0-9a-f]{12})[0-9a-f]{28}\b/, "$1")}`;
  const unsigned = deploys.filter((mark) => mark.unsigned === true);
  const more = unsigned.length - MOST_UNSIGNED;
  return [
    ...(unsignedVerification === true ? ["mark of verification not signed"] : []),
    ...deploys.filter((mark) => mark.unsigned !== true).map(before),
    ...unsigned.slice(0, MOST_UNSIGNED).map((mark) => `${before(mark)} (mark not signed)`),
    ...(more > 0 ? [`${more} more such marks`] : []),
  ];
}
