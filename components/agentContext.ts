import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** What an image of the agent is built from. */
export interface AgentContext {
  /** Folder with the Dockerfile and all that it copies, absolute. */
  readonly dir: string;
  /** SHA-256 of its files, in hexadecimal. */
  readonly digest: string;
}

/** The published package carries the finished context; a checkout bundles the agent's sources, so it is never stale. */
export async function agentContext(): Promise<AgentContext> {
  const packaged = fileURLToPath(new URL("../agent/context/", import.meta.url));
  const { bundleAgent, contextDigest } = await import("../agent/bundle.ts");
  if (existsSync(packaged)) return { dir: packaged, digest: await contextDigest(packaged) };
  return bundleAgent(fileURLToPath(new URL("../build/agent/", import.meta.url)));
}
