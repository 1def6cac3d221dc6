import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A line to a server, on a loopback port of its own. */
export interface TcpRelay {
  readonly port: number;
  /** Passes nothing more and closes nothing, as a network does that drops everything; new connections are taken and get no answer. */
  freeze(): void;
  /** When it froze, by `performance.now()`. */
  readonly frozenAt: number | undefined;
  /** Goes on where it stopped. */
  thaw(): void;
  /** Closes all connections at once. */
  cut(): void;
  stop(): Promise<void>;
}

/**
 * @param port of a server on 127.0.0.1
 * @param freezeAt freezes when a client sends this, which is not passed on
 */
export async function startTcpRelay(port: number, freezeAt?: RegExp): Promise<TcpRelay> {
  const sockets = new Set<Socket>();
  let frozen = false;
  let frozenAt: number | undefined;
  const freeze = () => {
    frozen = true;
    frozenAt ??= performance.now();
    for (const socket of sockets) socket.pause();
  };
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("data", (chunk) => {
        if (from === near && freezeAt?.test(chunk.toString("latin1"))) freeze();
        if (!frozen) to.write(chunk);
      });
      from.on("error", () => {});
      from.on("close", () => {
        sockets.delete(from);
        if (!frozen) to.destroy();
      });
      if (frozen) from.pause();
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: address.port,
    freeze,
    get frozenAt() {
      return frozenAt;
    },
    thaw: () => {
      frozen = false;
      for (const socket of sockets) socket.resume();
    },
    cut,
    stop: async () => {
      frozen = false;
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
