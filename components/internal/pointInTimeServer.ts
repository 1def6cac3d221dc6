import type * as pulumi from "@pulumi/pulumi";
import { Problem, problemWithoutStack } from "../../common/problem.ts";
import { runScript, type SshTarget, sameAccess } from "../pulumi/hostScript.ts";
import { watched } from "../pulumi/watchedResource.ts";
import { lastWords, quoted, type ServerLogin } from "../server/serverAccess.ts";
import { clearServer, prepareServer, tryLogin } from "../server/serverChange.ts";
import { type ServerNames, serverFault } from "../server/serverFaults.ts";
import { isSeen, lookAtServer, type ServerLook } from "../server/serverLook.ts";
import { differencesOf, type ServerState, stateOf } from "../server/serverState.ts";

/** Inputs of the resource: how the server is reached, and what is declared of it. */
export interface PointInTimeServerInputs extends ServerState {
  /** Container of the server. */
  readonly container: string;
  /** Container of the agent, which makes the slot. */
  readonly agent: string;
  readonly target: SshTarget;
  /** Secret. */
  readonly login: ServerLogin;
  /** Password of the role. Secret. */
  readonly password: string;
  readonly names: ServerNames;
}

/** An agent that has only just been started has its slot still to make. */
const SETTLING_MS = 120_000;

const { create, read, diff, update, remove } = watched<PointInTimeServerInputs>({
  idOf: ({ target, container }) => `${target.host}/${container}`,

  async observe(inputs) {
    const look = await lookAtServer(inputs);
    // A server that is stopped, or away, comes back with its data: what it has is not known until then.
    if (!isSeen(look)) return unseen(look.reason);
    return stateOf(look, inputs, inputs.password, await isSettling(inputs));
  },

  unseen,

  async apply(inputs, before) {
    const { container, target, settings, password } = inputs;
    const place = `${container} on ${target.host}`;
    const look = await seen(inputs);
    const isPrepared = before !== undefined;
    const fault = faultOf(look, inputs, isPrepared);
    if (fault !== undefined) throw problemWithoutStack(fault);
    const changed = await prepareServer(inputs, look, { settings, password });
    if (changed.code !== 0) {
      throw failed(`the server in ${place} could not be prepared`, lastWords(changed));
    }
    const left = differencesOf(inputs, stateOf(await seen(inputs), inputs, password, true));
    if (left.length > 0) {
      throw failed(
        `the server in ${place} was prepared, but ${left.join("; ")}`,
        `what stands on the server's command line, or in another line of pg_hba.conf for the role, goes before what is set here`,
      );
    }
    const entered = await tryLogin(inputs, password);
    if (entered.code !== 0) {
      throw failed(
        `the server in ${place} was prepared, but does not let the role in over its network`,
        lastWords(entered),
      );
    }
  },

  diff(olds, news) {
    const moved = olds.container !== news.container || olds.target.host !== news.target.host;
    const settings = (of: PointInTimeServerInputs) =>
      JSON.stringify(Object.entries(of.settings).sort());
    return {
      changes:
        moved ||
        (["role", "line", "slot", "password", "agent"] as const).some(
          (field) => olds[field] !== news[field],
        ) ||
        settings(olds) !== settings(news) ||
        JSON.stringify(olds.login) !== JSON.stringify(news.login) ||
        !sameAccess(olds.target, news.target),
      replaces: moved ? ["container", "target"] : [],
      // Both would be one server's if the container alone has another name.
      deleteBeforeReplace: true,
    };
  },

  async remove(inputs) {
    const { container, target } = inputs;
    const look = await lookAtServer(inputs);
    if (!isSeen(look)) {
      if (look.for === "gone") return;
      throw failed(
        `what point-in-time recovery has made in the server could not be taken away`,
        `${look.reason}. Without that the server holds WAL up to its bound. Start ${container} on ${target.host} and run it again`,
      );
    }
    const cleared = await clearServer(inputs, look);
    if (cleared.code === 0) return;
    throw failed(
      `what point-in-time recovery has made in the server in ${container} on ${target.host} could not be taken away`,
      lastWords(cleared),
    );
  },
});

export { create, diff, read, remove as delete, update };

/**
 * Refuses a server whose WAL cannot be archived, in the preview already. One that does not answer now may do so later, and one that
 * is prepared as declared is not asked again.
 */
export async function check(
  olds: Partial<PointInTimeServerInputs> | undefined,
  news: PointInTimeServerInputs,
): Promise<pulumi.dynamic.CheckResult> {
  const isPrepared = olds?.container === news.container;
  // In a preview what another resource makes is not known yet, and stands there as a text.
  const isKnown = [news.target, news.login].every((part) => typeof part === "object");
  if (!isKnown) return { inputs: news };
  if (isPrepared && JSON.stringify(olds?.settings) === JSON.stringify(news.settings)) {
    return { inputs: news };
  }
  const look = await lookAtServer(news).catch((error: unknown) => {
    if (error instanceof Problem) return undefined;
    throw error;
  });
  const reason =
    look === undefined
      ? undefined
      : isSeen(look)
        ? faultOf(look, news, isPrepared)
        : look.for === "ever"
          ? `${news.names.pointInTime}: ${look.reason}. Take ${news.names.pointInTime} out.`
          : undefined;
  return {
    inputs: news,
    ...(reason !== undefined && { failures: [{ property: "", reason }] }),
  };
}

function faultOf(
  look: ServerLook,
  { container, target, names, settings }: PointInTimeServerInputs,
  isPrepared: boolean,
): string | undefined {
  return serverFault(look, {
    place: `${container} on ${target.host}`,
    names,
    settings,
    isPrepared,
  });
}

async function seen(inputs: PointInTimeServerInputs): Promise<ServerLook> {
  const look = await lookAtServer(inputs);
  if (isSeen(look)) return look;
  throw problemWithoutStack(
    `${inputs.names.pointInTime}: ${look.reason}. Start it, or take ${inputs.names.pointInTime} out.`,
  );
}

function unseen(reason: string): Partial<PointInTimeServerInputs> {
  return { role: `not seen: ${reason}` };
}

function failed(what: string, why: string): Problem {
  return problemWithoutStack(`${what}: ${why}.`);
}

/** By the host's clock alone. */
async function isSettling({ target, agent }: PointInTimeServerInputs): Promise<boolean> {
  const script = `date +%s; docker container inspect -f '{{.State.Status}} {{.State.StartedAt}}' ${quoted(agent)} 2> /dev/null || true`;
  const { stdout } = await runScript(target, script);
  const [now = "", state = ""] = stdout.split("\n");
  const [status, startedAt = ""] = state.split(" ");
  return status === "running" && Number(now) * 1000 - Date.parse(startedAt) < SETTLING_MS;
}
