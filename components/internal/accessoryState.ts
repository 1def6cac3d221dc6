import { createHash } from "node:crypto";
import { stripVTControlCharacters } from "node:util";
import { parseEvent } from "../../common/contracts/agentEvents.ts";
import { totalRows } from "../../common/contracts/manifest.ts";
import { messageOf, Problem, problemWithoutStack } from "../../common/problem.ts";
import { runProgram } from "../../common/process.ts";
import { DIGEST_LABEL } from "../../kamal/accessory.ts";
import {
  asideScript,
  bootCommand,
  idleScript,
  probeScript,
  putBackScript,
  removeReplacedScript,
  replaceCommand,
} from "../../kamal/bootScript.ts";
import { RUN_KAMAL } from "../../kamal/kamalCommand.ts";
import {
  type ContainerConfig,
  differingSettings,
  foundSettings,
  type Inspected,
  isOfThisPackage,
  type RunSettings,
} from "../../kamal/runningContainer.ts";
import { runScript, type SshTarget, sameAccess } from "../pulumi/hostScript.ts";
import { type WithOutcome, watched } from "../pulumi/watchedResource.ts";

/** What can be seen of the container on its host, and equally what is declared of it. */
export interface Observed {
  /** `running`, `exited (137)`, `restarting` ..., or `not seen: ` and why. */
  readonly status: string;
  /** Reference the container was made from. */
  readonly image: string;
  /** Our digest label. */
  readonly digest: string;
  /** SHA-256 of the env file; it holds a random 40-character key, so the hash tells nothing about the rest. */
  readonly envDigest: string;
  /** What the container was started with. Absent in states written before 0.2, whose declaration did not have it. */
  readonly settings?: RunSettings;
}

/** How Kamal boots the container, where the boot script does not. */
export interface KamalBoot {
  /** Folder of the application, from the program's. */
  readonly folder: string;
  /** Words behind `kamal accessory boot`, or `reboot`. */
  readonly words: readonly string[];
  /** Seconds for which a refused access key is tried again. */
  readonly patience: number;
}

/** Inputs of the resource; `status` is what is declared, always `running`. */
export interface AccessoryStateInputs extends Observed {
  readonly container: string;
  readonly envFile: string;
  /** Names of the secrets in the container. Absent where `settings` is. */
  readonly secretNames?: readonly string[];
  readonly target: SshTarget;
  /** Input of the boot script, for putting the declared container back. Secret. */
  readonly bootInput: string;
  /** Container of another image that goes once this one is fit. @default none */
  readonly replaces?: string;
  /** Who boots it: Kamal, from here, or somebody who runs Kamal later. @default the boot script */
  readonly kamal?: KamalBoot | "later";
  /**
   * What Kamal itself calls an accessory of this key for whichever destination, up to 2.11. Absent: the container's own name, as
   * without a destination.
   */
  readonly plainContainer?: string;
  /** Command that removes the container with the resource. Absent: the command resource beside it does. */
  readonly removal?: string;
  /**
   * A new container backs up at once, and reads that back, where the bucket has no backup. Absent: it waits for its schedule. A change
   * of it is none.
   */
  readonly firstBackup?: true;
}

/** A backup that was made of one database. */
export interface StoredBackup {
  readonly database: string;
  readonly bytes: number;
  readonly tables: number;
  readonly rows: number;
  /** Its key in the bucket. */
  readonly key: string;
}

/** What the first backup came to. The next `pulumi up` tries again what has failed. */
export interface FirstBackupOutcome {
  /** When it ended, by the clock of whoever ran `pulumi up`. */
  readonly at: string;
  readonly seconds: number;
  readonly stored: readonly StoredBackup[];
  /** Why it failed, a sentence. */
  readonly failure?: string;
}

const OBSERVED = ["status", "image", "digest", "envDigest"] as const;

/** A boot may wait for another one, then for a backup that runs, and stop, pull and try the container after that. */
const BOOT_MINUTES = 15;
/** The agent ends a run that takes longer than it may. No timer of Node lasts longer than this: 2^31 milliseconds. */
const FIRST_BACKUP_MINUTES = 596 * 60;

