import { once } from "node:events";
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";

/** What happens to an answer on its way back. */
export type Fate =
  | "pass"
  /** The connection closes although the work was done. */
  | "lose-answer"
  /** The connection closes after half of the body. */
  | "cut"
  /** The request is taken, and nothing ever comes back. */
  | "stall"
  /** The relay answers itself, with an error of S3; the service never hears of it. */
  | Refusal;

/** An error as S3 tells it. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
}

export interface Relay {
  readonly endpoint: string;
  /** How many answers met with this fate. */
  count(fate: Exclude<Fate, Refusal> | "refused"): number;
  stop(): Promise<void>;
}

/** A bad line in front of an HTTP service, on a free loopback port. */
export async function startRelay(
  target: string,
  fateOf: (method: string, path: string) => Fate,
): Promise<Relay> {
  const counts = new Map<Fate | "refused", number>();
  const server = createServer((request, response) => {
    const { method = "GET", url = "/", headers } = request;
    const fate = fateOf(method, url);
    const name = typeof fate === "string" ? fate : "refused";
    const met = () => counts.set(name, (counts.get(name) ?? 0) + 1);
    if (fate === "stall" || typeof fate !== "string") {
      // Read to its end: an answer before that is a broken connection to some clients.
      request.resume().once("end", () => {
        met();
        if (fate !== "stall") refuse(response, fate);
      });
      return;
    }
    const { hostname, port } = new URL(target);
    // The headers go on as they are, `host` with them: the signature covers it.
    const onward = httpRequest({ hostname, port, method, path: url, headers }, (answer) => {
      bodyOf(answer).then(
        (body) => {
          met();
          if (fate === "lose-answer") {
            request.socket.destroy();
            return;
          }
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          if (fate === "pass") response.end(body);
          else response.write(body.subarray(0, body.length >> 1), () => request.socket.destroy());
        },
        () => request.socket.destroy(),
      );
    });
    onward.on("error", () => request.socket.destroy());
    request.pipe(onward);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    count: (fate) => counts.get(fate) ?? 0,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

function refuse(response: ServerResponse, { status, code }: Refusal): void {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`;
  response.writeHead(status, { "content-type": "application/xml" }).end(body);
}

async function bodyOf(answer: IncomingMessage): Promise<Buffer> {
  return Buffer.concat(await answer.toArray());
}
