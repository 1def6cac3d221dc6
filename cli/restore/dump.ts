import { Writable } from "node:stream";
import type { ProgressEvent } from "../../common/contracts/agentEvents.ts";
import { formatBytes } from "../../common/format.ts";
import { messageOf, Problem } from "../../common/problem.ts";
import { Interrupted } from "../../common/process.ts";
import { selectBackup } from "../backups/selectBackup.ts";
import { listByAgent } from "../backups/source.ts";
import { AgentError, runAgent } from "../session/agentCall.ts";
import { type CopyOption, chooseBucket, copyArguments } from "../session/copy.ts";
import { databaseArguments, forOneDatabase } from "../session/databases.ts";
import { readIdentity } from "../session/identity.ts";
import type { Session } from "../session/session.ts";
import { formatDuration, formatRate, formatStamp } from "../terminal/format.ts";
import { describeProgress } from "../terminal/progress.ts";
import { paint } from "../terminal/render.ts";
import type { Terminal } from "../terminal/screen.ts";

export interface DumpOptions extends CopyOption {
  /** Leaves owners and grants out. @default false */
  readonly noOwner?: boolean;
  /** File with the private key, as `age-keygen` writes it. */
  readonly identity?: string;
  /** Takes a backup by its time although it may be somebody else's. @default false */
  readonly acceptOrigin?: boolean;
}

/**
 * What ends a dump that is not whole. psql takes the end of a file for the end of the rows that it was reading, so without
 * this it would load half a table without an error. The first line ends the rows; behind anything else it is an error itself.
 */
export const NOT_WHOLE = "\n\\.\nDO $$ BEGIN RAISE EXCEPTION 'this dump is not whole'; END $$;\n";

/**
 * Writes a database as SQL to standard output: as it is now, or as a backup holds it. Nothing is kept in memory or on a
 * disk on the way.
 * @param wanted empty: as it is now; else `latest` or the time of a backup
 * @throws Problem when it is not whole; then what was written ends in an error for whoever loads it
 */
export async function dump(opened: Session, wanted: string, options: DumpOptions): Promise<void> {
  const { terminal, json } = opened.screen;
  if (json) throw new Problem("--json: dump writes SQL to standard output, and no document.");
  if (terminal.out.isTTY) {
    throw new Problem("dump writes SQL to standard output. Give it a file: dump > dump.sql");
  }
  if (wanted === "" && options.copy === true) {
    throw new Problem("--copy needs a backup: dump latest --copy");
  }
  const session = chooseBucket(await forOneDatabase(opened), options);
  const { backup, container, screen } = session;
  const identity = await readIdentity(options.identity);
  const stamp =
    wanted === "" ? null : selectBackup(session, await listByAgent(session), { wanted }).stamp;
  const args = [
    ...["dump", ...(stamp === null ? [] : [stamp])],
    ...databaseArguments(backup),
    ...copyArguments(session),
    ...(options.noOwner ? ["--no-owner"] : []),
    ...(options.acceptOrigin ? ["--accept-origin"] : []),
    ...identity.args,
  ];
  screen.waiting("writing");
  const started = performance.now();
  let reading: ProgressEvent | undefined;
  const sql = new Counter(terminal.out, (bytes) => {
    const elapsedMs = performance.now() - started;
    const parts = [formatBytes(bytes), formatRate(bytes, elapsedMs), formatDuration(elapsedMs)];
    const read = reading === undefined ? [] : [describeProgress(reading).join(" ")];
    screen.progress(["writing", ...parts, ...read]);
  });
  try {
    const { elapsedMs } = await runAgent(container, args, "dumped", {
      ...identity.call,
      output: sql,
      onProgress: (event) => {
        reading = event;
      },
      onStderrLine: (line) => screen.warn(line),
    });
    const what =
      stamp === null
        ? `${backup.database} as it is now`
        : `${backup.database} of ${formatStamp(stamp)} UTC`;
    screen.warn(
      `${paint.good("Dumped")} ${what}: ${formatBytes(sql.bytes)} of SQL in ${formatDuration(elapsedMs)}.`,
    );
  } catch (error) {
    if (sql.bytes > 0 && terminal.out.writable) terminal.out.write(NOT_WHOLE);
    // The agent says itself what was written.
    if (error instanceof AgentError || sql.bytes === 0) throw error;
    const Kind = error instanceof Interrupted ? Interrupted : Problem;
    throw new Kind(
      `${messageOf(error)} What was written is not the whole database: do not load it.`,
      { cause: error },
    );
  }
}

/** Passes on what it is given, and waits with whoever takes it. */
class Counter extends Writable {
  readonly #to: Terminal["out"];
  readonly #onBytes: (bytes: number) => void;
  bytes = 0;

  constructor(to: Terminal["out"], onBytes: (bytes: number) => void) {
    super();
    this.#to = to;
    this.#onBytes = onBytes;
    to.once("error", (error: NodeJS.ErrnoException) => {
      this.destroy(
        error.code === "EPIPE"
          ? new Problem("whatever read the dump has ended.", { cause: error })
          : error,
      );
    });
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.bytes += chunk.length;
    this.#onBytes(this.bytes);
    if (this.#to.write(chunk)) done();
    else this.#to.once("drain", done);
  }
}
