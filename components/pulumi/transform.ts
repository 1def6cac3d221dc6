/**
 * Changes the arguments of one child before it is declared: an object is merged over them, a function gets them and
 * returns what to use instead.
 *
 * @example { tags: { team: "data" } }
 * @example (args) => ({ ...args, bucket: "shop-backups" })
 */
export type Transform<T> = Partial<T> | ((args: T) => T);

/** Applies a transform. */
export function transformed<T extends object>(transform: Transform<T> | undefined, args: T): T {
  if (transform === undefined) return args;
  return typeof transform === "function" ? transform(args) : { ...args, ...transform };
}
