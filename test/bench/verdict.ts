import { amount, type Figure, median, proportion } from "./figures.ts";
import type { Measured } from "./measure.ts";
import type { Rounds } from "./rounds.ts";

const MiB = 1024 * 1024;

/** CPU time of everything else on the machine, as a share of all cores, in the middle measurement. */
export function shareOfOthers(rounds: Rounds, cores: number): number {
  const { limits, backups, incumbentBackups, restores, incumbentRestores } = rounds;
  const runs = [limits, backups, incumbentBackups, restores, incumbentRestores].flat();
  return runs.length === 0 ? 0 : median(runs.map((run) => run.othersCpu / run.wall / cores));
}

/** Turns what the rounds saw into the figures of the result, each with its bound. */
export function judge(rounds: Rounds): Figure[] {
  const of = <T>(runs: readonly T[], value: (run: T) => number): number | null =>
    runs.length === 0 ? null : median(runs.map(value));
  const most = (runs: readonly Measured[], value: (run: Measured) => number) =>
    runs.length === 0 ? null : Math.max(...runs.map(value));
  const wall = (runs: readonly Measured[]) => of(runs, (run) => run.wall);
  const cpu = (runs: readonly Measured[]) => of(runs, (run) => run.cpu + run.serverCpu);
  const memory = (runs: readonly Measured[]) => most(runs, (run) => run.memory.held / MiB);
  const pss = (runs: readonly Measured[]) => most(runs, (run) => (run.memory.pss ?? NaN) / MiB);
  const { backups, incumbentBackups, smallBackups, limits } = rounds;
  const [smaller = null, larger = null] = [backups, smallBackups]
    .map(memory)
    .filter((peak) => peak !== null)
    .toSorted((a, b) => a - b);
  const alone = of(rounds.incumbentRestores, (run) => run.restoreAlone);
  return [
    proportion(
      "backup, encrypted, over the incumbent with passphrase",
      "s",
      wall(backups),
      wall(incumbentBackups),
      { must: 0.3, aim: 0.22 },
    ),
    proportion("backup over pg_dump -Fc -Z0 > /dev/null", "s", wall(backups), wall(limits), {
      must: 1.35,
      aim: 1.1,
    }),
    proportion(
      "the same into a sink that only swallows",
      "s",
      wall(rounds.swallowedBackups),
      wall(limits),
      { must: 1.35, aim: 1.1 },
    ),
    proportion("CPU of tools and server, backup", "CPU s", cpu(backups), cpu(incumbentBackups), {
      must: 0.4,
      aim: 0.3,
    }),
    amount(
      "temporary disk, backup",
      "bytes",
      most(backups, (run) => run.writable),
      of(incumbentBackups, (run) => run.diskBytes),
      { must: 0, aim: 0 },
    ),
    amount("peak memory, backup", "MiB", memory(backups), memory(incumbentBackups), {
      must: 192,
      aim: 96,
    }),
    amount("peak memory, backup of a tenth", "MiB", memory(smallBackups), null, {
      must: 192,
      aim: 96,
    }),
    proportion("peak memory, the larger of the two over the smaller", "MiB", larger, smaller, {
      must: 1.1,
      aim: 1.1,
    }),
    amount("peak PSS with program files, backup", "MiB", pss(backups), pss(incumbentBackups)),
    amount("idle memory of the scheduler", "MiB", rounds.idle.held / MiB, null, {
      must: 10,
      aim: 5,
    }),
    proportion(
      "object size over the incumbent's, encrypted",
      "MB",
      of(backups, (run) => run.storedBytes / 1e6),
      of(incumbentBackups, (run) => run.storedBytes / 1e6),
      { must: 0.95, aim: 0.9 },
    ),
    proportion(
      "object size over the incumbent's, without passphrase",
      "MB",
      of(backups, (run) => run.storedBytes / 1e6),
      of(incumbentBackups, (run) => run.plainBytes / 1e6),
    ),
    proportion("restore over the incumbent's pg_restore alone", "s", wall(rounds.restores), alone, {
      must: 1.1,
      aim: 1.05,
    }),
    proportion(
      "restore over the incumbent's whole restore",
      "s",
      wall(rounds.restores),
      wall(rounds.incumbentRestores),
    ),
    proportion(
      "restore with a scratch volume over pg_restore alone",
      "s",
      wall(rounds.scratchRestores),
      alone,
      { must: 0.85, aim: 0.75 },
    ),
    proportion(
      "restore with a scratch volume over the whole restore",
      "s",
      wall(rounds.scratchRestores),
      wall(rounds.incumbentRestores),
    ),
    proportion(
      "backup over a slow link",
      "s",
      wall(rounds.slowBackups),
      wall(rounds.slowIncumbentBackups),
      { must: 0.5, aim: 0.4 },
    ),
    amount(
      "peak memory, backup over a slow link",
      "MiB",
      memory(rounds.slowBackups),
      memory(rounds.slowIncumbentBackups),
    ),
  ];
}
