import { runAgent } from "../session/agentCall.ts";
import type { Session } from "../session/session.ts";

/**
 * Has the container send a test message to its webhook: what counts is what it reaches from there.
 * @throws Problem when no webhook is set, or the message could not be sent
 */
export async function notify({ container, screen }: Session): Promise<void> {
  const { host, format } = await runAgent(container, ["notify"], "notified", {
    onStderrLine: (line) => screen.warn(line),
  });
  screen.line(`Sent to ${host} in the form "${format}". Look whether it has arrived there.`);
  screen.document({ notified: true, host, format });
}
