import { existsSync, readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import { createTwoFilesPatch } from "diff";
import { Problem } from "../../common/problem.ts";
import { writeMarkedBlock } from "../../kamal/markedBlock.ts";

/** Shows at preview, as a diff, what `pulumi up` would write into deploy.yml. Silent when nothing would change. */
export function showRenderedDiff(
  resource: pulumi.Resource,
  file: string,
  name: string,
  block: pulumi.Output<string>,
): void {
  if (!pulumi.runtime.isDryRun() || !existsSync(file)) return;
  block.apply(async (text) => {
    const before = readFileSync(file, "utf8");
    const after = tryWrite(before, name, text);
    if (after === undefined || after === before) return;
    const patch = createTwoFilesPatch(file, file, before, after, "now", "after pulumi up", {
      context: 2,
    });
    await pulumi.log.info(patch.split("\n").slice(1).join("\n"), resource);
  });
}

/** A block that has no place is reported by the resource that would write it. */
function tryWrite(before: string, name: string, text: string): string | undefined {
  try {
    return writeMarkedBlock(before, name, text, "accessories");
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}
