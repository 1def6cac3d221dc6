import { formatBytes } from "../../common/format.ts";
import { stateOf } from "../backups/states.ts";
import { formatDuration, formatStamp, plural } from "../terminal/format.ts";
import { restoreTimes, sizes, timeline } from "./charts.ts";
import {
  type Application,
  ageText,
  drillText,
  type JudgedDatabase,
  keptText,
  lockText,
  newestText,
  sizesOf,
} from "./judge.ts";
import { html, htmlPage, Markup } from "./markup.ts";
import { DARK, LIGHT, propertiesOf } from "./palette.ts";

const WORDS = { ok: "ok", attention: "needs attention", unknown: "not known" } as const;
const CLASSES = { ok: "good", attention: "bad", unknown: "uncertain" } as const;

/** Rows of a table of backups; the charts show more. */
const MOST_ROWS = 31;

const STYLE = new Markup(`
:root { color-scheme: light dark; ${propertiesOf(LIGHT)} }
@media (prefers-color-scheme: dark) { :root { ${propertiesOf(DARK)} } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2.5rem 0 0; } h3 { font-size: 1rem; margin: 1.5rem 0 0; }
p { margin: .25rem 0; } .faint, figcaption, th, dt { color: var(--faint); }
.good { color: var(--good); fill: var(--good); } .bad { color: var(--bad); fill: var(--bad); }
.uncertain { color: var(--uncertain); fill: var(--uncertain); } .mark { fill: var(--mark); }
.word { font-weight: 600; white-space: nowrap; }
.gap { fill: var(--bad); opacity: .25; } .axis { stroke: var(--line); } .limit { stroke: var(--bad); stroke-dasharray: 6 4; }
figure { margin: .75rem 0; } svg { display: block; width: 100%; height: 4rem; border-bottom: 1px solid var(--line); }
figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; font-size: .875rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
caption { text-align: left; font-size: .875rem; } dt { white-space: nowrap; overflow-wrap: normal; }
td.why { white-space: normal; min-width: 14rem; }
th { font-weight: 400; font-size: .875rem; } td.number, th.number { text-align: right; }
dl { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; margin: .5rem 0; } dl div { display: flex; gap: .5rem; } dd { margin: 0; }
ul { margin: .5rem 0; padding-left: 1.25rem; } a { color: var(--mark); }
@media print { :root { color-scheme: light; font-size: 80%; ${propertiesOf(LIGHT)} } body { max-width: none; padding: 0; }
  figure, tr, h2, h3 { break-inside: avoid; } h2, h3 { break-after: avoid; } * { print-color-adjust: exact; } .wide { overflow: visible; } }
`);

/** One page that holds all of itself: no script, and nothing that is loaded from elsewhere. */
export function renderPage(applications: readonly Application[], now: Date): string {
  const at = `${formatStamp(now.toISOString().slice(0, 16))} UTC`;
  const troubled = applications.filter(({ verdict }) => verdict !== "ok");
  const title = `Backups of ${plural(applications.length, "application")}`;
  const body = html`<header>
<h1>${title}</h1>
<p class="faint">As of ${at}. Containers and the cloud's settings were not checked.</p>
</header>
<main>
<section aria-labelledby="attention">
<h2 id="attention">What needs attention</h2>
${troubled.length === 0 ? html`<p class="good word">Nothing: every newest backup is young enough.</p>` : troubles(applications)}
</section>
<section aria-labelledby="overview">
<h2 id="overview">Overview</h2>
${overview(applications, now.getTime())}
</section>
${applications.map((one, i) => section(one, i, now.getTime()))}
</main>`;
  return htmlPage(`${title}, ${at}`, STYLE, body);
}

function troubles(applications: readonly Application[]): Markup {
  const rows = applications.map((one, i) =>
    one.verdict === "ok"
      ? ""
      : html`<li><a href="#application-${i}">${one.title}</a> <span class="word ${CLASSES[one.verdict]}">${WORDS[one.verdict]}</span>: ${one.attention.join("; ")}</li>\n`,
  );
  return html`<ul>
${rows}</ul>`;
}

