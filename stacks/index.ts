import { declareBackup } from "./program.ts";

/** What the command line and other stacks read: see `common/contracts/stackOutputs.ts`. */
export const backup = declareBackup().outputs;
