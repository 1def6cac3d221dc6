import { fileURLToPath } from "node:url";
import { grpc } from "../../sandbox/providers/protocol.ts";
import { run } from "../../sandbox/world/run.ts";
import type { TestStore } from "./servers/store.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const dayMs = 86_400_000;

/**
 * Makes one version of an object, or one delete marker, look as old as this. S3 counts in whole days, so the stored time
 * of the version is set back instead of waiting.
 */
export async function age(
  store: TestStore,
  bucket: string,
  key: string,
  versionId: string,
  days: number,
): Promise<void> {
  const directory = Buffer.from(`/buckets/${bucket}/${key}.versions`);
  const answer = await ask(
    store,
    "LookupDirectoryEntry",
    Buffer.concat([field(1, directory), field(2, Buffer.from(`v_${versionId}`))]),
  );
  const entry = firstField(answer);
  const seconds = Math.floor((Date.now() - days * dayMs) / 1000);
  // Where a part of a message stands twice, the later one counts: attributes.mtime, and its nanoseconds.
  const older = Buffer.concat([tag(2, 0), varint(seconds), tag(19, 0), varint(0)]);
  // When a newer version took its place is noted apart; without that note the newer one's age is what counts.
  const noted = field(1, Buffer.from("Seaweed-X-Amz-Noncurrent-Since-Ns"));
  const forgotten = Buffer.concat([noted, field(2, Buffer.alloc(0))]);
  const aged = Buffer.concat([entry, field(4, older), field(5, forgotten)]);
  await ask(store, "UpdateEntry", Buffer.concat([field(1, directory), field(2, aged)]));
}

/**
 * Has the store's own lifecycle worker go over every bucket. It remembers how far it came and looks only at what changed
 * since; ageing is no change that it knows of, so it is made to forget. On a busy machine its shell may lose the store's metadata
 * service midway; what it has done by then stays done, so it goes once more.
 */
export async function runLifecycle(store: TestStore): Promise<string> {
  const { master, s3 } = store.internal;
  const words = ["-shards", "0-15", "-s3", s3, "-events", "0", "-refresh", "1s", "-runtime", "8s"];
  const options = {
    cwd: root,
    input: `fs.rm -rf /etc/s3/lifecycle/daily-cursors\ns3.lifecycle.run-shard ${words.join(" ")}\nexit\n`,
  };
  const shell = () => run("weed", ["shell", `-master=${master}`], options);
  const { stdout, stderr } = await shell().catch((error: Error) => {
    if (!/code = Unavailable/.test(error.message)) throw error;
    return shell();
  });
  return stdout + stderr;
}

/** One request to the store's metadata service, in its wire format. */
function ask(store: TestStore, method: string, request: Buffer): Promise<Buffer> {
  const client = new grpc.Client(store.internal.filer, grpc.credentials.createInsecure());
  const same = (bytes: Buffer) => bytes;
  return new Promise<Buffer>((resolve, reject) => {
    client.makeUnaryRequest(
      `/filer_pb.SeaweedFiler/${method}`,
      same,
      same,
      request,
      { deadline: Date.now() + 10_000 } as never,
      (error, answer) => (error ? reject(error) : resolve(answer ?? Buffer.alloc(0))),
    );
  }).finally(() => client.close());
}

/** A part of a message, with its length in front. */
function field(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([tag(number, 2), varint(bytes.length), bytes]);
}

function tag(number: number, wireType: number): Buffer {
  return varint((number << 3) | wireType);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

/** The bytes of the first part of a message. */
function firstField(message: Buffer): Buffer {
  let length = 0;
  let at = 1;
  for (let factor = 1; ; factor *= 128, at++) {
    const byte = message[at] ?? 0;
    length += (byte & 127) * factor;
    if (byte < 128) break;
  }
  return message.subarray(at + 1, at + 1 + length);
}
