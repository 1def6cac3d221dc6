import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { checkout, sandboxId, sandboxName, stateDir } from "./paths.ts";

/** What is chosen once for a sandbox, before anything runs, so that an interrupted `up` goes on with the same values. */
export interface Settings {
  readonly id: string;
  readonly service: string;
  sshPort: number;
  registryPort: number;
  readonly databasePort: number;
  readonly stagingDatabasePort: number;
  readonly registryPassword: string;
  readonly databasePassword: string;
  readonly store: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Once a day, half a day from when the sandbox was made: a test run never meets a scheduled backup. */
  readonly schedule: string;
  /** System identifier of the PostgreSQL cluster that holds the sample data. */
  sampledCluster?: string;
}

const settingsFile = join(stateDir, "settings.json");

/** The application's name: Kamal finds containers by it, so two checkouts on one machine must not share it. */
export const serviceName = (id: string) => `shop-${id}`;

/** False before the first `up` in this checkout, and when its state folder was removed. */
export const hasSettings = () => existsSync(settingsFile);

/** The settings of the sandbox in this checkout, chosen now if there is none. */
export async function loadSettings(): Promise<Settings> {
  if (hasSettings()) {
    const kept = JSON.parse(readFileSync(settingsFile, "utf8"));
    return { ...kept, schedule: kept.schedule ?? "15 3 * * *" };
  }
  mkdirSync(stateDir, { recursive: true, mode: 0o755 });
  const id = sandboxId(checkout);
  const settings: Settings = {
    id,
    service: serviceName(id),
    sshPort: await freePort(wanted(2222)),
    registryPort: await freePort(wanted(5001)),
    databasePort: await freePort(wanted(5433)),
    stagingDatabasePort: await freePort(wanted(5533)),
    registryPassword: password(),
    databasePassword: password(),
    store: {
      accessKeyId: `SANDBOX${randomBytes(6).toString("hex").toUpperCase()}`,
      secretAccessKey: randomBytes(24).toString("base64"),
    },
    schedule: `15 ${(new Date().getUTCHours() + 12) % 24} * * *`,
  };
  saveSettings(settings);
  return settings;
}

/** A second sandbox wants others: the first may be about to take these. */
const wanted = (port: number) => (sandboxName === "" ? port : port + 1000);

export function saveSettings(settings: Settings): void {
  writeFileSync(`${settingsFile}.new`, `${JSON.stringify(settings, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${settingsFile}.new`, settingsFile);
}

/** Letters and digits only: Kamal alters backslashes, and shells many other characters. */
function password(): string {
  return randomBytes(18).toString("base64").replaceAll(/[+/=]/g, "x");
}

/** The wanted loopback port if nothing listens there, else one that the system gives. */
export async function freePort(wanted: number): Promise<number> {
  for (const port of [wanted, 0]) {
    const found = await new Promise<number | undefined>((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(undefined));
      server.listen(port, "127.0.0.1", () => {
        const address = server.address();
        server.close(() => resolve(typeof address === "object" ? address?.port : undefined));
      });
    });
    if (found !== undefined) return found;
  }
  throw new Error("no free loopback port");
}
