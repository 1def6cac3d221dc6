import { globSync, readFileSync } from "node:fs";

/** What a user or a colleague reads. The changelog names files and commands as they were. */
export const PAGES = globSync(["README.md", "CONTRIBUTING.md", "docs/**/*.md", "examples/*.md"]);

export interface Block {
  readonly page: string;
  /** Line of its fence, from 1. */
  readonly line: number;
  /** First word behind the fence. */
  readonly language: string;
  /** What a comment in the line above says of it, such as `not run: a picture`. */
  readonly remark: string | undefined;
  readonly lines: readonly string[];
}

/** The fenced blocks of a page; one in a list is indented, and its lines lose that. */
export function blocksOf(page: string, text = readFileSync(page, "utf8")): Block[] {
  const lines = text.split("\n");
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length; at++) {
    const [, indent = "", language = ""] = /^( *)```(\w*)/.exec(lines[at] as string) ?? [];
    if (!(lines[at] as string).startsWith(`${indent}\`\`\``)) continue;
    const end = lines.indexOf(`${indent}\`\`\``, at + 1);
    if (end < 0) throw new Error(`${page}:${at + 1}: the block has no end`);
    const remark = /^ *<!-- (.*) -->$/.exec(lines[at - 1] ?? "")?.[1];
    const content = lines.slice(at + 1, end).map((line) => line.slice(indent.length));
    blocks.push({ page, line: at + 1, language, remark, lines: content });
    at = end;
  }
  return blocks;
}

/** A page without its blocks and comments, line by line. */
function linesOutside(text: string): string[] {
  return text
    .replaceAll(/^( *)```[\s\S]*?\n\1```$/gm, "")
    .replaceAll(/<!--[\s\S]*?-->/g, "")
    .split("\n");
}

/** Targets of links and images. */
export function linksOf(text: string): string[] {
  const outside = linesOutside(text)
    .join("\n")
    .replaceAll(/`[^`\n]*`/g, "");
  const links = outside.matchAll(/\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"|^\[[^\]]+\]: (\S+)$/gm);
  return [...links].map(([, inline, html, reference]) => (inline ?? html ?? reference) as string);
}

/** The anchors that GitHub gives a page: of its headings, each in small letters, without punctuation. */
export function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const line of linesOutside(text)) {
    const heading = /^#{1,6} (.*)$/.exec(line)?.[1];
    if (heading === undefined) continue;
    const words = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const slug = words.replaceAll(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-");
    let anchor = slug;
    for (let n = 1; anchors.has(anchor); n++) anchor = `${slug}-${n}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** Numbers of words of the sentences in a page's paragraphs and lists; tables and headings are none. */
export function sentenceLengths(text: string): number[] {
  const paragraphs = linesOutside(text)
    .map((line) =>
      /^\s*(?:\||#|!\[|<)/.test(line) ? "" : line.replace(/^\s*(?:[-*]|\d+\.) /, "\n"),
    )
    .join("\n")
    .split(/\n\s*\n/);
  return paragraphs
    .flatMap((paragraph) => paragraph.replaceAll(/\s+/g, " ").split(/(?<=[.!?:])["*)]* /))
    .map((sentence) => sentence.split(" ").filter((word) => /\w/.test(word)).length)
    .filter((words) => words > 0);
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] as number;
}
