import { runAgent } from "../session/agentCall.ts";
import type { Session } from "../session/session.ts";
import { paint } from "../terminal/render.ts";

/**
 * Stops what runs in the container, whoever has started it, and waits for its end.
 * @param command which one, where several run
 */
export async function cancel({ container, screen }: Session, command?: string): Promise<void> {
  const args = ["cancel", ...(command === undefined ? [] : [command])];
  const { runs } = await runAgent(container, args, "cancelled", {
    onStderrLine: (line) => screen.warn(line),
  });
  for (const { words } of runs) {
    screen.line(
      `${paint.good("Ended")}: ${words} in ${container.name} on ${container.host}. How: docker logs ${container.name}, or "history".`,
    );
  }
  screen.document({ host: container.host, runs });
}
