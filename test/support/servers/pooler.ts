import { type EventEmitter, once } from "node:events";
import { createServer, type Socket } from "node:net";
import pg from "pg";
import type { TestPostgres } from "./postgres.ts";

/** A pooler between clients and a server, as PgBouncer is one, on a loopback port of its own. */
export interface TestPooler {
  readonly port: number;
  stop(): Promise<void>;
}

/** How long a client keeps a connection of the server: until it leaves, or until its transaction ends. */
export type PoolMode = "session" | "transaction";

const CANNOT_ENCRYPT = Buffer.from("N");
const SSL_REQUEST = 80_877_103;

/**
 * Starts a pooler that lets everybody in, refuses settings at the start as PgBouncer does, and tells each client a process id that is
 * none of the server's.
 */
export async function startPooler(server: TestPostgres, mode: PoolMode): Promise<TestPooler> {
  const pools = new Map<string, Backend[]>();
  const backends = new Set<Backend>();
  const clients = new Set<Socket>();
  const take = async (database: string): Promise<Backend> => {
    const open = (pools.get(database) ?? []).filter(({ socket }) => !socket.destroyed);
    const idle = open.pop();
    pools.set(database, open);
    if (idle !== undefined) return idle;
    const backend = await Backend.open(server, database);
    backends.add(backend);
    return backend;
  };
  const release = (database: string, backend: Backend) => {
    pools.set(database, [...(pools.get(database) ?? []), backend]);
  };
  const first = await take("postgres");
  const { parameters } = first;
  release("postgres", first);
  let told = 100_000;
  const listener = createServer((client) => {
    clients.add(client);
    client.on("error", () => {}).on("close", () => clients.delete(client));
    told += 1;
    serve(client, told, { mode, parameters, take, release }).catch(() => client.destroy());
  }).listen(0, "127.0.0.1");
  await once(listener, "listening");
  const address = listener.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    stop: async () => {
      for (const client of clients) client.destroy();
      for (const backend of backends) backend.socket.destroy();
      listener.close();
      await once(listener, "close");
    },
  };
}

interface Pool {
  readonly mode: PoolMode;
  /** What the server says about itself to a new client. */
  readonly parameters: readonly string[];
  take(database: string): Promise<Backend>;
  release(database: string, backend: Backend): void;
}

async function serve(
  client: Socket,
  told: number,
  { mode, parameters, take, release }: Pool,
): Promise<void> {
  const messages = new Messages(client);
  let first = await messages.untyped();
  if (first.readInt32BE(0) === SSL_REQUEST) {
    client.write(CANNOT_ENCRYPT);
    first = await messages.untyped();
  }
  const words = first.subarray(4).toString().split("\0");
  const database = words[words.indexOf("database") + 1] ?? "";
  if (words.includes("options")) {
    const text = "SFATAL\0C08P01\0Munsupported startup parameter: options\0\0";
    client.end(typed("E", Buffer.from(text)));
    return;
  }
  const key = Buffer.alloc(8);
  key.writeInt32BE(told);
  client.write(typed("R", Buffer.alloc(4)));
  for (const parameter of parameters) client.write(typed("S", Buffer.from(parameter)));
  client.write(typed("K", key));
  client.write(typed("Z", Buffer.from("I")));
  let backend: Backend | undefined;
  client.on("close", () => {
    const left = backend;
    if (left === undefined) return;
    // As `server_reset_query`, which a session pool runs; who leaves within a transaction takes the connection along.
    if (left.idle) left.reset(() => release(database, left));
    else left.socket.destroy();
  });
  for (;;) {
    const message = await messages.typed();
    if (message[0] === "X".charCodeAt(0)) {
      client.end();
      return;
    }
    if (backend === undefined) {
      const taken = await take(database);
      backend = taken;
      taken.socket.once("close", () => client.destroy());
      taken.serve((answer) => {
        client.write(answer);
        if (answer[0] !== "Z".charCodeAt(0) || !taken.idle || mode === "session") return;
        backend = undefined;
        release(database, taken);
      });
    }
    backend.idle = false;
    backend.socket.write(message);
  }
}

/** A connection of the server, logged in by node-postgres and then taken over. */
class Backend {
  readonly socket: Socket;
  readonly parameters: readonly string[];
  /** Whether no query and no transaction is under way. */
  idle = true;
  #onAnswer: (message: Buffer) => void = () => {};

  static async open({ host, port, user, password }: TestPostgres, database: string) {
    const client = new pg.Client({ host, port, user, password, database, ssl: false });
    const { connection } = client as unknown as {
      connection: EventEmitter & { readonly stream: Socket };
    };
    const parameters: string[] = [];
    connection.on("parameterStatus", ({ parameterName, parameterValue }: Record<string, string>) =>
      parameters.push(`${parameterName}\0${parameterValue}\0`),
    );
    client.on("error", () => {});
    await client.connect();
    return new Backend(connection.stream, parameters);
  }

  constructor(socket: Socket, parameters: readonly string[]) {
    this.socket = socket;
    this.parameters = parameters;
    socket.removeAllListeners("data");
    const messages = new Messages(socket);
    const read = async () => {
      for (;;) {
        const message = await messages.typed();
        if (message[0] === "Z".charCodeAt(0)) this.idle = message[5] === "I".charCodeAt(0);
        this.#onAnswer(message);
      }
    };
    read().catch(() => {});
  }

  serve(onAnswer: (message: Buffer) => void): void {
    this.#onAnswer = onAnswer;
  }

  /** Forgets what the last client has set. */
  reset(done: () => void): void {
    this.#onAnswer = (message) => {
      if (message[0] === "Z".charCodeAt(0)) done();
    };
    this.socket.write(typed("Q", Buffer.from("DISCARD ALL\0")));
  }
}

/** https://www.postgresql.org/docs/17/protocol-overview.html#PROTOCOL-MESSAGE-CONCEPTS */
class Messages {
  #buffer = Buffer.alloc(0);
  #more = Promise.withResolvers<void>();

  constructor(socket: Socket) {
    socket.on("data", (chunk: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      this.#more.resolve();
      this.#renew();
    });
    socket.on("close", () => this.#more.reject(new Error("closed")));
    this.#renew();
  }

  #renew(): void {
    this.#more = Promise.withResolvers();
    // Nobody may be waiting when it closes.
    this.#more.promise.catch(() => {});
  }

  /** A whole message with its type and length. */
  typed(): Promise<Buffer> {
    return this.#next(1);
  }

  /** The first message has no type; without its length. */
  async untyped(): Promise<Buffer> {
    return (await this.#next(0)).subarray(4);
  }

  async #next(prefix: number): Promise<Buffer> {
    for (;;) {
      if (this.#buffer.length >= prefix + 4) {
        const length = prefix + this.#buffer.readInt32BE(prefix);
        if (this.#buffer.length >= length) {
          const message = this.#buffer.subarray(0, length);
          this.#buffer = this.#buffer.subarray(length);
          return message;
        }
      }
      await this.#more.promise;
    }
  }
}

function typed(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
