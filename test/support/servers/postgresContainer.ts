import { containerState } from "../../../sandbox/host/docker.ts";
import { query } from "../../../sandbox/services/database.ts";
import { eventually } from "../../../sandbox/world/run.ts";

/**
 * Waits until the server in a container on the network `kamal` takes connections. Over TCP, from this host: while the cluster is
 * made the server listens on its socket alone, and each question by `docker exec` would be three programs.
 */
export async function answers(
  container: string,
  login: { readonly user: string; readonly password: string },
): Promise<void> {
  const host = (await containerState(container))?.address ?? "";
  await eventually(`${container} at ${host}`, 60_000, async () => {
    await query({ host, port: 5432, ...login }, "postgres", "select 1");
    return true;
  });
}
