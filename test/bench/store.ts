import { join } from "node:path";
import { CreateBucketCommand, DeleteBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { docker } from "../../sandbox/host/docker.ts";
import { findProgram } from "../../sandbox/host/processes.ts";
import { eventually, run } from "../../sandbox/world/run.ts";
import { start } from "./measure.ts";
import { hosts, names, workDir } from "./names.ts";

const region = "us-east-1";
const [port, tlsPort] = [8333, 8443];

/** The bench's own S3 service: SeaweedFS with its data in memory, spoken to over TLS as real services are. */
export interface Store {
  /** What the measured containers are told. */
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Certificate that the measured containers must trust. */
  readonly certificate: string;
  makeBucket(name: string): Promise<void>;
  /** With all that is in it, so that the memory is free for the next round. */
  dropBucket(name: string): Promise<void>;
  close(): void;
}

/** @param debian an image that can run the `weed` binary */
export async function startStore(debian: string): Promise<Store> {
  const [accessKeyId, secretAccessKey] = ["BENCHADMINISTRATOR00", "bench-administrator-secret"];
  const certificate = await makeCertificate();
  await start(
    debian,
    [
      ...["--name", names.store, "--network", names.network, "--network-alias", hosts.store],
      ...["--env", `AWS_ACCESS_KEY_ID=${accessKeyId}`],
      ...["--env", `AWS_SECRET_ACCESS_KEY=${secretAccessKey}`],
      ...["--volume", `${await findProgram("weed")}:/usr/local/bin/weed:ro`],
      ...["--volume", `${workDir}:/tls:ro`, "--tmpfs", "/data:size=6g"],
    ],
    [
      ...["weed", "mini", "-dir=/data", "-ip=127.0.0.1", "-ip.bind=0.0.0.0", "-webdav=false"],
      ...["-admin.ui=false", "-master.telemetry=false", `-s3.port=${port}`],
      ...[`-s3.port.https=${tlsPort}`, "-s3.cert.file=/tls/s3.pem", "-s3.key.file=/tls/s3.key"],
      "-s3.allowDeleteBucketNotEmpty=true",
    ],
  );
  const client = new S3Client({
    endpoint: `http://${await addressOf(names.store)}:${port}`,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  const makeBucket = async (name: string) => {
    await client.send(new CreateBucketCommand({ Bucket: name }), {
      abortSignal: AbortSignal.timeout(10_000),
    });
  };
  await eventually("The S3 service", 60_000, async () => {
    await makeBucket("first");
    return true;
  });
  return {
    ...{
      endpoint: `https://${hosts.store}:${tlsPort}`,
      region,
      accessKeyId,
      secretAccessKey,
      certificate,
    },
    makeBucket,
    dropBucket: async (name) => {
      await client.send(new DeleteBucketCommand({ Bucket: name }));
    },
    close: () => client.destroy(),
  };
}

async function addressOf(container: string): Promise<string> {
  const format = `{{(index .NetworkSettings.Networks "${names.network}").IPAddress}}`;
  return (await docker(["inspect", "--format", format, container])).stdout.trim();
}

/**
 * Starts the service that only swallows, in a container of its own.
 * @param image one with Node
 * @returns what the measured container is told instead of the real one's address
 */
export async function startSink(image: string): Promise<string> {
  await start(
    image,
    [
      ...["--name", names.sink, "--network", names.network, "--network-alias", hosts.sink],
      ...["--user=root", "--volume", `${workDir}:/tls:ro`],
      ...["--volume", `${join(import.meta.dirname, "sink.ts")}:/sink.ts:ro`],
    ],
    ["node", "/sink.ts", String(tlsPort), "/tls/s3.pem", "/tls/s3.key"],
  );
  return `https://${hosts.sink}:${tlsPort}`;
}

async function makeCertificate(): Promise<string> {
  const certificate = join(workDir, "s3.pem");
  const alternatives = Object.values(hosts).map((host) => `DNS:${host}`);
  await run("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-days", "2", "-subj", `/CN=${hosts.store}`, "-addext", `subjectAltName=${alternatives}`],
    ...["-keyout", join(workDir, "s3.key"), "-out", certificate],
  ]);
  return certificate;
}
