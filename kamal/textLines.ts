/** One line of a file; `end` is empty for a last line that is not ended. */
export interface Line {
  readonly text: string;
  readonly end: string;
}

/** Splits so that joining `text + end` gives the file back byte for byte. */
export function splitLines(text: string): Line[] {
  return [...text.matchAll(/([^\n]*?)(\r?\n|$)/g)]
    .filter(([whole]) => whole !== "")
    .map(([, line = "", end = ""]) => ({ text: line, end }));
}
