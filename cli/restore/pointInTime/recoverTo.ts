import {
  encryptionClearEnv,
  encryptionSecretEnv,
} from "../../../common/contracts/agentEnvironment/encryption.ts";
import { type RecoveryPlan, targetTime } from "../../../common/contracts/pointInTime.ts";
import { formatBytes } from "../../../common/format.ts";
import { Problem } from "../../../common/problem.ts";
import { momentText, notReachable } from "../../../storage/pointInTime/refusal.ts";
import { type Reach, readReach } from "../../backups/reach.ts";
import { readerEnvironment } from "../../backups/readerEnvironment.ts";
import { type Container, ContainerDown, runAgent } from "../../session/agentCall.ts";
import { inspectContainer } from "../../session/container.ts";
import { type IdentityInput, readIdentity } from "../../session/identity.ts";
import type { Session } from "../../session/session.ts";
import type { StackChoice } from "../../stack/pulumi.ts";
import { signingKeys } from "../../stack/stateSecrets.ts";
import { plural } from "../../terminal/format.ts";
import { describeProgress } from "../../terminal/progress.ts";
import { findServer, requireRoom, type ServerModel } from "./databaseServer.ts";
import { parseMoment } from "./moment.ts";
import { type Replayed, replay } from "./replay.ts";
import {
  FOLDER,
  type Parts,
  prepareData,
  removeServer,
  type SidePlan,
  startServer,
  withSideInstance,
} from "./sideInstance.ts";

export interface RecoverOptions {
  /** The moment as it was typed. */
  readonly to: string;
  /** File with the private key, as `age-keygen` writes it. */
  readonly identity?: string;
  /** Image of the server, where its container is not on the host. @default that of its container */
  readonly image?: string;
}

/** A recovery that was checked and not begun yet. */
export interface Prepared {
  readonly session: Session;
  /** ISO 8601 in UTC, or `latest`. */
  readonly moment: string;
  readonly plan: RecoveryPlan;
  readonly server: ServerModel;
  readonly identity: IdentityInput;
  /** About what it takes, and what is free. Bytes */
  readonly room: { readonly needed: number; readonly free: number };
  /** Variables of the agent beside, over those of the one that is there. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Finds out whether a moment can be recovered on the host: its base backup and all WAL are in the bucket, the server's image is
 * known, and the disk has room. Makes nothing.
 * @param comesBack the database is also brought into the live server
 * @throws Problem with what can be recovered, or what is missing
 */
export async function prepare(
  session: Session,
  stack: StackChoice,
  { to, identity: file, image }: RecoverOptions,
  comesBack: boolean,
): Promise<Prepared> {
  const { container, screen } = session;
  const moment = parseMoment(to);
  const identity = await readIdentity(file);
  const reach = await readReach(session, stack, moment);
  const { plan } = reach.found;
  if (plan === null) throw notReachable(moment, reach.found);
  const isDown = !(await inspectContainer(container)).running;
  if (comesBack && isDown) {
    throw new ContainerDown(
      `the container ${container.name} on ${container.host} does not run, and what is recovered comes back through it. Run ${container.up} to start it; or recover to a data volume: --volume.`,
    );
  }
  const server = await findServer(container, image);
  screen.waiting(`measuring the free space on ${container.host}`);
  const room = await requireRoom(container, server, plan, comesBack);
  const env = await environmentOf(session, stack, reach, plan);
  return { session, moment, plan, server, identity, room, env };
}

/** Nothing, where the agent itself may read the bucket; else the reader's key, and of a container that is gone everything. */
async function environmentOf(
  { backup }: Session,
  stack: StackChoice,
  { instead }: Reach,
  { chain }: RecoveryPlan,
): Promise<Record<string, string>> {
  if (instead === undefined) return {};
  const signing = await signingKeys(stack, backup.name, backup.container);
  const read = readerEnvironment(backup, instead.key, signing);
  if (!(instead.agentFailure instanceof ContainerDown)) return read;
  const passphrase = process.env["PASSPHRASE"] ?? "";
  const encryption =
    chain.recipients.length > 0
      ? { encryption: { recipients: chain.recipients } }
      : passphrase === ""
        ? {}
        : { encryption: { passphrase } };
  return {
    // It reaches no server; the settings want one.
    ...{ POSTGRES_HOST: FOLDER, POSTGRES_USER: "postgres", POSTGRES_PASSWORD: "-" },
    POSTGRES_DATABASE: backup.database || "postgres",
    ...read,
    ...encryptionClearEnv(encryption),
    ...encryptionSecretEnv(encryption),
  };
}

/** What is going to happen, as the beginning of a plan. @param what is recovered: `shop` */
export function describeRecovery(
  { moment, plan, room, session }: Prepared,
  what: string,
): string[] {
  const to = moment === "latest" ? "the newest stored moment" : `${momentText(moment)} UTC`;
  const base = plan.bases.at(-1)?.stamp.replace("T", " ");
  return [
    `Recover ${what} on ${session.container.host} to ${to}`,
    `From the base backup of ${base} UTC and ${plural(plan.segments, "segment")} of WAL, in a server of its own beside the live one: about ${formatBytes(room.needed)} of ${formatBytes(room.free)} that are free.`,
  ];
}

/** A server that has recovered, for as long as it is used. */
export interface Recovered extends Replayed {
  readonly agent: Container;
  readonly parts: Parts;
  readonly elapsedMs: number;
}

/**
 * Recovers in a server of its own beside the live one, which is taken away again.
 * @param keep as of `SidePlan`
 * @param use how it ends is how this ends
 * @throws Problem; the live server is as it was, but for what `use` does
 */
export async function recoverTo<T>(
  prepared: Prepared,
  keep: SidePlan["keep"],
  use: (recovered: Recovered) => Promise<T>,
): Promise<T> {
  const { session, moment, plan, server, identity, env } = prepared;
  const { backup, container, screen } = session;
  const started = performance.now();
  const side: SidePlan = {
    session,
    service: backup.container.slice(0, -backup.accessory.length - 1),
    server,
    agentImage: backup.image,
    env,
    keep,
  };
  return withSideInstance(side, async (agent, parts) => {
    await runAgent(agent, ["fetch", moment, "--folder", FOLDER, ...identity.args], "fetched", {
      ...identity.call,
      onProgress: (event) => screen.progress(describeProgress(event)),
      onStderrLine: (line) => screen.warn(line),
    });
    screen.waiting("comparing the base backup with its list of files");
    await prepareData(container, server, parts, plan);
    const target = moment === "latest" ? undefined : targetTime(moment);
    await startServer(side, parts, target);
    let replayed = await replay(container, screen, server, parts, plan);
    if (replayed === undefined) {
      // Nothing was committed after the moment. Where it is known that nothing is missing either, the end is what was asked for.
      if (!plan.isProven) throw endsBefore(moment, plan);
      await removeServer(container, parts);
      await startServer(side, parts, undefined);
      replayed = await replay(container, screen, server, parts, plan);
    }
    const elapsedMs = Math.round(performance.now() - started);
    return use({ ...(replayed as Replayed), agent, parts, elapsedMs });
  });
}

function endsBefore(moment: string, { endLsn }: RecoveryPlan): Problem {
  return new Problem(
    `${momentText(moment)} UTC cannot be recovered: the stored WAL ends at ${endLsn}, and no commit in it is as late. Nothing shows whether there were others. What it holds comes with --to latest.`,
  );
}
