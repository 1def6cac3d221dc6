import { declareBackup } from "./program.ts";

const declared = declareBackup();

export default {
  /** What the command line and other stacks read: see `common/contracts/stackOutputs.ts`. */
  backup: declared.outputs,
  /** To be kept elsewhere as well: `pulumi stack output --show-secrets signingKeys`. Secret. */
  signingKeys: declared.signingKeys,
  /** What Kamal looks up where `secrets` is `outputs`. Secret. */
  ...declared.secretOutputs,
};
