import { Problem } from "../../common/problem.ts";
import { explain, isTaken } from "../s3/errors.ts";
import { type ObjectStore, readWhole } from "../s3/objectStore.ts";
import { retriedWhenDamaged } from "./retry.ts";
import { checkWrite, isInDoubt, UncertainWrite } from "./writeCheck.ts";

/**
 * Writes a small object under a key that must not exist yet, and reads it back: it counts as written when it was seen in
 * the bucket. A key that may not read has to be content with the acknowledgement. When the service says no, or nothing,
 * but holds exactly these bytes, an earlier try of this same write had reached it after all, and that counts as written.
 * @throws UncertainWrite when it is not known whether it is there
 * @throws Problem when the key holds something else, or the write fails
 */
export async function putNew(
  store: ObjectStore,
  key: string,
  body: string | Buffer,
  contentType: string,
): Promise<void> {
  const bytes = Buffer.from(body);
  const { address } = store;
  const isOurs = async () => bytes.equals(await readWhole(await store.get(key), bytes.length + 1));
  try {
    await retriedWhenDamaged(() => store.putNew(key, bytes, contentType));
  } catch (error) {
    const refusal = explain(error, address, `write ${key}`);
    if (!isTaken(error) && !isInDoubt(error)) throw refusal;
    const seen = await checkWrite(isOurs, { expected: false });
    if (seen.found === "ours") return;
    if (isTaken(error) || seen.found === "nothing" || seen.found === "other") throw refusal;
    throw new UncertainWrite(`${refusal.message} ${notSeen(seen)}`, { cause: error });
  }
  const seen = await checkWrite(isOurs, { expected: true });
  if (seen.found === "ours" || seen.found === "denied") return;
  if (seen.found === "unknown") {
    throw new UncertainWrite(`the service acknowledged ${key}. ${notSeen(seen)}`, {
      cause: seen.cause,
    });
  }
  const holds = seen.found === "nothing" ? "does not hold it" : "holds other bytes there";
  throw new Problem(
    `the service acknowledged ${key}, but ${holds}. Something between this machine and the bucket answers in the service's place: check ${address.names.endpoint} and any proxy.`,
  );

  function notSeen(check: { readonly found: string; readonly cause?: unknown }): string {
    if (check.found === "denied") {
      return "Whether it is there all the same cannot be seen, since the key may not read.";
    }
    const cause = explain(check.cause, address, `look at ${key}`).message;
    return `Whether it is there could not be seen: ${cause}`;
  }
}
