import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AgeSecrets } from "../../common/age/stanzas.ts";
import { requireRecovery } from "../../storage/pointInTime/reachable.ts";
import { signingKeysOf } from "../archive/trust.ts";
import type { AgentContext } from "../runtime/context.ts";
import { throttled } from "../runtime/reporter.ts";
import { layWal } from "./layWal.ts";
import { unpackBase } from "./unpackBase.ts";

/** What lies in the folder of a recovery. */
export const RECOVERY = {
  /** The data folder of the server. */
  data: "data",
  /** Bases that have to be combined first, each in a folder of its number. */
  bases: "bases",
  wal: "wal",
  /** Of the server, for whoever shares the folder. */
  socket: "socket",
  /** The dump of the recovered server. */
  dump: "dump",
} as const;

/** The server's own user writes its socket there, whichever that is in its image. */
const FOR_ALL = 0o1777;

/**
 * Fetches what a recovery needs into a folder: the base backup unpacked, or several of them that are to be combined, and the
 * WAL. The server itself makes the rest of it.
 * @param moment ISO 8601 in UTC, or `latest`
 * @param secrets what may open it
 * @throws Problem with what can be recovered, where this cannot; or what cannot be read
 */
export async function fetchRecovery(
  { settings, store, report, signal }: AgentContext,
  moment: string,
  folder: string,
  secrets: AgeSecrets,
): Promise<void> {
  const started = performance.now();
  const elapsed = () => Math.round(performance.now() - started);
  const { recovery, plan } = await requireRecovery(store, signingKeysOf(settings), moment);
  const { chain, bases } = recovery;
  const how = { store, secrets, signal, encryption: chain.encryption };
  const total = bases.reduce((sum, { bytes }) => sum + bytes, 0);
  report.line(
    `Fetching ${bases.length === 1 ? "the base backup" : `${bases.length} base backups`} of ${bases.map(({ stamp }) => stamp).join(", ")} and ${plan.segments} segments of WAL.`,
  );
  let bytes = 0;
  const onBase = throttled(() =>
    report.event({ event: "progress", step: "base", bytes, total, elapsedMs: elapsed() }),
  );
  for (const [index, base] of bases.entries()) {
    const place = bases.length === 1 ? RECOVERY.data : join(RECOVERY.bases, String(index));
    await unpackBase(how, chain, base, join(folder, place), (more) => {
      bytes += more;
      onBase();
    });
  }
  const onSegment = throttled((done: number) =>
    report.event({
      event: "progress",
      step: "wal",
      done,
      total: plan.segments,
      elapsedMs: elapsed(),
    }),
  );
  await layWal(how, recovery, join(folder, RECOVERY.wal), onSegment);
  // The server's own access: whoever shares the folder, by the socket in it, and nobody else.
  await writeFile(join(folder, "pg_hba.conf"), "local all all trust\n", { mode: 0o644 });
  await mkdir(join(folder, RECOVERY.socket), { recursive: true });
  await chmod(join(folder, RECOVERY.socket), FOR_ALL);
  report.event({ event: "fetched", plan, elapsedMs: elapsed() });
  report.line(`Fetched into ${folder}.`);
}
