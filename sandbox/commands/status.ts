import { registryAnswers } from "../host/registry.ts";
import { query } from "../services/database.ts";
import { sshAnswers } from "../services/ssh.ts";
import { storeAnswers } from "../services/store.ts";
import type { World } from "../world/world.ts";

export interface PartStatus {
  readonly part: string;
  readonly answers: boolean;
  readonly where: string;
}

/** Asks every part of a world whether it answers now. */
export async function statusOf(world: World): Promise<PartStatus[]> {
  const { ssh, registry, store, database } = world;
  const databaseAnswers = () =>
    query(database, database.name, "select 1").then(
      () => true,
      () => false, // not answering is the finding
    );
  const answers = await Promise.all([
    sshAnswers(ssh),
    registryAnswers(registry),
    storeAnswers(store, 2_000),
    databaseAnswers(),
  ]);
  const where = [
    `${ssh.user}@${ssh.host}:${ssh.port}, key ${ssh.keyFile}`,
    registry.server,
    `${store.endpoint}, container ${store.container}`,
    `${database.host}:${database.port}/${database.name}, container ${database.container}`,
  ];
  return ["ssh host", "registry", "S3 service", "database"].map((part, index) => ({
    part,
    answers: answers[index] ?? false,
    where: where[index] ?? "",
  }));
}
