import { html, htmlPage, Markup } from "../fleet/markup.ts";
import type { Kit } from "./kit.ts";

const LINE = "_".repeat(30);

/** The page as plain text. */
export function kitText({ title, facts, blanks, missing, tools, commands, others }: Kit): string {
  const width = Math.max(...facts.map(([name]) => name.length));
  return [
    title,
    "",
    "Print this, and keep it in two places that are not the server. No secret stands on it.",
    "",
    ...facts.map(([name, value]) => `  ${name.padEnd(width)}   ${value}`),
    "",
    "Fill in by hand:",
    ...blanks.map((blank) => `  ${blank}: ${LINE}`),
    "",
    "What the bucket does not have:",
    ...missing.map((item) => `  - ${item}`),
    "",
    `You need ${tools}`,
    "Start a new PostgreSQL server, and put its address into the commands. Type them line by line, in bash, in an empty folder with",
    "room for the backup twice.",
    ...others,
    "",
    commands.trimEnd(),
    "",
  ].join("\n");
}

const STYLE = new Markup(`
:root { color-scheme: light dark; }
body { margin: 0 auto; max-width: 50rem; padding: 1rem; font: 1rem/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 1.5rem 0 .25rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; } dt { font-weight: 600; } dd { margin: 0; }
.blank { border-bottom: 1px solid; min-height: 1.8rem; padding-top: .4rem; }
pre { font: .8rem/1.4 ui-monospace, monospace; white-space: pre-wrap; border: 1px solid; padding: .75rem; }
@media print { :root { color-scheme: light; } body { max-width: none; padding: 0; font-size: .85rem; } pre { font-size: .62rem; }
  dl, .blank { break-inside: avoid; } h2 { break-after: avoid; } }
`);

/** The page for a printer: one file, no script, nothing that is loaded from elsewhere. */
export function kitHtml({ title, facts, blanks, missing, tools, commands, others }: Kit): string {
  // A command that spans lines has to keep them.
  const lines = commands.trimEnd().split("\n");
  const code = lines.flatMap((line, index) => (index === 0 ? [line] : [new Markup("\n"), line]));
  const body = html`<h1>${title}</h1>
<p>Print this, and keep it in two places that are not the server. No secret stands on it.</p>
<h2>Where the backups are</h2>
<dl>
${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>\n`)}</dl>
<h2>Fill in by hand</h2>
${blanks.map((blank) => html`<p class="blank">${blank}:</p>\n`)}
<h2>What the bucket does not have</h2>
<ul>
${missing.map((item) => html`<li>${item}</li>\n`)}</ul>
<h2>The commands</h2>
<p>You need ${tools}</p>
<p>Start a new PostgreSQL server, and put its address into the commands. Type them line by line, in bash, in an empty folder with room for the backup twice.</p>
${others.map((other) => html`<p>${other}</p>\n`)}
<pre><code>${code}</code></pre>`;
  return htmlPage(title, STYLE, body);
}
