import { join } from "node:path";
import { checkout, sandboxId, stateDir } from "../../sandbox/world/paths.ts";

const id = sandboxId(checkout);

/** Every container, image, volume and network of the bench carries it. */
export const benchLabel = `kamal-postgres-backup.bench=${id}`;

const own = (part: string) => `kamal-postgres-backup-bench-${id}-${part}`;

export const names = {
  network: own("network"),
  database: own("database"),
  store: own("store"),
  sink: own("sink"),
  agentImage: own("agent"),
  incumbentImage: own("incumbent"),
  scratch: own("scratch"),
  /** A volume, by what is in it: other data is another volume. */
  data: (digest: string) => own(`data-${digest}`),
};

/** What the measured containers call the two S3 services; the certificate is for both. */
export const hosts = { store: "s3.bench", sink: "sink.bench" } as const;

/** Certificates, environment files, build folders. */
export const workDir = join(stateDir, "bench");
