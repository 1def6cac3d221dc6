/** Runs one part, and prints one line for it with its time. */
export async function step<T>(
  log: (line: string) => void,
  name: string,
  work: () => Promise<T>,
  detail: (result: T) => string,
): Promise<T> {
  const start = performance.now();
  const result = await work();
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  log(`${name.padEnd(16)} ${detail(result).padEnd(56)} ${seconds.padStart(6)} s`);
  return result;
}

/** Like `Promise.all`, but a failure is thrown when all have ended, so that nothing works on in the background. */
export async function allDone<const T extends readonly unknown[]>(
  parts: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const failed = (await Promise.allSettled(parts)).find((part) => part.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return Promise.all(parts);
}
