import type * as pulumi from "@pulumi/pulumi";
import { NOT_CHECKED } from "../../common/contracts/refresh.ts";
import { AccessRefused } from "../../common/ssh/errors.ts";

/** Something that is declared, and looked at again on each refresh. */
export interface Watched<I extends object> {
  idOf(inputs: I): string;
  /** The declared fields as they are found; undefined: it is gone. Throws where nothing can be known. */
  observe(inputs: I): Promise<Partial<I> | undefined>;
  /**
   * What is read in its place where the host no longer lets us in as the state has it: fields that differ from any
   * declaration, so that the next update goes there as the program has it. Absent: that is an error, too.
   */
  unseen?(reason: string): Partial<I>;
  /**
   * Makes it so as it is declared.
   * @param before what was declared before; undefined: it is new
   * @returns what came of it, which stays in the state beside the declaration; undefined: nothing to keep
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: most resources have nothing to keep
  apply(inputs: I, before: (I & WithOutcome) | undefined): Promise<object | void>;
  diff(olds: I & WithOutcome, news: I): pulumi.dynamic.DiffResult;
  remove(inputs: I): Promise<void>;
}

/** What the last change came to, where the resource keeps that. It is declared by nobody. */
export interface WithOutcome {
  readonly outcome?: unknown;
}

/** The methods of its dynamic resource. */
export function watched<I extends object>({
  idOf,
  observe,
  unseen,
  apply,
  diff,
  remove,
}: Watched<I>) {
  return {
    async check(_olds: unknown, news: I): Promise<pulumi.dynamic.CheckResult> {
      return { inputs: news };
    },

    async create(inputs: I): Promise<pulumi.dynamic.CreateResult> {
      const outcome = await apply(inputs, undefined);
      return { id: idOf(inputs), outs: { ...inputs, ...(outcome && { outcome }) } };
    },

    /** With an empty id the engine takes the resource for gone. */
    async read(id: string, props: I): Promise<pulumi.dynamic.ReadResult<I>> {
      const { [NOT_CHECKED]: _, ...declared } = props as I & { [NOT_CHECKED]?: string };
      const observed = await observe(props).catch((error: unknown) => {
        if (!(error instanceof AccessRefused) || unseen === undefined) throw error;
        return { ...unseen(error.message), [NOT_CHECKED]: error.message };
      });
      if (observed === undefined) return { id: "" };
      const found = { ...declared, ...observed } as I & WithOutcome;
      const { outcome: _outcome, ...inputs } = found;
      // Without `inputs` the engine would compare the declared values with themselves.
      return { id, props: found, inputs } as unknown as pulumi.dynamic.ReadResult<I>;
    },

    async diff(_id: string, olds: I, news: I): Promise<pulumi.dynamic.DiffResult> {
      return diff(olds, news);
    },

    async update(_id: string, olds: I, news: I): Promise<pulumi.dynamic.UpdateResult> {
      const outcome = await apply(news, olds);
      return { outs: { ...news, ...(outcome && { outcome }) } };
    },

    async remove(_id: string, props: I): Promise<void> {
      await remove(props);
    },
  };
}
