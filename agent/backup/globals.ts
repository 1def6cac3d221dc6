import type { Manifest } from "../../common/contracts/manifest.ts";
import { connectionString, libpqEnvironment } from "../postgres/connection.ts";
import type { AgentContext } from "../runtime/context.ts";
import { beginHead, type Head } from "../streams/encrypt.ts";
import { storeInPlaces, type Target } from "../streams/fanOutUpload.ts";
import { describeEnding, type Ending, runPipeline } from "../streams/process.ts";

/** Far more than the roles of any server take; the smallest part that S3 knows. */
const PART_BYTES = 5 * 1024 * 1024;

/** The roles and grants of a backup that is being made. */
export interface Globals {
  /**
   * Stores them in each place.
   * @returns how it ended at each target; null when the role may not read them, as on some managed services, which is said
   * in a notice
   */
  store(
    targets: readonly Pick<Target, "store" | "key">[],
  ): Promise<PromiseSettledResult<Manifest["globals"]>[]>;
  /** Ends what is still running. To be called in any case. */
  end(): void;
}

/**
 * Begins to dump the server's roles, their memberships and the grants on its parameters, which no dump of one database
 * carries: `pg_dumpall --globals-only`, through zstd, encrypted as the dump is. Without passwords: whoever reads a backup
 * must not be able to try them. It runs while the dump does, and what it has written waits until it is asked for.
 * @param dumpHead that of the dump, which is made first
 */
export function beginGlobals(context: AgentContext, dumpHead: Head): Globals {
  const { postgres, encryption } = context.settings;
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
  const head = beginHead(encryption, dumpHead);
  let refusal: string | undefined;
  const packing = {
    what: "backup of the roles",
    source,
    head,
    queue: 1,
    failure: (ending: Ending) => {
      if (/permission denied/i.test(ending.stderr)) refusal = ending.stderr.split("\n").at(-1);
      return `the roles and grants cannot be dumped: ${describeEnding("pg_dumpall", ending)}; BACKUP_GLOBALS=false leaves them out`;
    },
  };
  return {
    end: () => source.kill(),
    async store(targets) {
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
    },
  };
}
