import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A running SeaweedFS of the test's own: S3 and the IAM API on one loopback port, one administrator key. */
export interface TestStore {
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string;
  /** The same over TLS, for who trusts the certificate; absent without one. */
  readonly tlsEndpoint?: string;
  /** The same service by name; `BUCKET.s3.localhost` reaches a bucket by host name where the name resolves. */
  readonly domain: string;
  readonly port: number;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Where the parts of the service talk to each other: `master` as `weed shell` wants it, the others by gRPC. */
  readonly internal: { readonly master: string; readonly filer: string; readonly s3: string };
  /** Kills the service at once and removes its data. May be called twice. */
  stop(): Promise<void>;
}

const startDeadlineMs = 120_000;
const attempts = 3;
const services = ["s3", "master", "volume", "filer", "admin"];

/** Files of a certificate for 127.0.0.1 and of its key. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
}

/**
 * Starts `weed mini` (found on PATH) on free loopback ports with its data in a new temporary folder.
 * Buckets are not made by a mere upload, as on AWS.
 * @throws Error with the end of its log when it does not answer within 2 minutes
 */
export async function startStore(tls?: TlsFiles): Promise<TestStore> {
  let last: unknown;
  for (let attempt = 0; attempt < attempts; attempt++) {
    try {
      return await tryStart(tls);
    } catch (error) {
      // Another process may have taken one of the ports between our look and its start.
      last = error;
    }
  }
  throw last;
}

async function tryStart(tls: TlsFiles | undefined): Promise<TestStore> {
  const accessKeyId = "test-administrator";
  const secretAccessKey = "test-administrator-secret";
  const dir = await mkdtemp(join(tmpdir(), "kpb-store-"));
  const ports = await freePorts(services.length * 2 + 1);
  const tlsPort = ports.at(-1);
  const s3Port = ports[0] ?? 0;
  const log = await open(join(dir, "weed.log"), "w");
  const tlsFlags = tls && [
    `-s3.port.https=${tlsPort}`,
    `-s3.cert.file=${tls.certificate}`,
    `-s3.key.file=${tls.key}`,
  ];
  const child = spawn("weed", [...arguments_(dir, ports), ...(tlsFlags ?? [])], {
    env: {
      ...process.env,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
    },
    cwd: dir,
    stdio: ["ignore", log.fd, log.fd],
  });
  const killOnExit = () => child.kill("SIGKILL");
  const killOnSignal = (signal: NodeJS.Signals) => {
    killOnExit();
    // The listener is gone by now, so the signal has its usual effect.
    process.kill(process.pid, signal);
  };
  process.once("exit", killOnExit);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, killOnSignal);
  const onDeath = async (code: number | null, signal: string | null) => {
    const text = await readFile(join(dir, "weed.log"), "utf8").catch(() => "");
    console.error(`weed mini ended with ${signal ?? `exit code ${code}`}: ${text.slice(-2000)}`);
  };
  const stop = async () => {
    child.removeListener("exit", onDeath);
    process.removeListener("exit", killOnExit);
    for (const signal of ["SIGINT", "SIGTERM"]) process.removeListener(signal, killOnSignal);
    await end(child);
    await rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    // A killed weed leaves its gRPC sockets, whose folder cannot be chosen.
    for (const [i, name] of services.entries()) {
      await rm(`/tmp/seaweedfs-${name}-grpc-${ports[i * 2 + 1]}.sock`, { force: true });
    }
  };
  try {
    await answers(child, `http://127.0.0.1:${s3Port}/`);
  } catch (error) {
    const text = await readFile(join(dir, "weed.log"), "utf8");
    await stop();
    throw new Error(`weed mini did not start: ${text.slice(-2000)}`, { cause: error });
  } finally {
    await log.close();
  }
  // What is tested afterwards fails for a reason that nothing else names.
  child.once("exit", onDeath);
  return {
    endpoint: `http://127.0.0.1:${s3Port}`,
    ...(tls && { tlsEndpoint: `https://127.0.0.1:${tlsPort}` }),
    domain: "s3.localhost",
    port: s3Port,
    accessKeyId,
    secretAccessKey,
    internal: {
      master: `127.0.0.1:${ports[services.indexOf("master") * 2]}.${grpcPort(ports, "master")}`,
      filer: `127.0.0.1:${grpcPort(ports, "filer")}`,
      s3: `127.0.0.1:${grpcPort(ports, "s3")}`,
    },
    stop,
  };
}

/** Every port is named, since the default of each gRPC port is the HTTP port plus 10,000 and may be taken or above 65,535. */
function arguments_(dir: string, ports: readonly number[]): string[] {
  const portFlags = services.flatMap((name, i) => [
    `-${name}.port=${ports[i * 2]}`,
    `-${name}.port.grpc=${ports[i * 2 + 1]}`,
  ]);
  return [
    "mini",
    `-dir=${join(dir, "data")}`,
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-admin.ui=false",
    "-admin.port.legacy=0",
    "-webdav=false",
    "-master.telemetry=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.domainName=s3.localhost",
    "-s3.autoCreateBucket=false",
    "-s3.iam.readOnly=false",
    `-s3.localSocket=${join(dir, "s3.sock")}`,
    `-filer.localSocket=${join(dir, "filer.sock")}`,
    ...portFlags,
  ];
}

function grpcPort(ports: readonly number[], service: string): number | undefined {
  return ports[services.indexOf(service) * 2 + 1];
}

async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  for (let i = 0; i < count; i++) {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    servers.push(server);
  }
  const ports = servers.map((server) => {
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return address.port;
  });
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

/** Ready when an unsigned request is refused: the keys are loaded then (without keys the service allows all). */
async function answers(child: ChildProcess, url: string): Promise<void> {
  let spawnError: Error | undefined;
  child.once("error", (error) => {
    spawnError = error;
  });
  const deadline = Date.now() + startDeadlineMs;
  while (Date.now() < deadline) {
    if (spawnError !== undefined) throw spawnError;
    if (child.exitCode !== null) throw new Error(`weed exited with ${child.exitCode}`);
    const status = await fetch(url, { signal: AbortSignal.timeout(2_000) }).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 403) return;
    await sleep(100);
  }
  throw new Error(`no answer from ${url} within ${startDeadlineMs / 1000} s`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}
