import { quoteSecret } from "./secrets.ts";

/**
 * The lines for a secrets file of Kamal's, in the order given, without markers.
 * @param entries value by Kamal's secret name
 * @throws Problem for a value that would reach the container altered
 */
export function renderSecretsBlock(entries: Readonly<Record<string, string>>): string {
  return Object.entries(entries)
    .map(([name, value]) => `${quoteSecret(name, value)}\n`)
    .join("");
}
