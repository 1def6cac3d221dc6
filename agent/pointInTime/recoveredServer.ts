import { join } from "node:path";
import type { ServerSettings } from "../../common/contracts/agentEnvironment/postgres.ts";
import { RECOVERY } from "./fetch.ts";

/** How the agent reaches the recovered server: by its socket in the folder, as the role that it has on the live one. */
export function recoveredServer(live: ServerSettings, folder: string): ServerSettings {
  return {
    ...live,
    host: join(folder, RECOVERY.socket),
    port: 5432,
    sslMode: "disable",
    dumpOptions: "",
  };
}
