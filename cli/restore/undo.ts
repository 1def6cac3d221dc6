import { Problem } from "../../common/problem.ts";
import { OlderAgent, runAgent } from "../session/agentCall.ts";
import type { Session } from "../session/session.ts";
import { confirm, requireTerminal } from "../terminal/confirm.ts";
import { formatDuration } from "../terminal/format.ts";
import { paint } from "../terminal/render.ts";

/** The names that restores and undos give; the first part may be cut. */
const FORM = /_(before|undone)_\d{8}T\d{6}$/;

/**
 * Swaps the database that a restore, or an undo, has replaced back into its place.
 * @param kept the name that it has now
 * @throws Problem when it is no such name, or sessions could not be ended; then nothing has changed
 */
export async function undo(
  session: Session,
  kept: string,
  options: { readonly yes?: boolean },
): Promise<void> {
  const { container, screen } = session;
  if (!FORM.test(kept)) {
    throw new Problem(
      `"${kept}" is not the name of a database that a restore has replaced. Give one that "kept" shows, <database>_before_<time>.`,
    );
  }
  if (!options.yes) requireTerminal(screen, "undo asks before it swaps two databases");
  const database = await replacedBy(session, kept);
  const plan = [
    `Swap ${kept} back on ${container.host}`,
    `The current database is kept as ${kept.replace(FORM, "_undone_<time>")}.`,
  ];
  if (options.yes) for (const line of plan) screen.line(line);
  else await confirm(screen, plan, database);
  const { event: _, ...undone } = await runAgent(
    container,
    ["undo", "--yes", "--", kept],
    "undone",
    {
      onStderrLine: (line) => screen.warn(line),
    },
  );
  const { previous, elapsedMs } = undone;
  screen.line(
    `${paint.good("Swapped back")}: ${undone.from} is ${undone.database} again, in ${formatDuration(elapsedMs)}.`,
  );
  if (previous !== null) screen.line(`  the previous database is kept as ${previous}`);
  screen.document({ ...undone, host: container.host });
}

/** The database whose name it had, which the agent knows: a long one is cut in what it is called now. */
async function replacedBy({ container }: Session, kept: string): Promise<string> {
  try {
    const { databases } = await runAgent(container, ["kept"], "kept");
    const one = databases.find(({ name }) => name === kept);
    if (one !== undefined) return one.database;
    const names = databases.flatMap(({ name, undo }) => (undo === null ? [] : [name]));
    throw new Problem(
      `there is no "${kept}" on ${container.host} to swap back. ${names.length === 0 ? "No restore has left a database there." : `Those are: ${names.join(", ")}.`}`,
    );
  } catch (error) {
    if (!(error instanceof OlderAgent)) throw error;
    return kept.replace(FORM, "");
  }
}
