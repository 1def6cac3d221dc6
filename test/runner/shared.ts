/** What files in one process share, from the first that wants it until the last has ended. */

const closers: (() => Promise<void>)[] = [];

/** The variable that names the files which run in this process, one after the other: `test/runner/together.ts`. */
export const TOGETHER = "TEST_FILES_TOGETHER";

export const filesTogether = (): string[] => JSON.parse(process.env[TOGETHER] ?? "[]");

/** Whether what is shared may stay open: another file may want it, and it is closed after the last. */
export const isShared = () => process.env[TOGETHER] !== undefined;

/** To be called when the last file has ended. */
export function closeAtEnd(close: () => Promise<void>): void {
  closers.push(close);
}

export async function closeShared(): Promise<void> {
  await Promise.all(closers.splice(0).map((close) => close()));
}
