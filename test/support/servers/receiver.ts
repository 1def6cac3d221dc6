import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export interface Received {
  readonly path: string;
  readonly type: string | undefined;
  readonly body: string;
}

/** A real HTTP server that writes down what it gets, and answers as the test wants. */
export class Receiver {
  readonly received: Received[] = [];
  /** Status of the next answers, then 200; `silent`: none at all. */
  answers: (number | "silent")[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<Receiver> {
    const server = createServer();
    const receiver = new Receiver(server);
    server.on("request", async (request: IncomingMessage, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      const type = request.headers["content-type"];
      receiver.received.push({ path: `${request.method} ${request.url}`, type, body });
      const answer = receiver.answers.shift() ?? 200;
      if (answer !== "silent") response.writeHead(answer).end("noted");
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return receiver;
  }

  get address(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  paths(): string[] {
    return this.received.map(({ path }) => path);
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