const { check, create, read, diff, update, remove } = watched<AccessoryStateInputs>({
  idOf: ({ target, container }) => `${target.host}/${container}`,
  // An unreachable host throws, because then nothing is known.
  observe,
  unseen: (reason) => ({ status: `not seen: ${reason}` }),
  async apply(inputs, before) {
    await bootInPlace(inputs, before);
    if (before === undefined || isPending(before)) return firstBackup(inputs);
  },

  diff(olds, news) {
    const moved = olds.container !== news.container || olds.target.host !== news.target.host;
    const changed = OBSERVED.some((field) => olds[field] !== news[field]);
    const configured = differingSettings(news.settings ?? {}, olds.settings ?? {}).length > 0;
    return {
      changes:
        moved ||
        changed ||
        configured ||
        // The boot script leaves a container alone whose label is right; what it really has is compared here.
        olds.bootInput !== news.bootInput ||
        olds.replaces !== news.replaces ||
        (news.firstBackup !== undefined && isPending(olds)) ||
        !sameAccess(olds.target, news.target),
      replaces: moved ? ["container", "target"] : [],
    };
  },

  async remove({ target, removal, container }) {
    if (removal === undefined) return;
    const { code, stderr } = await runScript(target, removal);
    if (code === 0) return;
    throw problemWithoutStack(
      `${container} on ${target.host} could not be removed: ${stderr.trim()}`,
    );
  },
});

export { check, create, diff, read, remove as delete, update };

/** Whether the first backup has failed so far. */
function isPending({ outcome }: WithOutcome): boolean {
  return (outcome as FirstBackupOutcome | undefined)?.failure !== undefined;
}

/**
 * Has the new container back up what has no backup yet. Its failure is no failure of the boot: the container is there, and goes with
 * the resource.
 * @returns undefined where each database has a backup already
 */
async function firstBackup({
  firstBackup: wanted,
  kamal,
  container,
  target,
}: AccessoryStateInputs): Promise<FirstBackupOutcome | undefined> {
  if (wanted === undefined || kamal === "later") return undefined;
  const began = Date.now();
  const stored: StoredBackup[] = [];
  let failure: string | undefined;
  try {
    const script = `docker exec '${container}' agent backup --first --verify --json`;
    const run = await runScript(target, script, "", FIRST_BACKUP_MINUTES);
    let last = run.stderr.trim().split("\n").at(-1) ?? "";
    for (const line of run.stdout.split("\n")) {
      const event = parseEvent(line);
      if (event?.event === "error") last = event.message;
      if (event?.event !== "backup" || event.manifest.suspect !== null) continue;
      const { database, object, tables } = event.manifest;
      const rows = totalRows(event.manifest);
      stored.push({
        database,
        bytes: object.bytes,
        tables: tables.length,
        rows,
        key: object.key,
      });
    }
    if (run.code !== 0) failure = last || `exit code ${run.code}`;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    failure = messageOf(error);
  }
  if (failure === undefined && stored.length === 0) return undefined;
  const seconds = Math.round((Date.now() - began) / 1000);
  const at = new Date().toISOString();
  return { at, seconds, stored, ...(failure !== undefined && { failure }) };
}

/**
 * Boots the container, and only then removes the one that it replaces: a backup that runs in the meantime is one more, and where
 * the new container is not fit, the old one goes on as it was.
 */
async function bootInPlace(
  inputs: AccessoryStateInputs,
  before: AccessoryStateInputs | undefined,
): Promise<void> {
  const { replaces, container, target } = inputs;
  if (replaces === undefined) return bootUnlessDeclared(inputs, before);
  const run = async (script: string) => {
    const { code, stderr } = await runScript(target, script);
    if (code !== 0)
      throw problemWithoutStack(`${target.host}: ${stderr.trim()}. It was left as it is.`);
  };
  await run(asideScript(container, replaces));
  try {
    await bootUnlessDeclared(inputs, before);
  } catch (error) {
    if (container === replaces) await run(putBackScript(container));
    throw error;
  }
  await run(removeReplacedScript(container, replaces));
}

