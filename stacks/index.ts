import { declareBackup } from "./program.ts";

/** What the command line and other stacks read: see `components/outputs.ts`. */
export const backup = declareBackup().outputs;
