import { EngineClient, engines, grpc } from "./protocol.ts";
import type { Context } from "./resource.ts";

/** The way back to the engine that is attached: shows log lines beside the resource that they belong to. */
export class Engine {
  #client: InstanceType<typeof EngineClient> | undefined;

  /** Called by each engine that begins to use the provider; the newest one gets the lines. */
  attach(address: string): void {
    this.#client?.close();
    this.#client = new EngineClient(address, grpc.credentials.createInsecure());
  }

  log(urn: string, ...[severity, message]: Parameters<Context["log"]>): void {
    if (this.#client === undefined) return;
    const { INFO, WARNING, ERROR } = engines.LogSeverity;
    const levels = { info: INFO, status: INFO, warning: WARNING, error: ERROR };
    const request = new engines.LogRequest();
    request.setUrn(urn);
    request.setSeverity(levels[severity]);
    request.setMessage(message);
    request.setEphemeral(severity === "status");
    // A line that the engine no longer takes (it is closing) must not fail the work that it speaks of.
    this.#client.log(request, (error) => {
      if (error) process.stderr.write(`${message}\n`);
    });
  }
}
