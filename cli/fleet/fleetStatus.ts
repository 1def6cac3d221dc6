import { rename, writeFile } from "node:fs/promises";
import { formatBytes } from "../../common/format.ts";
import { Problem } from "../../common/problem.ts";
import type { CommonOptions } from "../session/session.ts";
import { EXIT } from "../terminal/exitCodes.ts";
import { plural, writeFault } from "../terminal/format.ts";
import { paint } from "../terminal/render.ts";
import type { Screen } from "../terminal/screen.ts";
import {
  type Application,
  ageText,
  drillText,
  judge,
  keptText,
  lockText,
  newestText,
  sizesOf,
  sparkline,
} from "./judge.ts";
import { lookAt } from "./look.ts";
import { renderPage } from "./page.ts";
import { type NamedStack, stacksOfFile, stacksOfProject } from "./stacks.ts";

export interface FleetOptions {
  /** Every stack of the project. */
  readonly all?: boolean;
  /** File that names the stacks. */
  readonly stacks?: string;
  /** File that gets the page. */
  readonly html?: string;
}

/** So many are looked at together: each is a run of Pulumi, which takes a core for half a second. */
const AT_ONCE = 4;

/** What a look at the states and buckets alone does not tell. */
const NOT_CHECKED = "containers and the cloud's settings, which drift compares for one stack";

/**
 * Looks at the backups of several stacks: their recorded states and their buckets, without a run of their programs.
 * @returns the exit code: `badNews` where one needs attention, else `failed` where one could not be looked at
 */
export async function fleetStatus(
  screen: Screen,
  options: CommonOptions,
  fleet: FleetOptions,
): Promise<number> {
  const stacks = await chosenStacks(options, fleet);
  const now = new Date();
  const applications = await readAll(screen, stacks, now.getTime());
  screen.clear();
  printApplications(screen, applications, now.getTime());
  const count = (verdict: Application["verdict"]) =>
    applications.filter((one) => one.verdict === verdict).length;
  const [bad, unknown] = [count("attention"), count("unknown")];
  screen.line();
  screen.line(summaryOf(applications.length, bad, unknown));
  screen.line(paint.faint(`Not checked: ${NOT_CHECKED}.`));
  if (fleet.html !== undefined) {
    await writePage(fleet.html, renderPage(applications, now));
    screen.line(`Wrote ${fleet.html}.`);
  }
  screen.document({
    at: now.toISOString(),
    applications: applications.map((one) => documentOf(one)),
    attention: bad,
    unknown,
    notChecked: NOT_CHECKED,
    ...(fleet.html !== undefined && { page: fleet.html }),
  });
  if (bad > 0) return EXIT.badNews;
  return unknown > 0 ? EXIT.failed : EXIT.well;
}

/** @throws Problem when two options contradict each other */
async function chosenStacks(
  options: CommonOptions,
  { all, stacks }: FleetOptions,
): Promise<NamedStack[]> {
  if (options.outputs !== undefined) {
    throw new Problem(
      "--outputs: saved outputs hold no key to look into a bucket. Leave --outputs out, and name the stacks.",
    );
  }
  if (all !== true && stacks === undefined) {
    const { cwd, stack } = options;
    return [{ stack: stack ?? "", choice: { cwd, stack, needsEngine: true } }];
  }
  if (options.stack !== undefined) {
    throw new Problem(
      `--stack ${options.stack}: ${stacks === undefined ? "--all" : "--stacks"} names the stacks already. Leave one of the two out.`,
    );
  }
  return stacks === undefined ? stacksOfProject(options.cwd) : stacksOfFile(stacks, options.cwd);
}

/** In the order of the stacks, a few at a time. */
async function readAll(
  screen: Screen,
  stacks: readonly NamedStack[],
  now: number,
): Promise<Application[]> {
  const rows: Application[][] = [];
  const waiting = [...stacks.entries()];
  let done = 0;
  const show = () => screen.progress([`${done} of ${plural(stacks.length, "stack")} read`]);
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, stack] = next;
      rows[index] = (await lookAt(stack)).map((looked) => judge(looked, now));
      done += 1;
      show();
    }
  };
  show();
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return rows.flat();
}

/** Painted when it is printed: only then it is known whether colours are wanted. */
const WORDS: Readonly<Record<Application["verdict"], () => string>> = {
  ok: () => paint.good("ok"),
  attention: () => paint.bad("LOOK"),
  unknown: () => paint.uncertain("?"),
};

