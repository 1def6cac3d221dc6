import * as pulumi from "@pulumi/pulumi";
import { madeOrStandIn, RandomKey } from "../pulumi/randomKey.ts";

/**
 * The password of the role that reads WAL: random, in the stack's state alone, and a new one when the keys are rotated. Secret.
 * @param name of the backup
 */
export function createWalPassword(
  parent: pulumi.Resource,
  name: string,
  rotateAfter: string | number | undefined,
): pulumi.Output<string> {
  const inputs = { generation: String(rotateAfter ?? ""), given: [] };
  const key = new RandomKey("WalPassword", `${name}-wal-password`, inputs, { parent });
  return pulumi.secret(madeOrStandIn(key).apply(([[newest = ""]]) => newest));
}
