import type { Manifest } from "../storage/manifest.ts";
import type { BackupContext } from "./backup.ts";
import { libpqEnvironment } from "./database.ts";
import { connectionString } from "./dump.ts";
import { describeEnding, type Ending, runPipeline } from "./pipeline.ts";
import { storeInPlaces, type Target } from "./spread.ts";

/** Far more than the roles of any server take; the smallest part that S3 knows. */
const PART_BYTES = 5 * 1024 * 1024;

/**
 * Stores, in each place, the server's roles, their memberships and the grants on its parameters, which no dump of one
 * database carries: `pg_dumpall --globals-only`, through zstd, encrypted as the dump is. Without passwords: whoever reads a
 * backup must not be able to try them.
 * @returns how it ended at each target; null when the role may not read them, as on some managed services, which is said in
 * a notice
 */
export async function storeGlobals(
  context: BackupContext,
  targets: readonly Pick<Target, "store" | "key">[],
): Promise<PromiseSettledResult<Manifest["globals"]>[]> {
  const { postgres } = context.settings;
  let refusal: string | undefined;
  const source = runPipeline('nice -n 10 pg_dumpall "$@"', "nice -n 10 zstd -q -1 -T1 -c", {
    args: [
      "--globals-only",
      "--no-role-passwords",
      "--no-password",
      // Else it connects to "postgres", which the role may not be allowed to.
      `--database=${connectionString(postgres.database)}`,
    ],
    env: libpqEnvironment(postgres),
    stdin: "ignore",
  });
  const packing = {
    what: "backup of the roles",
    source,
    queue: 1,
    failure: (ending: Ending) => {
      if (/permission denied/i.test(ending.stderr)) refusal = ending.stderr.split("\n").at(-1);
      return `the roles and grants cannot be dumped: ${describeEnding("pg_dumpall", ending)}; BACKUP_GLOBALS=false leaves them out`;
    },
  };
  const stored = await storeInPlaces(
    context,
    packing,
    targets.map((target) => ({ ...target, partBytes: PART_BYTES })),
  );
  if (refusal === undefined) return stored;
  context.report.notice(
    `the roles and grants are not in this backup, because the role "${postgres.user}" may not read them (${refusal}). BACKUP_GLOBALS=false says that this is meant.`,
  );
  return targets.map(() => ({ status: "fulfilled", value: null }));
}