function overview(applications: readonly Application[], now: number): Markup {
  const rows = applications.flatMap((one, i) => {
    const link = html`<a href="#application-${i}">${one.title}</a>`;
    const word = html`<span class="word ${CLASSES[one.verdict]}">${WORDS[one.verdict]}</span>`;
    if (one.databases.length === 0) {
      return [html`<tr><td>${link}</td><td>${word}</td><td colspan="5">-</td></tr>\n`];
    }
    return one.databases.map(
      (database) =>
        html`<tr><td>${link}</td><td>${word}</td><td class="number">${ageText(database, now)}</td><td class="number">${newestText(database)}</td><td>${drillText(database, now)}</td><td>${database.database}</td><td class="number">${costOf(one)}</td></tr>\n`,
    );
  });
  return html`<div class="wide" tabindex="0"><table>
<caption class="faint">Each application's newest backup</caption>
<thead><tr><th scope="col">application</th><th scope="col">state</th><th scope="col" class="number">age</th><th scope="col" class="number">newest</th><th scope="col">drill</th><th scope="col">database</th><th scope="col" class="number">a month</th></tr></thead>
<tbody>
${rows}</tbody>
</table></div>`;
}

function costOf({ monthlyUsd }: Application): string {
  return monthlyUsd === undefined ? "-" : `$${monthlyUsd.toFixed(2)}`;
}

function section(one: Application, index: number, now: number): Markup {
  const { backup, attention, verdict, title, storedBytes, copies } = one;
  const facts: [string, string][] =
    backup === undefined
      ? []
      : [
          ["bucket", `s3://${backup.location.bucket}/${backup.location.prefix}`],
          ["schedule", backup.schedule],
          ["RPO", `${backup.rpoHours} h`],
          ["kept", keptText(one)],
          ["lock", lockText(one)],
          ["stored", formatBytes(storedBytes)],
          ["a month", costOf(one)],
          ...(copies === undefined ? [] : [["second bucket", "yes"] as [string, string]]),
        ];
  const terms = facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`);
  return html`<section aria-labelledby="application-${index}">
<h2 id="application-${index}">${title} <span class="word ${CLASSES[verdict]}">${WORDS[verdict]}</span></h2>
${attention.map((text) => html`<p class="${CLASSES[verdict]}">${text}</p>\n`)}${terms.length === 0 ? "" : html`<dl>${terms}</dl>`}
${one.databases.map((database) => databasePart(database, backup?.rpoHours ?? 0, now))}</section>
`;
}

function databasePart(database: JudgedDatabase, rpoHours: number, now: number): Markup {
  const { entries, drills } = database;
  const measured = drills.some(({ loadMs }) => loadMs !== null);
  return html`<h3>${database.database}</h3>
<p class="${database.withinRpo ? "good" : "bad"}">${database.text}</p>
${entries.length === 0 ? "" : timeline(database, rpoHours, now)}${entries.length === 0 ? "" : sizes(database.database, sizesOf(database, 60))}${measured ? restoreTimes(database.database, drills) : ""}${backupTable(database)}${drillTable(database)}`;
}

function backupTable({ database, entries }: JudgedDatabase): Markup | string {
  if (entries.length === 0) return "";
  const shown = entries.slice(0, MOST_ROWS);
  const count = shown.length < entries.length ? `newest ${shown.length} of ${entries.length} ` : "";
  const rows = shown.map((entry) => {
    const state = stateOf(entry);
    const kind = state === "complete" || state === "verified" ? "good" : "uncertain";
    return html`<tr><td>${formatStamp(entry.stamp)}</td><td class="number">${formatBytes(entry.bytes)}</td><td class="${kind}">${state}</td></tr>\n`;
  });
  return html`<div class="wide" tabindex="0"><table>
<caption class="faint">The ${count}backups of ${database}</caption>
<thead><tr><th scope="col">taken (UTC)</th><th scope="col" class="number">size</th><th scope="col">state</th></tr></thead>
<tbody>
${rows}</tbody>
</table></div>
`;
}

function drillTable({ database, drills }: JudgedDatabase): Markup | string {
  if (drills.length === 0) return "";
  const rows = drills.map(
    ({ startedAt, verdict, totalMs, reason, backup }) =>
      html`<tr><td>${formatStamp(startedAt.slice(0, 19))}</td><td>${backup === null ? "-" : formatStamp(backup.stamp)}</td><td>${verdict === "couldNotRun" ? "could not run" : verdict}</td><td class="number">${formatDuration(totalMs)}</td><td class="why">${reason ?? ""}</td></tr>\n`,
  );
  return html`<div class="wide" tabindex="0"><table>
<caption class="faint">Drills of ${database}</caption>
<thead><tr><th scope="col">begun (UTC)</th><th scope="col">backup of</th><th scope="col">verdict</th><th scope="col" class="number">took</th><th scope="col">why</th></tr></thead>
<tbody>
${rows}</tbody>
</table></div>
`;
}
