import { printable } from "../../common/printable.ts";

/** HTML that was made here: nothing in it needs escaping any more. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
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