const TREND = 8;

/** A row for each application, of several databases one for each. */
export function printApplications(
  screen: Screen,
  applications: readonly Application[],
  now: number,
): void {
  const rows = applications.flatMap((one) => {
    const databases = one.databases.length === 0 ? [undefined] : one.databases;
    return databases.map((database, i) => ({
      cells: [
        i === 0 ? one.title : "",
        databases.length > 1 ? (database?.database ?? "") : "",
        i === 0 ? WORDS[one.verdict]() : "",
        database === undefined ? "-" : newestText(database),
        database === undefined ? "-" : ageText(database, now),
        database === undefined ? "-" : database.withinRpo ? paint.good("ok") : paint.bad("LATE"),
        database === undefined ? "-" : drillText(database, now),
        database === undefined ? "" : sparkline(sizesOf(database, TREND)),
        i === 0 ? keptText(one) : "",
        i === 0 ? lockText(one) : "",
        i === 0 ? formatBytes(one.storedBytes) : "",
        i === 0 ? costText(one) : "",
      ],
      note: i === databases.length - 1 ? one.attention.join("; ") || undefined : undefined,
    }));
  });
  const severalDatabases = applications.some(({ databases }) => databases.length > 1);
  const columns = [
    { title: "application", heads: true },
    { title: severalDatabases ? "database" : "", heads: true },
    { title: "state", heads: true },
    { title: "newest", align: "right" },
    { title: "age", align: "right" },
    { title: "RPO" },
    { title: "drill" },
    { title: "trend", givesWay: 5 },
    { title: "kept", givesWay: 3 },
    { title: "lock", givesWay: 2 },
    { title: "stored", align: "right", givesWay: 1 },
    { title: "monthly", align: "right", givesWay: 4 },
  ] as const;
  const shown = columns.map((_, i) => i).filter((i) => severalDatabases || i !== 1);
  screen.table(
    shown.map((i) => columns[i] as (typeof columns)[number]),
    rows.map(({ cells }) => shown.map((i) => cells[i] ?? "")),
    { indent: 2, notes: rows.map(({ note }) => note) },
  );
}

function costText({ monthlyUsd }: Application): string {
  return monthlyUsd === undefined ? "-" : `$${monthlyUsd.toFixed(2)}`;
}

function summaryOf(all: number, bad: number, unknown: number): string {
  const parts = [
    plural(all, "application"),
    ...(bad > 0 ? [paint.bad(`${bad} ${bad === 1 ? "needs" : "need"} attention`)] : []),
    ...(unknown > 0 ? [paint.uncertain(`${unknown} could not be read`)] : []),
    ...(bad + unknown === 0 ? [paint.good("all is well")] : []),
  ];
  return parts.join(", ");
}

function documentOf(one: Application): object {
  const { stack, title, backup, verdict, attention, failure, lock, storedBytes, monthlyUsd } = one;
  return {
    stack,
    application: title,
    name: backup?.name ?? null,
    state: verdict,
    attention,
    error: failure ?? null,
    databases: one.databases.map(({ database, latest, withinRpo, drills, ...rest }) => ({
      database,
      newest: latest ? { stamp: latest.stamp, bytes: latest.bytes, key: latest.key } : null,
      withinRpo,
      sizes: sizesOf({ database, drills, ...rest }, 30),
      drill: drills[0]
        ? {
            verdict: drills[0].verdict,
            startedAt: drills[0].startedAt,
            totalMs: drills[0].totalMs,
          }
        : null,
    })),
    rpoHours: backup?.rpoHours ?? null,
    retentionDays: backup?.retentionDays ?? null,
    tierDays: backup?.tierDays ?? null,
    lock: lock ?? null,
    storedBytes,
    monthlyUsd: monthlyUsd ?? null,
  };
}

/** Whoever has it open sees the old page or the new one. @throws Problem when it cannot be written */
async function writePage(path: string, page: string): Promise<void> {
  try {
    await writeFile(`${path}.new`, page);
    await rename(`${path}.new`, path);
  } catch (error) {
    throw new Problem(
      `--html ${path} cannot be written: ${writeFault(error)}. Give a file in a folder that is there.`,
      { cause: error },
    );
  }
}
