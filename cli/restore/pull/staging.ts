import type { DrilledEvent, Entry } from "../../../common/contracts/agentEvents.ts";
import { Problem } from "../../../common/problem.ts";
import { type BackupKeys, imageOf, type OpenedBackup } from "../../drill/openBackup.ts";
import type { DataPlace } from "../../drill/serverContainer.ts";
import type { SqlFile } from "../../drill/sqlFile.ts";
import { type ThrowAway, withThrowAway } from "../../drill/throwAway.ts";
import { runAgent } from "../../session/agentCall.ts";
import { EXIT } from "../../terminal/exitCodes.ts";
import { restoreLine } from "../../terminal/progress.ts";

/** A backup that is restored here, and masked, before anybody gets it. */
export interface StagingPlan {
  readonly keys: BackupKeys;
  readonly entry: Entry;
  readonly opened: OpenedBackup;
  /** Undefined: the data stays as it is. */
  readonly mask: SqlFile | undefined;
  /** What of the backup: words for the agent. @default all of it */
  readonly part?: readonly string[];
  /** Image of the server. @default postgres:MAJOR of the backup */
  readonly image: string | undefined;
  /** Docker network by which the bucket is reached. @default Docker's own */
  readonly network: string | undefined;
  readonly data: DataPlace;
}

/** The server that holds the restored and masked database. It has no network. */
export interface Staged extends ThrowAway {
  readonly image: string;
  readonly superuser: string;
  /** Name of the database. */
  readonly database: string;
  readonly drilled: DrilledEvent;
}

/**
 * Restores a backup into a throw-away server without a network, compares it, and masks it in one transaction.
 * @param use gets the server once all that is done, and not before
 * @throws Problem when one of it fails, or as `use`
 */
export async function withStaging<T>(
  plan: StagingPlan,
  use: (staged: Staged) => Promise<T>,
): Promise<T> {
  const { entry, opened, network, data } = plan;
  const { backup, screen } = plan.keys.session;
  const image = plan.image ?? imageOf(opened.manifest?.server.major, entry);
  const superuser = opened.manifest?.server.bootstrapRole ?? "postgres";
  const { result } = await withThrowAway(
    screen,
    {
      ...{ serverImage: image, agentImage: backup.image, superuser, env: opened.env },
      ...{ network, data, keep: false },
    },
    async (started) => {
      const drilled = await restoreAndMask(plan, started);
      return use({ ...started, image, superuser, database: backup.database, drilled });
    },
  );
  return result;
}

async function restoreAndMask(
  { keys, entry, opened, mask, part = [], data }: StagingPlan,
  { agent }: ThrowAway,
): Promise<DrilledEvent> {
  const { session, identities } = keys;
  const request = {
    ...(identities.length > 0 && { identities: identities.join("\n") }),
    ...(mask && { mask: mask.text }),
  };
  const roles = opened.manifest?.globals ? [] : ["--no-owner"];
  const line = restoreLine();
  const drilled = await runAgent(agent, ["drill", entry.stamp, ...roles, ...part], "drilled", {
    input: `${JSON.stringify(request)}\n`,
    codes: [EXIT.well, EXIT.failed, EXIT.couldNotRun],
    onProgress: (event) => session.screen.progress(line(event)),
    onStderrLine: (text) => {
      // The result has all of them.
      if (!/^(?:Not restored: |made the roles )/.test(text)) session.screen.warn(text);
    },
  });
  if (drilled.verdict !== "passed") {
    throw new Problem(`${drilled.reason ?? "the restore failed."}${fullMemory(drilled, data)}`);
  }
  if (mask !== undefined && drilled.masked === 0) {
    throw new Problem(
      "the agent's image is of an earlier version, which does not mask. Run pulumi up to replace it.",
    );
  }
  return drilled;
}

function fullMemory({ reason }: DrilledEvent, data: DataPlace): string {
  if (data.kind !== "memory" || !/no space left on device/i.test(reason ?? "")) return "";
  return " The memory that masking had here is full. Pull less with --table, or use the Docker of a machine with more memory: DOCKER_HOST=ssh://USER@HOST.";
}
