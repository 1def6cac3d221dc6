import {
  formatRecipient,
  generateIdentity,
  parseIdentity,
  publicKeyOf,
} from "../../../common/age/keys.ts";
import {
  encryptionClearEnv,
  encryptionSecretEnv,
} from "../../../common/contracts/agentEnvironment/encryption.ts";
import {
  signingClearEnv,
  signingSecretEnv,
} from "../../../common/contracts/agentEnvironment/signing.ts";
import { storeClearEnv, storeSecretEnv } from "../../../common/contracts/agentEnvironment/store.ts";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { Problem } from "../../../common/problem.ts";
import { runAgent } from "../../session/agentCall.ts";
import { forOneDatabase } from "../../session/databases.ts";
import type { Session } from "../../session/session.ts";
import type { StackChoice } from "../../stack/pulumi.ts";
import { signingKeys, writerKey } from "../../stack/stateSecrets.ts";
import { requireTerminal } from "../../terminal/confirm.ts";
import { formatStamp } from "../../terminal/format.ts";
import { describeProgress } from "../../terminal/progress.ts";
import { paint } from "../../terminal/render.ts";
import { type RestoreOptions, restore } from "../restore.ts";
import { requireOtherEnvironment, type Target } from "./cloneTarget.ts";
import { runSql } from "./localServer.ts";
import { chooseSource, type Source, type SourceOptions } from "./source.ts";
import { type Staged, withStaging } from "./staging.ts";

export interface CloneOptions
  extends SourceOptions,
    Pick<
      RestoreOptions,
      "globals" | "allowPrivilegedRoles" | "noOwner" | "role" | "serverLocale" | "dropAfter" | "yes"
    > {
  /** Stack of the environment that gets the data. */
  readonly into: string;
}

/** Folder below the prefix of the environment that gets the data: nothing in it is a backup of that environment. */
const FOLDER = "clones";

/**
 * Brings a backup of one environment into the database of another one. It is restored and masked here, in the memory of a server
 * without a network. What comes out of it is a backup of the masked database, which the other environment's agent restores by its
 * usual way: beside the live database, compared, and swapped.
 * @returns the exit code of that restore
 * @throws Problem; then the other environment's database is as before
 */
export async function clone(
  from: Session,
  opened: Target,
  time: string,
  options: CloneOptions,
): Promise<number> {
  const { screen } = from;
  requireOtherEnvironment(from, opened);
  const target = { ...opened, session: await forOneDatabase(opened.session) };
  if (options.yes !== true) requireTerminal(screen, "clone asks before it replaces a database");
  const source = await chooseSource(from, target.source, time, {
    ...options,
    staysHere: false,
  });
  const { entry, mask } = source;
  const { backup, container } = target.session;
  screen.line(
    `Clone of ${source.session.backup.database} of ${formatStamp(entry.stamp)} UTC into ${backup.database} on ${container.host}, stack ${options.into}`,
  );
  if (mask === undefined) {
    screen.warn(
      `${paint.uncertain("Without a mask")}: every row goes there as it is in production, by this machine's disk. --mask FILE masks it before.`,
    );
  }
  const identity = generateIdentity();
  const { takenAt } = await withStaging(source.staging, (staged) =>
    store(source, staged, target, identity, options.network),
  );
  return restoreClone(target, takenAt.replace("Z", ""), identity, options);
}

/** A backup of the masked database, signed as the other environment's own and encrypted for a key that only this run has. */
async function store(
  { session: { screen } }: Source,
  { server, superuser, database, startAgent }: Staged,
  { session: { backup }, stack }: Target,
  identity: string,
  network: string | undefined,
): Promise<Manifest> {
  if (database !== backup.database) {
    const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
    await runSql(
      { container: server, user: superuser, database: "postgres" },
      `ALTER DATABASE ${quoted(database)} RENAME TO ${quoted(backup.database)}`,
    );
  }
  const agent = await startAgent({
    agentImage: backup.image,
    env: await environmentOf(backup, stack, identity),
    network,
  });
  const { manifest } = await runAgent(agent, ["backup", "--accept"], "backup", {
    onProgress: (event) => screen.progress(describeProgress(event)),
    onStderrLine: (line) => screen.warn(line),
  });
  return manifest;
}

async function environmentOf(
  backup: Target["session"]["backup"],
  stack: StackChoice,
  identity: string,
): Promise<Record<string, string>> {
  const key = await writerKey(stack, backup);
  if (key === undefined) {
    throw new Problem("the other stack's state holds no key that may add to its bucket.");
  }
  const signing = await signingKeys(stack, backup.name, backup.container);
  const { endpoint, region, bucket, prefix } = backup.location;
  const { accessKeyId, secretAccessKey } = key;
  const store = {
    ...(endpoint !== undefined && { endpoint }),
    ...{ region, bucket, prefix: `${prefix}/${FOLDER}`, accessKeyId, secretAccessKey },
    allowInsecure: endpoint?.startsWith("http://") ?? false,
  };
  const signs = {
    ...(signing && { signingKeys: signing.keys.map(({ bytes }) => bytes.toString("base64url")) }),
    ...(signing?.since !== undefined && { signingSince: signing.since }),
  };
  const recipients = [formatRecipient(publicKeyOf(parseIdentity(identity)))];
  const encryption = { encryption: { recipients } };
  return {
    POSTGRES_DATABASE: backup.database,
    ...storeClearEnv(store),
    ...storeSecretEnv(store),
    ...signingClearEnv(signs),
    ...signingSecretEnv(signs),
    ...encryptionClearEnv(encryption),
    ...encryptionSecretEnv(encryption),
  };
}

function restoreClone(
  { session, stack }: Target,
  stamp: string,
  identity: string,
  options: CloneOptions,
): Promise<number> {
  const { prefix } = session.backup.location;
  const { into: _, mask: __, identity: ___, image: ____, network: _____, ...how } = options;
  return restore(
    {
      ...session,
      container: { ...session.container, env: { S3_PREFIX: `${prefix}/${FOLDER}` } },
    },
    stack,
    stamp,
    { ...how, ownIdentity: identity },
  );
}
