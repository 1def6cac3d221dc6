import { styleText } from "node:util";
import Table from "cli-table3";

interface Row {
  readonly step: string;
  readonly result: string;
  readonly seconds: number;
}

/** Tells a story step by step and keeps the score. */
export class Narrator {
  readonly #rows: Row[] = [];
  readonly #started = Date.now();

  /**
   * Says what comes, does it, and says how it went.
   * @param title a few words for the summary
   * @param sentence what the reader is about to see
   * @param act returns the result in a few words; throws when the step is not true
   */
  async step(title: string, sentence: string, act: () => Promise<string>): Promise<void> {
    console.log(`\n${styleText("bold", `${this.#rows.length + 1}. ${sentence}`)}`);
    const started = Date.now();
    const result = await act();
    const seconds = (Date.now() - started) / 1000;
    this.#rows.push({ step: title, result, seconds });
    console.log(`${styleText("green", "  ✓")} ${result} (${seconds.toFixed(1)} s)`);
  }

  /** Shows a command as the reader would type it, with what it printed. */
  show(command: string, output: string): void {
    console.log(styleText("cyan", `  $ ${command}`));
    for (const line of output.trimEnd().split("\n")) console.log(`    ${line}`);
  }

  summary(): void {
    const table = new Table({
      head: ["step", "result", "time"],
      colAligns: ["left", "left", "right"],
      style: { head: [], border: [] },
    });
    for (const row of this.#rows) table.push([row.step, row.result, `${row.seconds.toFixed(1)} s`]);
    table.push(["all", "every step true", `${((Date.now() - this.#started) / 1000).toFixed(1)} s`]);
    console.log(`\n${table.toString()}`);
  }
}
