/**
 * The clock of a service, as its answers tell it: each has the time in its header `Date` (RFC 9110, section 6.6.1), in
 * whole seconds. Between two answers this machine's own steady clock carries it on, which cannot be set.
 */
export class ServiceClock {
  #last: { readonly date: number; readonly at: number } | undefined;

  /** @param date header of an answer that has just arrived; one that is missing or no date tells nothing */
  note(date: string | undefined): void {
    const time = Date.parse(date ?? "");
    if (!Number.isNaN(time)) this.#last = { date: time, at: performance.now() };
  }

  /** Undefined until the service has told it. */
  now(): Date | undefined {
    if (this.#last === undefined) return undefined;
    return new Date(this.#last.date + (performance.now() - this.#last.at));
  }
}
