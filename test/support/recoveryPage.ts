import { readFileSync } from "node:fs";
import { EXAMPLE, type StockValues } from "../../cli/recovery/stockTools.ts";

/** The block of commands of one section of docs/recovery.md, as it is printed. */
export function blockOf(section: string): string {
  const page = readFileSync("docs/recovery.md", "utf8");
  const text = page.split(/^## /m).find((part) => part.startsWith(`${section}\n`));
  const blocks = [...(text ?? "").matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = ""]) => block);
  if (blocks.length !== 1) throw new Error(`"${section}" has ${blocks.length} blocks`);
  return blocks[0] as string;
}

/**
 * Puts a reader's values in the place of the examples.
 * @param values by what stands on the page
 * @throws Error for an example that does not stand there
 */
export function filledIn(block: string, values: Readonly<Record<string, string>>): string {
  let filled = block;
  for (const [example, value] of Object.entries(values)) {
    if (!filled.includes(example)) throw new Error(`the block has no "${example}"`);
    filled = filled.replaceAll(example, value);
  }
  return filled;
}

/** The block for stock tools with a reader's values. */
export function stockBlock(values: Omit<StockValues, "identity" | "region">): string {
  const { endpoint, accessKeyId, bucket, prefix, database, stamp, host, port, user } = EXAMPLE;
  return filledIn(blockOf("Only the bucket is left"), {
    [`s3://${bucket}/${prefix}`]: `s3://${values.bucket}/${values.prefix}`,
    [`AWS_ENDPOINT_URL=${endpoint}`]: `AWS_ENDPOINT_URL=${values.endpoint}`,
    [`=${accessKeyId}`]: `=${values.accessKeyId}`,
    [`DATABASE=${database}`]: `DATABASE=${values.database}`,
    [stamp]: values.stamp,
    [`PGHOST=${host} PGPORT=${port} PGUSER=${user}`]: `PGHOST=${values.host} PGPORT=${values.port} PGUSER=${values.user}`,
  });
}

/** The commands that somebody types for a block. One that goes on in further lines is one. */
export function commandsIn(block: string): string[] {
  const whole = block
    .replaceAll(/^#.*\n/gm, "")
    .replaceAll(/<< 'END'\n.*?^END$/gms, "<< 'END'")
    .replaceAll(/'[^']*'/g, (quoted) => quoted.replaceAll("\n", " "))
    .replaceAll(/\\\n|(?<=\|)\n/g, " ");
  return whole.split("\n").filter((line) => /^[^\s}]/.test(line));
}
