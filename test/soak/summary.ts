/** The table at the end. Pure. */
import type { Played } from "./backupRound.ts";
import { FAULT_NAMES, FAULTS, type FaultName, type Subject } from "./faults.ts";

/** A kind with fewer hits than this is not called tested. */
export const ENOUGH_HITS = 5;

export interface Row {
  readonly fault: FaultName;
  readonly title: string;
  readonly backups: Count;
  readonly restores: Count;
  /** False successes. */
  readonly false: number;
  readonly lost: number;
  /** Left on the server, the disk or in the bucket although the run could have taken it away. */
  readonly left: number;
  /** Everything else that was wrong. */
  readonly other: number;
  readonly tested: boolean;
}

interface Count {
  readonly rounds: number;
  readonly hit: number;
}

export function summarize(played: readonly Played[]): Row[] {
  return FAULT_NAMES.flatMap((fault) => {
    const rounds = played.filter((each) => each.round.fault === fault);
    if (rounds.length === 0) return [];
    const count = (subject: Subject): Count => {
      const some = rounds.filter((each) => each.round.subject === subject);
      return { rounds: some.length, hit: some.filter(({ hit }) => hit).length };
    };
    const wrong = rounds.flatMap((each) => each.wrong);
    const of = (kind: string) => wrong.filter((each) => each.kind === kind).length;
    const [backups, restores] = [count("backup"), count("restore")];
    return [
      {
        ...{ fault, title: FAULTS[fault].title, backups, restores },
        ...{ false: of("false success"), lost: of("lost"), left: of("left") },
        other: wrong.length - of("false success") - of("lost") - of("left"),
        tested: backups.hit + restores.hit >= ENOUGH_HITS,
      },
    ];
  });
}

export function printSummary(played: readonly Played[]): string {
  const cell = ({ rounds, hit }: Count) => (rounds === 0 ? "" : `${rounds} (${hit})`);
  const rows = summarize(played).map((row) => [
    row.tested ? row.title : `${row.title} (too few hits)`,
    cell(row.backups),
    cell(row.restores),
    ...[row.false, row.lost, row.left, row.other].map(String),
  ]);
  const head = ["fault", "backups (hit)", "restores (hit)", "false", "lost", "left", "other"];
  const table = [head, head.map(() => "---"), ...rows]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
  const sum = (of: (each: Played) => number) => played.reduce((total, each) => total + of(each), 0);
  const hits = sum(({ hit }) => (hit ? 1 : 0));
  const orphans = sum(({ after }) => after.orphans.length);
  const uploads = sum(({ afterNext }) => afterNext.uploads.length);
  const refused = sum(({ connections }) => connections["3D000"] ?? 0);
  return [
    table,
    "",
    `${played.length} rounds, ${hits} of them hit a live run.`,
    `Left to the bucket's own rule after kills: ${orphans} objects without a manifest, ${uploads} unfinished uploads.`,
    `Connections refused once at a swap: ${refused}. Services made anew: ${sum(({ renewed }) => renewed.length)}.`,
  ].join("\n");
}