/** Puts the declared container back if something else is there. */
async function bootUnlessDeclared(
  inputs: AccessoryStateInputs,
  before: AccessoryStateInputs | undefined,
): Promise<void> {
  if (inputs.kamal === "later") return;
  const found = await observe(inputs);
  if (differences(inputs, found).length === 0) return;
  if (before === undefined && found === undefined) await refuseOther(inputs);
  if (inputs.kamal !== undefined) return bootByKamal(inputs, inputs.kamal, found);
  // A label that says so proves nothing: Kamal boots an edited block with our label, too.
  const command = found === undefined ? bootCommand : replaceCommand;
  const boot = await runScript(inputs.target, command, inputs.bootInput, BOOT_MINUTES);
  if (boot.code !== 0) {
    throw problemWithoutStack(
      `${inputs.container} on ${inputs.target.host} could not be started: ${boot.stderr.trim()}`,
    );
  }
  const left = differences(inputs, await observe(inputs));
  if (left.length > 0) {
    throw problemWithoutStack(
      `${inputs.container} on ${inputs.target.host} was started, but ${left.join("; ")}. Look at its logs: kamal accessory logs.`,
    );
  }
}

/** An accessory that somebody wrote earlier may run under Kamal's own name, and go on beside the new one. */
async function refuseOther({
  target,
  plainContainer,
  container,
  replaces,
  image: declared,
}: AccessoryStateInputs): Promise<void> {
  if (plainContainer === undefined || plainContainer === replaces) return;
  const format = `{{.State.Status}}\\t{{.State.StartedAt}}\\t{{.Config.Image}}\\t{{index .Config.Labels "${DIGEST_LABEL}"}}`;
  const { stdout } = await runScript(
    target,
    `docker container inspect -f '${format}' '${plainContainer}' || true`,
  );
  const [status = "", startedAt, image = "", digest = ""] = stdout.trim().split("\t");
  if (status !== "running" || isOfThisPackage({ digest, image }, declared)) return;
  throw problemWithoutStack(
    `a container ${plainContainer} runs on ${target.host} that kamal-postgres-backup did not make: image ${image}, started ${startedAt}. Kamal called an accessory of this key so in every destination, and it would go on beside ${container}. Remove it on that host (docker rm -f ${plainContainer}) and run pulumi up again. To keep both, give the backup's accessory another key: kamal.accessory in a program, kamal-postgres-backup:accessory in a stack.`,
  );
}

/** The last work of Kamal for each application, which has one deploy lock. */
const runs = new Map<string, Promise<unknown>>();

/**
 * Has Kamal boot the container, and looks at what it has done: it ends with 0 when it has skipped a container that was there,
 * when the new one ended at once, and when it does not know the accessory (2.11, lib/kamal/cli/accessory.rb).
 * @throws Problem when Kamal fails, or the container is not as declared, or not fit to back up
 */
async function bootByKamal(
  inputs: AccessoryStateInputs,
  { folder, words, patience }: KamalBoot,
  found: Observed | undefined,
): Promise<void> {
  const { container, target } = inputs;
  if (found !== undefined && !isOfThisPackage(found, inputs.image)) {
    throw problemWithoutStack(
      `a container ${container} is on ${target.host} that kamal-postgres-backup did not make: image ${found.image}, ${found.status}. It was left as it is. To take its name over, remove it on this host (docker rm -f ${container}) and run pulumi up again.`,
    );
  }
  if (found !== undefined) await runScript(target, idleScript(container));
  const command = ["accessory", found === undefined ? "boot" : "reboot", ...words];
  const last = runs.get(folder) ?? Promise.resolve();
  const run = last.then(() => runKamal(folder, command));
  runs.set(
    folder,
    run.catch(() => {}),
  );
  const { code, lines } = await run;
  const after = await observe(inputs);
  const left = differences(inputs, after);
  if (code === 0 && left.length === 0) {
    const probe = await runScript(target, probeScript(container, patience));
    if (probe.code === 0) return;
    left.push(`it is not fit to back up: ${probe.stderr.trim()}`);
  }
  const what = `kamal ${command.join(" ")} in ${folder}`;
  const ended = code === 0 ? "ended without an error" : `failed with exit code ${code}`;
  const state = left.length === 0 ? "it is as declared all the same" : left.join("; ");
  throw problemWithoutStack(
    `${what} ${ended}, and of ${container} on ${target.host}: ${state}. The last words of Kamal: ${lines.slice(-KAMAL_LINES).join(" ")}`,
  );
}

