import type { Manifest } from "../../common/contracts/manifest.ts";

/** One line of `--json` output; the command line on the operator's machine reads these. */
export type AgentEvent =
  | {
      readonly event: "progress";
      readonly step: "upload" | "download" | "restore" | "compare";
      readonly bytes?: number;
      readonly total?: number;
      /** Tables that are through the step, of `total`. */
      readonly done?: number;
      /** With `restore`: the table whose rows were begun last. */
      readonly table?: string;
      readonly elapsedMs: number;
    }
  | { readonly event: "backup"; readonly manifest: Manifest }
  /** The same backup is in the second bucket too, or only there. */
  | { readonly event: "copied"; readonly manifest: Manifest }
  | {
      readonly event: "restored";
      readonly database: string;
      /** Stamp of the backup that was restored. */
      readonly from: string;
      /** Name under which the old database stays; null when there was none. */
      readonly previous: string | null;
      /** Command that swaps the old database back, without the program's name; null when there was none. */
      readonly undo: string | null;
      readonly tables: number;
      readonly rows: number;
      /** False when the backup has no manifest, so that nothing could be compared. */
      readonly compared: boolean;
      readonly elapsedMs: number;
    }
  | {
      /** A dry run: what a restore would do. */
      readonly event: "planned";
      readonly database: string;
      readonly from: string;
      readonly key: string;
      readonly bytes: number;
      readonly previous: string | null;
      /** Null for the old image's backups, which do not tell. */
      readonly tables: number | null;
      readonly rows: number | null;
      /** Roles that would be made. */
      readonly roles: readonly string[];
    }
  | {
      readonly event: "undone";
      readonly database: string;
      /** Name that the database had which has the real one again. */
      readonly from: string;
      /** Name under which the one of before stays; null when there was none. */
      readonly previous: string | null;
      readonly elapsedMs: number;
    }
  | {
      readonly event: "verified";
      readonly database: string;
      /** Stamp of the backup. */
      readonly from: string;
      readonly key: string;
      /** `full`: read to its last row. `stored`: only that the stored bytes are whole, since nothing here can decrypt them. */
      readonly depth: "full" | "stored";
      readonly bytes: number;
      /** Tables found in the archive; null when it could not be read. */
      readonly tables: number | null;
      /** What was not checked, as a sentence; null when everything was. */
      readonly unchecked: string | null;
      readonly elapsedMs: number;
    }
  | {
      readonly event: "databases";
      /** What a backup would take now. */
      readonly databases: readonly string[];
      /** Those that have a backup in the bucket; null when that was not asked. */
      readonly stored: readonly string[] | null;
    }
  | { readonly event: "list"; readonly backups: readonly unknown[] }
  | { readonly event: "error"; readonly message: string };

/** Where a command says what it does. */
export interface Report {
  /** For machines: printed with `--json` only. */
  event(event: AgentEvent): void;
  /** For people: printed without `--json` only. */
  line(text: string): void;
  /** Something the reader should know though the run goes on; standard error in both forms. */
  notice(text: string): void;
}

/**
 * A report on this process's standard output.
 * @param json one JSON object a line instead of text
 * @param clean takes the secrets out of a text
 */
export function openReport(json: boolean, clean: (text: string) => string): Report {
  const out = (text: string) => process.stdout.write(`${clean(text)}\n`);
  return {
    event: (event) => {
      if (json) out(JSON.stringify(event));
    },
    line: (text) => {
      if (!json) out(text);
    },
    notice: (text) => {
      process.stderr.write(`${clean(text)}\n`);
    },
  };
}

/** Lets a callback through at most once per interval, so that progress does not flood a log. */
export function throttled<A extends unknown[]>(
  intervalMs: number,
  callback: (...args: A) => void,
): (...args: A) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (...args) => {
    const now = performance.now();
    if (now - last < intervalMs) return;
    last = now;
    callback(...args);
  };
}

export { formatBytes as readableBytes } from "../../common/format.ts";
