import type * as pulumi from "@pulumi/pulumi";

/** Something that is declared, and looked at again on each refresh. */
export interface Watched<I extends object> {
  idOf(inputs: I): string;
  /** The declared fields as they are found; undefined: it is gone. Throws where nothing can be known. */
  observe(inputs: I): Promise<Partial<I> | undefined>;
  /**
   * Makes it so as it is declared.
   * @param before what was declared before; undefined: it is new
   */
  apply(inputs: I, before: I | undefined): Promise<void>;
  diff(olds: I, news: I): pulumi.dynamic.DiffResult;
  remove(inputs: I): Promise<void>;
}

/** The methods of its dynamic resource. */
export function watched<I extends object>({ idOf, observe, apply, diff, remove }: Watched<I>) {
  return {
    async check(_olds: unknown, news: I): Promise<pulumi.dynamic.CheckResult> {
      return { inputs: news };
    },

    async create(inputs: I): Promise<pulumi.dynamic.CreateResult> {
      await apply(inputs, undefined);
      return { id: idOf(inputs), outs: inputs };
    },

    /** With an empty id the engine takes the resource for gone. */
    async read(id: string, props: I): Promise<pulumi.dynamic.ReadResult<I>> {
      const observed = await observe(props);
      if (observed === undefined) return { id: "" };
      const found = { ...props, ...observed };
      // Without `inputs` the engine would compare the declared values with themselves.
      return { id, props: found, inputs: found } as pulumi.dynamic.ReadResult<I>;
    },

    async diff(_id: string, olds: I, news: I): Promise<pulumi.dynamic.DiffResult> {
      return diff(olds, news);
    },

    async update(_id: string, olds: I, news: I): Promise<pulumi.dynamic.UpdateResult> {
      await apply(news, olds);
      return { outs: news };
    },

    async remove(_id: string, props: I): Promise<void> {
      await remove(props);
    },
  };
}
