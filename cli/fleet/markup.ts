import { printable } from "../../common/printable.ts";

/** HTML that was made here: nothing in it needs escaping any more. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/**
 * A whole page in one file: no script, and nothing that is loaded from elsewhere.
 * @param style CSS that was made here
 */
export function htmlPage(title: string, style: Markup, body: Markup): string {
  const page = html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
${body}
</body>
</html>`;
  return `${page.text}\n`;
}

type Part = string | number | Markup | readonly Part[];

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * HTML with values in it. Every value is escaped, in attributes between quotes as well; what is `Markup` stays. Names come from
 * the bucket, and whoever can write there chooses them: what would turn the direction of the page is shown as its number.
 */
export function html(literals: TemplateStringsArray, ...values: readonly Part[]): Markup {
  return new Markup(
    literals.reduce((text, literal, i) => text + shown(values[i - 1] as Part) + literal),
  );
}

function shown(part: Part): string {
  if (part instanceof Markup) return part.text;
  if (Array.isArray(part)) return part.map(shown).join("");
  return printable(String(part)).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}
