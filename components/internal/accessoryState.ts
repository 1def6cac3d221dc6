import { createHash } from "node:crypto";
import { problemWithoutStack } from "../../common/problem.ts";
import { bootCommand } from "../../kamal/bootScript.ts";
import { watched } from "../pulumi/watchedResource.ts";
import { runScript, type SshTarget } from "./hostScript.ts";

/** What can be seen of the container on its host, and equally what is declared of it. */
export interface Observed {
  /** `running`, `exited (137)`, `restarting` ... */
  readonly status: string;
  /** Reference the container was made from. */
  readonly image: string;
  /** Our digest label. */
  readonly digest: string;
  /** SHA-256 of the env file; it holds a random 40-character key, so the hash tells nothing about the rest. */
  readonly envDigest: string;
}

/** Inputs of the resource; `status` is what is declared, always `running`. */
export interface AccessoryStateInputs extends Observed {
  readonly container: string;
  readonly envFile: string;
  readonly target: SshTarget;
  /** Input of the boot script, for putting the declared container back. Secret. */
  readonly bootInput: string;
}

const OBSERVED = ["status", "image", "digest", "envDigest"] as const;

const { check, create, read, diff, update, remove } = watched<AccessoryStateInputs>({
  idOf: ({ target, container }) => `${target.host}/${container}`,
  // An unreachable host throws, because then nothing is known.
  observe,
  apply: bootUnlessDeclared,

  diff(olds, news) {
    const moved = olds.container !== news.container || olds.target.host !== news.target.host;
    const changed = OBSERVED.some((field) => olds[field] !== news[field]);
    return {
      changes: moved || changed || JSON.stringify(olds.target) !== JSON.stringify(news.target),
      replaces: moved ? ["container", "target"] : [],
    };
  },

  /** The command that booted the container removes it; this resource only watches. */
  async remove() {},
});

export { check, create, diff, read, remove as delete, update };

/** Puts the declared container back if something else is there. */
async function bootUnlessDeclared(inputs: AccessoryStateInputs): Promise<void> {
  if (differences(inputs, await observe(inputs)).length === 0) return;
  const boot = await runScript(inputs.target, bootCommand, inputs.bootInput);
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

function differences(declared: AccessoryStateInputs, found: Observed | undefined): string[] {
  if (found === undefined) return ["the container is gone"];
  return OBSERVED.filter((field) => declared[field] !== found[field]).map(
    (field) => `${field} is ${found[field]} instead of ${declared[field]}`,
  );
}

async function observe(props: AccessoryStateInputs): Promise<Observed | undefined> {
  const format =
    '{{.State.Status}}{{"\\t"}}{{.State.ExitCode}}{{"\\t"}}{{.Config.Image}}{{"\\t"}}{{index .Config.Labels "kamal-postgres-backup.digest"}}';
  const script = `docker container inspect -f '${format}' '${props.container}' 2>&1 || exit 3; sha256sum "$HOME/${props.envFile}" 2> /dev/null || true`;
  const result = await runScript(props.target, script);
  if (result.code === 3 && /no such container/i.test(result.stdout)) return undefined;
  if (result.code !== 0) {
    throw problemWithoutStack(
      `docker on ${props.target.host} does not answer: ${result.stdout.trim() || result.stderr.trim()}`,
    );
  }
  const [line = "", sum = ""] = result.stdout.split("\n");
  const [status = "", exitCode = "", image = "", digest = ""] = line.split("\t");
  return {
    status: status === "exited" ? `exited (${exitCode})` : status,
    image,
    digest,
    envDigest: sum.split(" ", 1)[0] || "absent",
  };
}

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
