import type { Manifest } from "../../common/contracts/manifest.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import { connectionString, libpqEnvironment } from "../postgres/connection.ts";
import type { AgentContext } from "../runtime/context.ts";
import { beginHeader, type PendingHeader } from "../streams/encrypt.ts";
import { fanOutUpload, type UploadDestination } from "../streams/fanOutUpload.ts";
import { describeExit, type ExitResult, runPipeline } from "../streams/process.ts";
import { UNTRANSLATED } from "../streams/toolWarnings.ts";

/** Far more than the roles of any server take; the smallest part that S3 knows. */
const PART_BYTES = 5 * 1024 * 1024;

/** The roles and grants of a backup that is being made. */
export interface Globals {
  /**
   * Uploads them to each destination.
   * @returns how it ended at each; null when the role may not read them, as on some managed services, which is a warning
   */
  store(
    destinations: readonly Pick<UploadDestination, "store" | "key">[],
  ): Promise<PromiseSettledResult<Manifest["globals"]>[]>;
  /** Ends what is still running. To be called in any case. */
  end(): void;
}

/**
 * Begins to dump the server's roles, their memberships and the grants on its parameters, which no dump of one database
 * carries: `pg_dumpall --globals-only`, through zstd, encrypted as the dump is. Without passwords: whoever reads a backup
 * must not be able to try them. It runs while the dump does, and what it has written waits until it is asked for.
 * @param dumpHeader that of the dump, which is made first
 * @param onStderr gets what pg_dumpall says
 */
export function startGlobalsDump(
  context: AgentContext,
  dumpHeader: PendingHeader,
  onStderr: (text: string) => void,
): Globals {
  const { postgres, encryption } = context.settings;
  const program = runPipeline('nice -n 10 pg_dumpall "$@"', "nice -n 10 zstd -q -1 -T1 -c", {
    args: [
      "--globals-only",
      "--no-role-passwords",
      "--no-password",
      // Else it connects to "postgres", which the role may not be allowed to.
      `--database=${connectionString(postgres.database)}`,
    ],
    env: { ...libpqEnvironment(postgres), ...UNTRANSLATED },
    stdin: "ignore",
    onStderr,
  });
  const header = beginHeader(encryption, dumpHeader);
  let refusal: string | undefined;
  const source = {
    what: "backup of the roles",
    program,
    header,
    queue: 1,
    describeFailure: (exit: ExitResult) => {
      if (/permission denied/i.test(exit.stderr)) refusal = exit.stderr.split("\n").at(-1);
      return `the roles and grants cannot be dumped: ${describeExit("pg_dumpall", exit)}; BACKUP_GLOBALS=false leaves them out`;
    },
  };
  return {
    end: () => program.kill(),
    async store(destinations) {
      const stored = await fanOutUpload(
        context,
        source,
        destinations.map((destination) => ({ ...destination, partBytes: PART_BYTES })),
      );
      if (refusal === undefined) return stored;
      context.report.warn(
        `the roles and grants are not in this backup, because the role "${postgres.user}" may not read them (${refusal}). BACKUP_GLOBALS=false says that this is meant.`,
      );
      return destinations.map(() => ({ status: "fulfilled", value: null }));
    },
  };
}

/**
 * Takes away the roles and grants of a backup that did not come about, which this run has stored. A key that may not delete
 * leaves them, and they are named: they are no backup, and the bucket's own rule expires them.
 */
export async function removeOrphanedGlobals(
  { report, journal, signal }: Pick<AgentContext, "report" | "journal" | "signal">,
  store: ObjectStore,
  key: string,
): Promise<void> {
  try {
    await store.delete(key);
  } catch {
    const left = `the roles and grants stay as ${key} without a backup`;
    journal?.stays(key, left);
    // The sentence of a run that was stopped says it.
    if (!signal.aborted) report.warn(`${left}; the key may not delete them.`);
  }
}
