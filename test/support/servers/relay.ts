import { once } from "node:events";
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import { Transform } from "node:stream";

/** What happens to an answer on its way back. */
export type Fate =
  | "pass"
  /** The connection closes although the work was done. */
  | "lose-answer"
  /** The connection closes after half of the body. */
  | "cut"
  /** The request is taken, and nothing ever comes back. */
  | "stall"
  /** The request goes on to the service, and no answer ever comes back; nothing is closed. */
  | "silence"
  /** The request goes on with one bit of its body flipped. */
  | "flip-bit"
  /** The connection closes after 3 MB of the request's body. */
  | "reset"
  /** The relay answers itself, as if the work were done; the service never hears of it. */
  | Acknowledgement
  /** The relay answers itself, with an error of S3; the service never hears of it. */
  | Refusal;

/** An error as S3 tells it. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
}

/** A success in the service's place. */
export interface Acknowledgement {
  /** Body of the answer. */
  readonly acknowledge: string;
  /** @default `"abc"` */
  readonly etag?: string;
  /** @default `application/xml` */
  readonly contentType?: string;
}

export interface Relay {
  readonly endpoint: string;
  /** How many answers met with this fate. */
  count(fate: Extract<Fate, string> | "refused" | "acknowledged"): number;
  stop(): Promise<void>;
}

/**
 * A bad line in front of an HTTP service, on a free loopback port.
 * @param fateOf a promise holds the request back until it is resolved
 */
export async function startRelay(
  target: string,
  fateOf: (method: string, path: string) => Fate | Promise<Fate>,
): Promise<Relay> {
  const counts = new Map<string, number>();
  const server = createServer(async (request, response) => {
    const { method = "GET", url = "/", headers } = request;
    const fate = await fateOf(method, url);
    const name = nameOf(fate);
    const met = () => counts.set(name, (counts.get(name) ?? 0) + 1);
    if (fate === "stall" || typeof fate !== "string") {
      // Read to its end: an answer before that is a broken connection to some clients.
      request.resume().once("end", () => {
        met();
        if (fate === "stall") return;
        if ("acknowledge" in fate) acknowledge(response, fate);
        else refuse(response, fate);
      });
      return;
    }
    const { hostname, port } = new URL(target);
    // The headers go on as they are, `host` with them: the signature covers it.
    const onward = httpRequest({ hostname, port, method, path: url, headers }, (answer) => {
      bodyOf(answer).then(
        (body) => {
          met();
          if (fate === "silence") return;
          if (fate === "lose-answer") {
            request.socket.destroy();
            return;
          }
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          if (fate !== "cut") response.end(body);
          else response.write(body.subarray(0, body.length >> 1), () => request.socket.destroy());
        },
        () => request.socket.destroy(),
      );
    });
    onward.on("error", () => request.socket.destroy());
    if (fate === "flip-bit") request.pipe(flipBit()).pipe(onward);
    else request.pipe(onward);
    if (fate === "reset") {
      let bytes = 0;
      request.on("data", (piece: Buffer) => {
        bytes += piece.length;
        if (bytes < 3_000_000 || request.destroyed) return;
        met();
        request.socket.resetAndDestroy();
        onward.destroy();
      });
    }
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

function nameOf(fate: Fate): string {
  if (typeof fate === "string") return fate;
  return "acknowledge" in fate ? "acknowledged" : "refused";
}

function acknowledge(
  response: ServerResponse,
  { acknowledge: body, etag = '"abc"', contentType = "application/xml" }: Acknowledgement,
): void {
  response.writeHead(200, { etag, "content-type": contentType }).end(body);
}

/** Flips a bit in the first piece of a body. */
function flipBit(): Transform {
  let done = false;
  return new Transform({
    transform(piece: Buffer, _encoding, next) {
      const copy = Buffer.from(piece);
      // Behind the size of a chunk, where the body is sent in chunks.
      const at = copy.length - 3;
      if (!done && at > 0) {
        copy[at] = (copy[at] ?? 0) ^ 1;
        done = true;
      }
      next(null, copy);
    },
  });
}

function refuse(response: ServerResponse, { status, code }: Refusal): void {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`;
  response.writeHead(status, { "content-type": "application/xml" }).end(body);
}

async function bodyOf(answer: IncomingMessage): Promise<Buffer> {
  return Buffer.concat(await answer.toArray());
}
