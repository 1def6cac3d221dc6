import { readdirSync, readFileSync } from "node:fs";
import { Problem } from "../../common/problem.ts";
import { docker } from "../../sandbox/host/docker.ts";
import { run } from "../../sandbox/world/run.ts";

/**
 * Lets a container receive no more than this while the work runs. Shapes the engine's end of the container's virtual
 * cable, so everything that is sent to it queues as at a slow uplink.
 * @param mebibytes per second
 * @throws Problem without root or without `tc`
 */
export async function withSlowLink<T>(
  container: string,
  mebibytes: number,
  work: () => Promise<T>,
): Promise<T> {
  const device = await engineEnd(container);
  const rate = `${mebibytes * 1024 * 1024 * 8}bit`;
  const shape = ["root", "tbf", "rate", rate, "burst", "256kb", "latency", "50ms"];
  const set = await run("tc", ["qdisc", "add", "dev", device, ...shape], { allowFailure: true });
  if (set.code !== 0) {
    throw new Problem(
      `The link cannot be slowed: tc needs root on this machine (${set.stderr.trim()}).`,
    );
  }
  try {
    return await work();
  } finally {
    await run("tc", ["qdisc", "del", "dev", device, "root"]);
  }
}

/** The network device of this machine that is the other end of the container's `eth0`. */
async function engineEnd(container: string): Promise<string> {
  const link = await docker(["exec", container, "cat", "/sys/class/net/eth0/iflink"]);
  const devices = "/sys/class/net";
  for (const name of readdirSync(devices)) {
    const index = readFileSync(`${devices}/${name}/ifindex`, "utf8");
    if (index.trim() === link.stdout.trim()) return name;
  }
  throw new Problem("The link cannot be slowed: the engine's network is not on this machine.");
}
