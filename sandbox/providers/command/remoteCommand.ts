import { randomBytes } from "node:crypto";
import type { remote } from "@pulumi/command";
import type { UnwrappedObject } from "@pulumi/pulumi";
import { CheckFailure, type Context, type Resource } from "../resource.ts";
import { run } from "../run.ts";
import { isObject, type Props } from "../values.ts";
import { type Dialled, dial } from "./dial.ts";

type Inputs = UnwrappedObject<remote.CommandArgs>;

const UNSUPPORTED = ["password", "privateKeyPassword"];
/** What the real provider fills in, so that a state reads the same whoever wrote it. */
const DEFAULTS: Props = { user: "root", port: 22, dialErrorLimit: 10, perDialTimeout: 15 };

export const remoteCommand: Resource<Inputs> = {
  type: "command:remote:Command",
  computed: ["stdout", "stderr"],
  volatile: ["stdout", "stderr"],
  replacedBy: ["triggers"],
  secrets: ["connection"],

  check(news) {
    const connection = news["connection"];
    for (const hop of isObject(connection) ? [connection, connection["proxy"]] : []) {
      const wrong = isObject(hop) && UNSUPPORTED.find((key) => hop[key] !== undefined);
      if (wrong) {
        throw new CheckFailure(
          "connection",
          `the stand-in for the command provider does not take ${wrong}; give privateKey or agentSocketPath`,
        );
      }
    }
    if (!isObject(connection)) return news;
    const { proxy } = connection;
    return {
      ...news,
      connection: {
        ...DEFAULTS,
        ...connection,
        ...(isObject(proxy) && { proxy: { ...DEFAULTS, ...proxy } }),
      },
    };
  },

  async create(inputs, context) {
    const id = context.name + randomBytes(4).toString("hex");
    if (inputs.create === undefined) return { id, outputs: { stdout: "", stderr: "" } };
    return { id, outputs: await execute(inputs, inputs.create, {}, context) };
  },

  async update(_id, news, olds, context) {
    const { stdout = "", stderr = "" } = olds;
    const command = news.update ?? news.create;
    if (command === undefined) return { stdout, stderr };
    return execute(news, command, { stdout, stderr }, context);
  },

  async delete(_id, state, context) {
    const inputs = state as unknown as Inputs;
    const { stdout = "", stderr = "" } = state;
    if (inputs.delete !== undefined)
      await execute(inputs, inputs.delete, { stdout, stderr }, context);
  },
};

/** Runs one command on the host of the connection. */
async function execute(
  inputs: Inputs,
  command: string,
  previous: Props,
  context: Context,
): Promise<Props> {
  const environment = inputs.environment ?? {};
  const earlier = inputs.addPreviousOutputInEnv === false ? {} : earlierOutput(previous);
  const env = { ...environment, ...earlier };
  const session = await dial(inputs.connection, Object.keys(env), context.log);
  try {
    await refuseUnset(session, env, Object.keys(environment), context);
    const shown = inputs.logging ?? "stdoutAndStderr";
    const done = await run("ssh", [...session.args, command], {
      env,
      input: inputs.stdin ?? "",
      onLine: (stream, line) => {
        if (shown === stream || shown === "stdoutAndStderr") context.log("status", line);
      },
    });
    if (done.status !== 0) {
      const how =
        done.status === null ? `was ended by ${done.signal}` : `exited with status ${done.status}`;
      throw new Error(`Process ${how}: running ${JSON.stringify(command)}:\n${done.output}`);
    }
    return { stdout: done.stdout.replace(/\n$/, ""), stderr: done.stderr.replace(/\n$/, "") };
  } finally {
    await session.close();
  }
}

function earlierOutput({ stdout, stderr }: Props): Record<string, string> {
  return {
    ...(stdout && { PULUMI_COMMAND_STDOUT: String(stdout) }),
    ...(stderr && { PULUMI_COMMAND_STDERR: String(stderr) }),
  };
}

/**
 * OpenSSH does not say when the server refuses a variable (`AcceptEnv`), so the other side is asked which of them arrived.
 * A refused setting fails, as with the real provider; the previous output is only a courtesy and gets a warning.
 */
async function refuseUnset(
  session: Dialled,
  env: Record<string, string>,
  required: readonly string[],
  context: Context,
): Promise<void> {
  const names = Object.keys(env);
  if (names.length === 0) return;
  const question = names.map((name) => `[ "\${${name}+set}" ] || echo ${name}`).join("; ");
  const { stdout } = await run("ssh", [...session.args, `${question}; true`], { env });
  for (const name of stdout.split("\n").filter(Boolean)) {
    const fatal = required.includes(name);
    context.log(
      fatal ? "error" : "warning",
      `Unable to set '${name}'. The SSH server has to accept this variable (AcceptEnv).`,
    );
    if (fatal) throw new Error(`could not set environment variable "${name}": ssh: setenv failed`);
  }
}
