import { Problem } from "../../common/problem.ts";
import type { KamalConfig } from "../../kamal/configuration/config.ts";
import type { Driver } from "../accessory/driver.ts";
import type { SettingName } from "../pulumi/settingNames.ts";

/** What decides whether the server can be prepared from here. */
export interface ServerPlaceOptions {
  /** Name of the server as the backup's container reaches it. */
  readonly host: string;
  /** Hosts of the backup's container. */
  readonly hosts: readonly string[];
  readonly config: KamalConfig;
  readonly driver: Driver | undefined;
  readonly name: SettingName;
}

/**
 * The container of the server whose WAL is read.
 * @throws Problem where the server is not in a container of Kamal's on the backup's own host, or `pulumi up` leaves the host alone
 */
export function serverContainer(options: ServerPlaceOptions): string {
  const { host, hosts, config, driver, name } = options;
  const setting = name("pointInTime");
  if (driver === "render") {
    throw new Problem(
      `${name("driver")} "render" and ${setting} contradict each other: pulumi up leaves the host as it is, and for point-in-time recovery the server needs a role and a line in pg_hba.conf. Set ${name("driver")} to "ssh" or "kamal", or take ${setting} out.`,
    );
  }
  const accessory = Object.values(config.accessories).find(({ service }) => service === host);
  if (accessory !== undefined && hosts.every((each) => accessory.hosts.includes(each))) {
    return accessory.service;
  }
  throw new Problem(
    `${setting} is for a database that runs as an accessory on the backup's own host (${hosts.join(", ")}) and on a Docker network, where pulumi up gives it a role and a line in pg_hba.conf; the server here is ${host}. Take ${setting} out; a managed database has point-in-time recovery by its provider.`,
  );
}
