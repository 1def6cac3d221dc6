import * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";
import { type SshAccess, toSshTarget } from "../accessory/sshConnection.ts";
import type { PointInTimeServerInputs } from "../internal/pointInTimeServer.ts";
import { type DynamicInputs, providerOf } from "../pulumi/dynamicPackage.ts";
import type { SshTarget } from "../pulumi/hostScript.ts";
import { logOf } from "../pulumi/resourceMessages.ts";
import type { SettingName } from "../pulumi/settingNames.ts";
import type { ServerLogin } from "../server/serverAccess.ts";
import { serverFault, spaceFault } from "../server/serverFaults.ts";
import { isSeen, lookAtServer, type NotSeen } from "../server/serverLook.ts";
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

/** What is declared of the server, some of it known later. */
interface DeclaredServer extends Pick<PointInTimeServerInputs, "container" | "names" | "settings"> {
  readonly target: pulumi.Output<SshTarget>;
  readonly login: pulumi.Output<ServerLogin>;
}

/**
 * Prepares the server; at preview it says over what that would stumble.
 * @returns `seen` is known once the server was looked at
 */
export function createServer(options: ServerOptions): {
  readonly server: PointInTimeServer;
  readonly seen: pulumi.Output<boolean>;
} {
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
  return {
    server: new PointInTimeServer(`${name}-server`, inputs, { parent }),
    seen: lookAhead(parent, inputs),
  };
}

/** At preview alone: the resource itself looks again before it changes anything. */
function lookAhead(
  parent: pulumi.Resource,
  { target, login, container, names, settings }: DeclaredServer,
): pulumi.Output<boolean> {
  const log = logOf(parent);
  const setting = names.pointInTime;
  if (!log.preview) return pulumi.output(false);
  const seen = pulumi.all([target, login]).apply(async ([reached, superuser]) => {
    const place = `${container} on ${reached.host}`;
    const look = await lookAtServer({ container, target: reached, login: superuser }).catch(
      (error: unknown): NotSeen => {
        if (!(error instanceof Problem)) throw error;
        return { reason: error.message };
      },
    );
    if (!isSeen(look)) {
      if (look.for === "ever") throw refused(`${setting}: ${look.reason}. Take ${setting} out.`);
      log.warn(`${setting}: whether the server can be prepared is not known: ${look.reason}`);
      return false;
    }
    const options = { place, names, settings, isPrepared: look.role !== null };
    const fault = serverFault(look, options);
    if (fault !== undefined) throw refused(fault);
    const space = spaceFault(look, options);
    if (space !== undefined) log.warn(space);
    return true;
  });
  return pulumi.unsecret(seen);

  function refused(sentence: string): pulumi.ResourceError {
    return new pulumi.ResourceError(sentence, parent, true);
  }
}