const KAMAL_LINES = 3;

/** @returns the lines that it printed, without colours; its errors stand among them */
async function runKamal(
  folder: string,
  words: readonly string[],
): Promise<{ readonly code: number; readonly lines: readonly string[] }> {
  const lines: string[] = [];
  const { code, stderr } = await runProgram(
    "sh",
    ["-c", `${RUN_KAMAL}run_kamal "$@"`, "kamal", ...words],
    {
      cwd: folder,
      missing: `the application's folder ${folder} is not here.`,
      interrupted: "interrupted. Kamal may have replaced the container; run pulumi up again.",
      limit: {
        milliseconds: BOOT_MINUTES * 60_000,
        exceeded: `kamal ${words.join(" ")} took longer than ${BOOT_MINUTES} minutes and was ended. Run it in ${folder} to see where it waits.`,
      },
      onLine: (line) => {
        const text = stripVTControlCharacters(line).trim();
        if (text !== "" && !text.startsWith("INFO ")) lines.push(text);
      },
    },
  );
  const errors = stripVTControlCharacters(stderr)
    .split("\n")
    .filter((line) => line.trim() !== "");
  return { code, lines: [...lines, ...errors] };
}

function differences(declared: AccessoryStateInputs, found: Observed | undefined): string[] {
  if (found === undefined) return ["the container is gone"];
  const fields = OBSERVED.filter((field) => declared[field] !== found[field]).map((field) => ({
    name: field,
    declared: declared[field],
    found: found[field],
  }));
  return [...fields, ...differingSettings(declared.settings ?? {}, found.settings ?? {})].map(
    (each) => `${each.name} is ${each.found} instead of ${each.declared}`,
  );
}

async function observe(props: AccessoryStateInputs): Promise<Observed | undefined> {
  const script = `docker container inspect -f '{{json .}}' '${props.container}' || exit 3
docker image inspect -f '{{json .Config}}' "$(docker container inspect -f '{{.Image}}' '${props.container}')" 2> /dev/null || echo null
sha256sum "$HOME/${props.envFile}" 2> /dev/null || true`;
  const result = await runScript(props.target, script);
  if (result.code === 3 && /no such container/i.test(result.stderr)) return undefined;
  // What the container has in clear and as secrets is in the output, so that none of it may be shown.
  if (result.code !== 0) {
    throw problemWithoutStack(
      `docker on ${props.target.host} does not answer: ${result.stderr.trim()}`,
    );
  }
  const [container = "", image = "", sum = ""] = result.stdout.split("\n").filter(Boolean);
  return observed(
    props,
    JSON.parse(container) as InspectedContainer,
    (JSON.parse(image) as ContainerConfig | null) ?? undefined,
    sum.split(" ", 1)[0] || "absent",
  );
}

interface InspectedContainer extends Inspected {
  readonly State: { readonly Status: string; readonly ExitCode: number };
  readonly Config: ContainerConfig & { readonly Image: string };
}

function observed(
  { settings, secretNames = [] }: AccessoryStateInputs,
  container: InspectedContainer,
  image: ContainerConfig | undefined,
  envDigest: string,
): Observed {
  const { State, Config } = container;
  return {
    status: State.Status === "exited" ? `exited (${State.ExitCode})` : State.Status,
    image: Config.Image,
    digest: Config.Labels?.[DIGEST_LABEL] ?? "",
    envDigest,
    ...(settings && { settings: foundSettings(container, image, settings, secretNames) }),
  };
}

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
