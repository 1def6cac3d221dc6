import { setTimeout as sleep } from "node:timers/promises";
import { Problem } from "../../common/problem.ts";
import type { Report } from "./reporter.ts";
import { isRunning, readRuns } from "./runRegistry.ts";
import { CANCEL_SIGNAL } from "./signals.ts";

/** The limit of a run that is stopped, with a swap that had begun. */
const PATIENCE_MS = 60_000;
const LOOK_EVERY_MS = 100;

/**
 * Stops a command that runs in this container, as Ctrl-C stops it for whoever has started it, and waits for its end.
 * @param command which one, where several run: `restore`
 * @throws Problem when nothing runs, or it is not clear what is meant
 */
export async function cancel(
  folder: string | undefined,
  command: string | undefined,
  report: Report,
): Promise<void> {
  const running = readRuns(folder);
  const chosen = running.filter((run) => command === undefined || run.command === command);
  const [run, second] = chosen;
  if (run === undefined) {
    const others = running.map(({ words }) => words).join(", ");
    throw new Problem(
      `no ${command ?? "backup, restore, verify or undo"} is running in this container.${others === "" ? "" : ` What runs: ${others}.`}`,
    );
  }
  if (second !== undefined && new Set(chosen.map((each) => each.command)).size > 1) {
    throw new Problem(
      `several commands are running: ${chosen.map(({ words }) => words).join(", ")}. Say which one: cancel ${run.command}`,
    );
  }
  for (const { pid, words } of chosen) {
    try {
      process.kill(pid, CANCEL_SIGNAL);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // ESRCH: it has ended by itself.
      if (code === "ESRCH") continue;
      throw new Problem(
        `"${words}" runs as another user and could not be told to stop (${code}). Use that user: docker exec --user.`,
        { cause: error },
      );
    }
  }
  const deadline = performance.now() + PATIENCE_MS;
  while (chosen.some(({ pid }) => isRunning(pid))) {
    if (performance.now() > deadline) {
      throw new Problem(
        `"${run.words}" was told to stop and has not ended within ${PATIENCE_MS / 1000} s. Look at the container's log: docker logs.`,
      );
    }
    await sleep(LOOK_EVERY_MS);
  }
  for (const { words } of chosen)
    report.line(`"${words}" has ended; its last lines are in the log.`);
  report.event({ event: "cancelled", runs: chosen });
}
