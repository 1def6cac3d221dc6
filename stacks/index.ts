import { declareBackup } from "./program.ts";

const declared = declareBackup();

/** What the command line and other stacks read: see `common/contracts/stackOutputs.ts`. */
export const backup = declared.outputs;

/** To be kept elsewhere as well: `pulumi stack output --show-secrets signingKeys`. Secret. */
export const signingKeys = declared.signingKeys;
