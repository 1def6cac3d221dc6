import { docker, removeContainer } from "../host/docker.ts";
import { stopRegistry } from "../host/registry.ts";
import { stopSsh } from "../services/ssh.ts";
import { storeName } from "../services/store.ts";
import { sandboxLabel } from "../world/paths.ts";
import { serviceName } from "../world/settings.ts";

/**
 * Removes what a sandbox of this checkout has running when its state folder is gone, as after a fresh clone into the
 * same folder: its containers listen on ports and ask for passwords that nobody knows any more.
 * @returns what was removed, in words, or `undefined` when nothing was there
 */
export async function removeLeftovers(id: string): Promise<string | undefined> {
  const containers = await removeContainers(id);
  const volumes = await removeVolumes(id);
  const servers = await stopServers(id);
  const found = { container: containers.length, volume: volumes.length, server: servers };
  const words = Object.entries(found)
    .filter(([, count]) => count > 0)
    .map(([what, count]) => `${count} ${what}${count === 1 ? "" : "s"}`);
  return words.length === 0 ? undefined : `${words.join(", ")} of a sandbox without its folder`;
}

/** By our label, or an accessory of our application by the label that Kamal gives it. */
export async function removeContainers(id: string): Promise<string[]> {
  const format = `{{.Names}}\t{{.Label "service"}}\t{{.Label "${sandboxLabel}"}}`;
  const found = (await lines(["container", "ls", "--all", "--format", format]))
    .map((line) => line.split("\t"))
    .filter(
      ([, service, label]) =>
        label === id || service === serviceName(id) || service?.startsWith(`${serviceName(id)}-`),
    )
    .map(([name]) => name ?? "");
  for (const name of found) await removeContainer(name);
  return found;
}

export async function removeVolumes(id: string): Promise<string[]> {
  const all = await lines(["volume", "ls", "--format", "{{.Name}}"]);
  const found = all.filter(
    (name) => name === storeName(id) || name.startsWith(`${serviceName(id)}-`),
  );
  if (found.length > 0) await docker(["volume", "rm", "--force", ...found]);
  return found;
}

/** The SSH server and the registry. @returns how many ran as programs of this host */
export async function stopServers(id: string): Promise<number> {
  return (await stopSsh()) + (await stopRegistry(id));
}

/** What a docker command prints, line by line. */
export async function lines(args: readonly string[]): Promise<string[]> {
  return (await docker(args)).stdout.split("\n").filter((line) => line !== "");
}
