import { hostname } from "node:os";
import type { Turn } from "./alertState.ts";
import type { ChatMessage } from "./chatMessage.ts";

/** Whose backup it is: the host as Kamal knows it, else the container's own name. */
export function hostName(): string {
  return process.env["KAMAL_HOST"] ?? hostname();
}

/**
 * The message about what a run has changed, or nothing.
 * @param log the run's last lines
 */
export function alertOf(turn: Turn, log: readonly string[]): ChatMessage | undefined {
  const { failed, recovered } = turn;
  if (failed.length > 0) {
    return {
      mood: "bad",
      title: `Backup of ${listed(failed.map(({ database }) => database ?? ""))} failed on ${hostName()}`,
      sentences: failed.map(({ error = "", database }) =>
        failed.length > 1 ? `${named(database ?? "")}: ${error}` : error,
      ),
      log,
      commands: commands(),
    };
  }
  if (recovered.length === 0) return undefined;
  return {
    mood: "good",
    title: `Backup of ${listed(recovered)} works again on ${hostName()}`,
    sentences: ["The last run has stored all that was due."],
    log: [],
    commands: [],
  };
}

/** Sent by hand, to see whether and how it arrives. */
export function testMessage(): ChatMessage {
  return {
    mood: "neutral",
    title: `Test from the backup on ${hostName()}`,
    sentences: [
      "Nothing has failed. A failure is reported here once, with its sentence and the last lines of the log, and its end once.",
    ],
    log: [],
    commands: commands(),
  };
}

function commands(): ChatMessage["commands"] {
  return [
    ["What to mend, in the folder with Pulumi.yaml", "npx kamal-postgres-backup doctor"],
    [`The whole log, on ${hostName()}`, `docker logs --tail 100 ${hostname()}`],
  ];
}

const SHOWN = 3;

function listed(names: readonly string[]): string {
  const shown = names.slice(0, SHOWN).map(named).join(", ");
  return names.length > SHOWN ? `${shown} and ${names.length - SHOWN} more` : shown;
}

function named(database: string): string {
  return database === "" ? "every database" : database;
}
