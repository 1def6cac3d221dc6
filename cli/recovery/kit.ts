import type { DrillRecord } from "../../common/contracts/drillRecord.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import { formatStamp } from "../terminal/format.ts";
import { EXAMPLE, stockCommands } from "./stockTools.ts";

/** The newest backup of one database, and what is known of it. */
export interface KitBackup {
  readonly database: string;
  /** undefined: there is none that counts. */
  readonly newest: CatalogueEntry | undefined;
  readonly manifest: Manifest | undefined;
  /** Newest first. */
  readonly drills: readonly DrillRecord[];
}

/** What a page says for the day on which only the bucket is left. No secret is in it. */
export interface Kit {
  readonly title: string;
  /** Names and values of what can be typed in. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  /** What the reader writes in by hand, since no program knows it. */
  readonly blanks: readonly string[];
  /** What cannot be had from the bucket. */
  readonly missing: readonly string[];
  readonly tools: string;
  /** The commands for the first database, for bash. */
  readonly commands: string;
  /** How to do the same for the others; empty: there is one alone. */
  readonly others: readonly string[];
}

/**
 * Gathers the page.
 * @param readerKeyId id of the key that may read the bucket
 */
export function kitOf(
  { name, location, encrypts = false }: BackupOutputs,
  readerKeyId: string,
  backups: readonly KitBackup[],
  now: Date,
): Kit {
  const { bucket, prefix, region } = location;
  const endpoint = location.endpoint ?? `https://s3.${region}.amazonaws.com`;
  const [first] = backups;
  const recipients = [...new Set(backups.flatMap(({ manifest }) => manifest?.recipients ?? []))];
  const majors = [...new Set(backups.flatMap(({ manifest }) => manifest?.server.major ?? []))];
  const isPassphrase = encrypts && recipients.length === 0;
  const stock = stockCommands({
    ...EXAMPLE,
    ...{ region, endpoint, bucket, accessKeyId: readerKeyId },
    prefix: folderOf(first?.newest) ?? prefix,
    ...(first && { database: first.database }),
    ...(first?.newest && { stamp: first.newest.stamp }),
  });
  return {
    title: `Recovery kit of ${name}, ${now.toISOString().slice(0, 10)}`,
    facts: [
      ["bucket", bucket],
      ["folder", prefix],
      ["region", region],
      ["endpoint", endpoint],
      ["key that reads", readerKeyId],
      ["PostgreSQL", majors.join(", ") || "not known"],
      ["encrypted", encryptionText(encrypts, recipients)],
      ...backups.map(({ database, newest }): [string, string] => [
        `newest of ${database}`,
        newest === undefined ? "none that counts" : `${formatStamp(newest.stamp)} UTC`,
      ]),
      ["proved", proofText(backups, recipients)],
    ],
    blanks: [
      "The secret of the key that reads is in",
      ...(isPassphrase ? ["The passphrase is in"] : []),
      ...recipients.map((recipient) => `The age identity of ${recipient} is in`),
      "The Pulumi project, and the passphrase of its stack, are in",
      "The application's repository, and config/master.key, are in",
    ],
    missing: [
      "Passwords of roles. The commands list the roles that need one.",
      "Secrets of the application, Kamal's secrets, and files that it stores outside the database.",
      "The age identity or the passphrase. Without it nobody opens an encrypted backup.",
      "Settings of the server itself: postgresql.conf, pg_hba.conf, packages of extensions.",
      "What was written after the newest backup.",
    ],
    tools:
      "aws (2.13 or later), jq, age, zstd, and PostgreSQL's programs of the backup's major version or a later one. On Debian: apt-get install awscli age jq zstd postgresql-client.",
    // age asks for a passphrase by itself.
    commands: isPassphrase ? stock.replace(' --identity "$IDENTITY"', "") : stock,
    others: backups.slice(1).map(({ database, newest }) => {
      const folder = folderOf(newest);
      const elsewhere =
        folder === undefined || folder === folderOf(first?.newest)
          ? ""
          : ` and FOLDER='s3://${bucket}/${folder}'`;
      return `For ${database} take DATABASE='${database.replaceAll("'", "'\\''")}'${elsewhere}${
        newest === undefined ? "" : `, and the time ${newest.stamp}`
      }.`;
    }),
  };
}

/** The folder of a dump, with that of its tier. */
function folderOf(entry: CatalogueEntry | undefined): string | undefined {
  return entry?.key.slice(0, entry.key.lastIndexOf("/"));
}

function encryptionText(encrypts: boolean, recipients: readonly string[]): string {
  if (recipients.length > 0) return `for ${recipients.join(" or ")}`;
  return encrypts ? "with a passphrase" : "no";
}

/** Whether a drill has restored with the key that the reader keeps. */
function proofText(backups: readonly KitBackup[], recipients: readonly string[]): string {
  const drills = backups.flatMap((backup) => backup.drills);
  const passed = drills
    .filter(({ verdict, upgradeTo }) => verdict === "passed" && upgradeTo === null)
    .filter(({ openedWith }) => recipients.length === 0 || recipients.includes(openedWith ?? ""))
    .toSorted((a, b) => (a.startedAt < b.startedAt ? 1 : -1));
  const [newest] = passed;
  if (newest === undefined) {
    const what =
      recipients.length === 0 ? "restored a backup" : "opened a backup with its identity";
    return `no drill has ${what} yet. Run: npx kamal-postgres-backup drill`;
  }
  const by = newest.openedWith === null ? "" : ` with the identity of ${newest.openedWith}`;
  return `a drill has restored ${newest.database}${by} on ${newest.startedAt.slice(0, 10)}`;
}
