import * as pulumi from "@pulumi/pulumi";
import { type SshAccess, toSshTarget } from "../accessory/sshConnection.ts";
import type { PointInTimeServerInputs } from "../internal/pointInTimeServer.ts";
import { type DynamicInputs, providerOf } from "../pulumi/dynamicPackage.ts";
import type { SettingName } from "../pulumi/settingNames.ts";
import { declaredSettings, HBA_LINE, ROLE_FIT, SLOT_HELD } from "../server/serverSettings.ts";

/**
 * What the server has for point-in-time recovery: role, line of pg_hba.conf, settings and slot. One that was changed by hand is drift,
 * and `pulumi up` puts it back; it goes with the resource.
 */
export class PointInTimeServer extends pulumi.dynamic.Resource {
  constructor(
    name: string,
    args: DynamicInputs<PointInTimeServerInputs>,
    opts: pulumi.CustomResourceOptions,
  ) {
    super(
      providerOf("pointInTimeServer"),
      name,
      {
        ...args,
        target: pulumi.secret(args.target),
        login: pulumi.secret(args.login),
        password: pulumi.secret(args.password),
      },
      { ...opts, additionalSecretOutputs: ["target", "login", "password"] },
      "kamal-postgres-backup",
      "PointInTimeServer",
    );
  }
}

/** What the server is prepared from. */
export interface ServerOptions {
  readonly parent: pulumi.Resource;
  /** Name of the backup. */
  readonly name: string;
  /** Container of the server. */
  readonly container: string;
  /** Container of the agent. */
  readonly agent: string;
  readonly access: SshAccess;
  readonly database: {
    readonly user: string;
    readonly port: number;
    readonly major: number;
    /** Secret. */
    readonly password: pulumi.Output<string>;
  };
  /** Password of the role. Secret. */
  readonly password: pulumi.Output<string>;
  readonly serverDiskMib: number;
  /** How messages name the arguments. */
  readonly settingName: SettingName;
}

/** Prepares the server. The preview refuses one whose WAL cannot be archived: the resource looks at it when it is checked. */
export function createServer(options: ServerOptions): PointInTimeServer {
  const { parent, name, container, agent, access, database, password, settingName } = options;
  const [host] = access.hosts;
  if (host === undefined) throw new Error("resolveDatabase gives one host");
  const { user, port } = database;
  const inputs = {
    container,
    agent,
    target: toSshTarget(access, host),
    login: database.password.apply((secret) => ({ user, port, password: secret })),
    password,
    names: {
      pointInTime: settingName("pointInTime"),
      serverDisk: settingName("pointInTime.serverDisk"),
    },
    role: ROLE_FIT,
    line: HBA_LINE,
    settings: declaredSettings(options.serverDiskMib, database.major),
    slot: SLOT_HELD,
  };
  return new PointInTimeServer(`${name}-server`, inputs, { parent });
}
