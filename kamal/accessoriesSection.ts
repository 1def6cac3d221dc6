import { Problem } from "../common/problem.ts";

/** One line of a file; `end` is empty for a last line that is not ended. */
export interface Line {
  readonly text: string;
  readonly end: string;
}

/** Splits so that joining `text + end` gives the file back byte for byte. */
export function splitLines(text: string): Line[] {
  return [...text.matchAll(/([^\n]*?)(\r?\n|$)/g)]
    .filter(([whole]) => whole !== "")
    .map(([, line = "", end = ""]) => ({ text: line, end }));
}

/** The mapping `accessories:` in the lines of a deploy.yml. */
export interface Section {
  /** Index of the line that holds the key. */
  readonly head: number;
  /** Index of the first line that no longer belongs to the mapping. */
  readonly stop: number;
  /** Index of the line before which one more child belongs. */
  readonly insertAt: number;
  readonly childIndent: number;
  readonly children: readonly { readonly key: string; readonly line: number }[];
}

const HEAD = /^(?:\uFEFF)?(["']?)accessories\1[ \t]*:(?:[ \t]+(?<rest>.*))?$/;
const CHILD = /^(?<indent> +)(["']?)(?<key>[^\s#"':][^"':]*)\2[ \t]*:(?:[ \t]|$)/;

/**
 * Finds the mapping by its lines: with ERB and comments in it, the file cannot go through a YAML parser and come back.
 * @param without lines that are looked at as if they were empty
 * @returns undefined when the file has no such key
 * @throws Problem when it cannot be added to
 */
export function accessoriesSection(
  lines: readonly Line[],
  without?: { readonly begin: number; readonly end: number },
): Section | undefined {
  const { masked, depth } = maskErb(lines);
  if (without) masked.fill("", without.begin, without.end + 1);
  const heads = masked.flatMap((text, index) => (HEAD.test(text) ? [index] : []));
  const [head] = heads;
  const mark = masked.findIndex((text) => /^(?:---|\.\.\.)(?:\s|$)/.test(text));
  if (masked.slice(0, Math.max(mark, 0)).some((text) => /^[^\s#%]/.test(text))) {
    throw new Problem(
      `deploy.yml line ${mark + 1} ends the YAML document, and Kamal reads no further. Remove that line.`,
    );
  }
  if (head === undefined) return undefined;
  if (heads.length > 1) {
    throw new Problem(
      `deploy.yml has accessories: ${heads.length} times (lines ${heads.map((h) => h + 1).join(", ")}). Keep one.`,
    );
  }
  refuseInline(masked[head] ?? "", head);

  const next = masked.findIndex((text, index) => index > head && /^[^\s#]/.test(text));
  const stop = next < 0 ? lines.length : next;
  const last = masked.findLastIndex((text, index) => index < stop && /^\s+\S/.test(text));
  const insertAt = afterOpenErb(depth, Math.max(head, last), head, stop) + 1;
  return { head, stop, insertAt, ...readChildren(masked, head + 1, insertAt) };
}

/**
 * Takes an accessory's own lines out of a file; comments and blanks in front of it and of the next one stay. The last one takes
 * `accessories:` along: with nothing below it Kamal's merge would drop the other file's accessories.
 * @returns the same text where it does not stand there on lines of its own
 * @throws Problem as `accessoriesSection`
 */
export function removeAccessory(text: string, key: string): string {
  const lines = splitLines(text);
  const section = accessoriesSection(lines);
  const at = section?.children.findIndex((child) => child.key === key) ?? -1;
  const child = section?.children[at];
  if (section === undefined || child === undefined) return text;
  const next = section.children[at + 1]?.line ?? section.insertAt;
  // Backwards over what leads to the next one.
  let end = next;
  while (end > child.line + 1 && isLeading(lines[end - 1]?.text ?? "", section.childIndent)) end--;
  const before = lines.slice(0, child.line);
  if (section.children.length === 1) before.splice(section.head, 1);
  return [...before, ...lines.slice(end)].map((line) => line.text + line.end).join("");
}

/** A blank line, or a comment that is not indented further than an accessory. */
function isLeading(text: string, childIndent: number): boolean {
  const content = text.trimStart();
  return content === "" || (content.startsWith("#") && text.length - content.length <= childIndent);
}

function refuseInline(text: string, line: number): void {
  const rest =
    HEAD.exec(text)
      ?.groups?.["rest"]?.replace(/(^|[ \t])#.*$/, "")
      .trim() ?? "";
  if (rest === "" || /^&\S+$/.test(rest)) return;
  throw new Problem(
    `deploy.yml line ${line + 1}: accessories: is followed by "${rest}" on its line, so that no accessory can be added. Write each accessory on lines of its own below it.`,
  );
}

function readChildren(
  masked: readonly string[],
  from: number,
  to: number,
): Pick<Section, "childIndent" | "children"> {
  const found = masked.flatMap((text, line) => {
    const groups = line >= from && line < to ? CHILD.exec(text)?.groups : undefined;
    return groups
      ? [{ line, indent: groups["indent"]?.length ?? 0, key: groups["key"]?.trim() ?? "" }]
      : [];
  });
  const childIndent = found[0]?.indent ?? 2;
  const children = found.filter(({ indent }) => indent === childIndent);
  return { childIndent, children: children.map(({ key, line }) => ({ key, line })) };
}

/** An `if` that opens within the mapping closes before our block starts. */
function afterOpenErb(depth: readonly number[], last: number, head: number, stop: number): number {
  let at = last;
  while ((depth[at] ?? 0) > (depth[head] ?? 0) && at + 1 < stop) at++;
  return at;
}

/** Lines with ERB tags replaced by stand-ins of the same length, and how many Ruby blocks are open after each line. */
function maskErb(lines: readonly Line[]): { masked: string[]; depth: number[] } {
  const whole = lines.map(({ text }) => text).join("\n");
  const changes: { line: number; by: number }[] = [];
  const text = whole.replace(
    /<%(?!%)([#=-]?)([\s\S]*?)-?%>/g,
    (tag, kind: string, body: string, at: number) => {
      if (kind !== "#" && kind !== "=") {
        const line = whole.slice(0, at + tag.length).split("\n").length - 1;
        const by = body.split("\n").reduce((sum, ruby) => sum + nesting(ruby), 0);
        changes.push({ line, by });
      }
      return tag.replace(/[^\n]/g, kind === "=" ? "x" : " ");
    },
  );
  let open = 0;
  const depth = lines.map((_, index) => {
    for (const { line, by } of changes) if (line === index) open += by;
    return open;
  });
  return { masked: text.split("\n"), depth };
}

function nesting(ruby: string): number {
  const line = ruby.trim();
  const opens = /^(?:if|unless|case|while|until|for|begin)\b|(?:\bdo|\{)\s*(?:\|[^|]*\|)?$/.test(
    line,
  );
  const closes = /^(?:end\b|\})|\bend$/.test(line);
  return Number(opens) - Number(closes);
}
