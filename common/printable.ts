/**
 * What a terminal would obey instead of showing: control characters, those that turn the direction of a text, and the
 * line ends that are none of ours. https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
 */
const OBEYED = /(?![\t\n])[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/**
 * A text that may come from anywhere (a key in the bucket, a manifest, the name of a database, a statement of SQL), to be
 * printed to a terminal: what it would obey stands there as `\u{1b}`. Line ends and tabs stay.
 */
export function printable(text: string): string {
  return text.replace(OBEYED, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/** JSON of a value, in which a terminal finds nothing to obey either: `JSON.stringify` leaves some of it as it is. */
export function printableJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    OBEYED,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
