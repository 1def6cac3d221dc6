import { createHash } from "node:crypto";
import { userInfo } from "node:os";
import { type RunResult, run } from "../../../sandbox/world/run.ts";

/** Two hosts behind a bastion, each a network namespace. This machine has a link to the bastion alone, which forwards nothing. */
export interface HiddenHosts {
  readonly bastion: Namespace;
  readonly hosts: readonly [Namespace, Namespace];
  /** Ends what still runs in them, and removes them. */
  remove(): Promise<void>;
}

export interface Namespace {
  readonly name: string;
  /** Where a server in it listens. */
  readonly address: string;
  /** Where connections to it come from. */
  readonly from: string;
}

/** Words in front of a program that runs it in a namespace. */
export function within(namespace: string): string[] {
  return ["ip", "netns", "exec", namespace];
}

/** Why there can be no namespaces here, or false: they take root and Linux. */
export const noNamespaces =
  (process.platform !== "linux" || userInfo().uid !== 0) && "namespaces take root on Linux";

/**
 * Links and addresses as an operator would set them: one network between this machine and the bastion, one to each host. Those
 * behind the bastion mean nothing elsewhere (198.51.100.0/24, RFC 5737); the one in front of it is of this sandbox alone
 * (198.18.0.0/15, RFC 2544).
 * @param id of the sandbox; what an earlier run of it has left is removed first
 */
export async function hideHosts(id: string): Promise<HiddenHosts> {
  const name = (part: string) => `kpb-${id}-${part}`;
  const [bastion, one, two] = [name("bastion"), name("one"), name("two")] as const;
  const remove = async () => {
    for (const namespace of [bastion, one, two]) await removeNamespace(namespace);
  };
  await remove();
  const [outside, inside] = ownNetwork(id);
  const link = name("out");
  await ip(
    [],
    [
      ...[bastion, one, two].map((namespace) => `netns add ${namespace}`),
      `link add ${link} type veth peer name out netns ${bastion}`,
      `addr add ${outside}/30 dev ${link}`,
      `link set ${link} up`,
    ],
  );
  await ip(
    ["-n", bastion],
    [
      `addr add ${inside}/30 dev out`,
      "link set out up",
      ...[one, two].flatMap((namespace, i) => [
        `link add to${i} type veth peer name in netns ${namespace}`,
        `addr add 198.51.100.${i * 4 + 1}/30 dev to${i}`,
        `link set to${i} up`,
      ]),
    ],
  );
  for (const [i, namespace] of [one, two].entries()) {
    await ip(["-n", namespace], [`addr add 198.51.100.${i * 4 + 2}/30 dev in`, "link set in up"]);
  }
  return {
    bastion: { name: bastion, address: inside, from: outside },
    hosts: [
      { name: one, address: "198.51.100.2", from: "198.51.100.1" },
      { name: two, address: "198.51.100.6", from: "198.51.100.5" },
    ],
    remove,
  };
}

/** The two addresses of a network with four. */
function ownNetwork(id: string): readonly [string, string] {
  const block = createHash("sha256").update(id).digest().readUInt16BE() >> 1;
  const address = (last: number) => {
    const number = block * 4 + last;
    return `198.${18 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
  };
  return [address(1), address(2)];
}

/** Its links go with it, and with each its other end. */
async function removeNamespace(namespace: string): Promise<void> {
  const pids = await run("ip", ["netns", "pids", namespace], { allowFailure: true });
  if (pids.code !== 0) return;
  for (const pid of pids.stdout.split("\n").filter(Boolean)) {
    await run("kill", ["-KILL", pid], { allowFailure: true });
  }
  await run("ip", ["netns", "delete", namespace]);
}

function ip(options: readonly string[], lines: readonly string[]): Promise<RunResult> {
  return run("ip", [...options, "-batch", "-"], { input: `${lines.join("\n")}\n` });
}
