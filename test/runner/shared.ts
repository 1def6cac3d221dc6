/** What files in one process share, from the first that wants it until the last has ended. */

const closers: (() => Promise<void>)[] = [];

/** The variable that names the files which run in this process, one after the other: `test/runner/together.ts`. */
export const TOGETHER = "TEST_FILES_TOGETHER";

export const filesTogether = (): string[] => JSON.parse(process.env[TOGETHER] ?? "[]");

/** To be called when the last file has ended. What a file that runs alone opens must not keep its process from ending. */
export function closeAtEnd(close: () => Promise<void>): void {
  closers.push(close);
}

export async function closeShared(): Promise<void> {
  await Promise.all(closers.splice(0).map((close) => close()));
}
