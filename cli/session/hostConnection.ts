import type { Writable } from "node:stream";
import { Problem } from "../../common/problem.ts";
import type { Lifeline, Outcome } from "../../common/process.ts";
import { runOnHost } from "../../common/ssh/client.ts";
import { KeysRefused } from "../../common/ssh/errors.ts";
import type { Hop, Route } from "../../common/ssh/route.ts";
import type { SshKeys } from "../stack/stateSecrets.ts";

/**
 * Where private keys are looked for once the reader's own keys were refused.
 * @returns the keys, or why there is none, in a sentence
 * @throws Problem when they could not be looked for
 */
export type KeySource = () => Promise<{ keys: SshKeys } | { none: string }>;

export interface RemoteCommand {
  /** Each is quoted for the remote shell; no secret may be in it. */
  readonly words: readonly string[];
  /**
   * Called for each line of standard output.
   * @param reply writes to standard input, which only a lifeline keeps open
   */
  readonly onLine: (line: string, reply: (text: string) => void) => void;
  /** Takes standard output as it comes; then `onLine` is called for the lines of standard error. */
  readonly output?: Writable | undefined;
  /** Standard input of the command: the way for a secret. */
  readonly input?: string | undefined;
  /** Keeps standard input open: its end stops what runs there. */
  readonly lifeline?: Lifeline | undefined;
  /** Sentence for an interruption that ends the connection. */
  readonly interrupted: string;
}

/**
 * The SSH connection to a host. The reader's own keys come first: files of deploy.yml, agent, `~/.ssh`. Where the server
 * refuses them, the key that the program was given is tried, once; it alone is used from then on. To look for it first
 * would run Pulumi, and show all secrets of the stack, for each command of those who never need it.
 */
export class HostConnection {
  readonly #ownKeys: Route;
  #route: Route;
  readonly #keySource: KeySource | undefined;
  #lookUp: Promise<Route> | undefined;

  constructor(route: Route, keySource?: KeySource) {
    this.#ownKeys = route;
    this.#route = route;
    this.#keySource = keySource;
  }

  get user(): string {
    return this.#route.host.user;
  }

  /** @throws Problem when the connection could not be made or was lost */
  async run(command: RemoteCommand): Promise<Outcome> {
    const route = this.#route;
    try {
      return await run(route, command);
    } catch (error) {
      if (!(error instanceof KeysRefused) || route !== this.#ownKeys) throw error;
      if (this.#keySource === undefined) throw error;
      // Nothing was run, so it is no second time.
      this.#lookUp ??= withKey(route, this.#keySource, error);
      this.#route = await this.#lookUp;
      return run(this.#route, command);
    }
  }
}

async function run(
  route: Route,
  { words, onLine, output, input, lifeline, interrupted }: RemoteCommand,
): Promise<Outcome> {
  return runOnHost(route, words, {
    // A person sits here, with names, keys and bastions of their own in ~/.ssh/config.
    configuration: "user",
    onLine,
    interrupted,
    ...(output !== undefined && { output }),
    ...(input !== undefined && { input }),
    ...(lifeline !== undefined && { lifeline }),
  });
}

async function withKey(route: Route, source: KeySource, refusal: Problem): Promise<Route> {
  let found: Awaited<ReturnType<KeySource>>;
  try {
    found = await source();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw new Problem(
      `${refusal.message} The key that the program was given could not be looked up: ${error.message}`,
    );
  }
  if ("none" in found) throw new Problem(`${refusal.message} ${found.none}`);
  const { privateKey, proxy } = found.keys;
  return { ...route, privateKey, proxy: withBastionKeys(route.proxy, proxy) };
}

function withBastionKeys(bastion: Hop | undefined, keys: SshKeys = {}): Hop | undefined {
  if (bastion === undefined) return undefined;
  const { privateKey, proxy } = keys;
  return { ...bastion, privateKey, proxy: withBastionKeys(bastion.proxy, proxy) };
}
