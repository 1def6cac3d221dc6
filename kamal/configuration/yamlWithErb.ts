import { type Document, isScalar, parseDocument, Scalar, visit } from "yaml";
import { Problem } from "../../common/problem.ts";
import { rubyScalar } from "./rubyScalar.ts";

/** A text file that the caller has read. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** An ERB expression whose value only Ruby could tell. */
export interface OpaqueExpression {
  /** The tag as written, on one line. */
  readonly expression: string;
  readonly path: string;
  readonly reason: string;
  /** The variable that is missing, where it is no more than that. */
  readonly unset?: string;
}

/** A YAML file after its ERB: opaque expressions stand in the values as placeholders. */
export interface RenderedYaml {
  readonly value: unknown;
  readonly opaque: ReadonlyMap<string, OpaqueExpression>;
  readonly warnings: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

const VARIABLE = /ENV\[\s*(["'])(?<name>\w+)\1\s*\]/;
const FETCH = /ENV\.fetch\(\s*(["'])(?<name>\w+)\1\s*(?:,\s*(?<fallback>.+?)\s*)?\)/;
const FALLBACK = /\s*\|\|\s*(?<fallback>.+)/;
const LOOKUP = new RegExp(`^${VARIABLE.source}(?:${FALLBACK.source})?$`);
const FETCH_LOOKUP = new RegExp(`^${FETCH.source}$`);
/** A literal that reads the same in Ruby and here: no escapes, no interpolation. */
const LITERAL = /^(?:"(?<double>[^"\\#]*)"|'(?<single>[^'\\]*)'|(?<integer>\d+))$/;
const TAG = /<%%|<%(?<kind>[#=-]?)(?<body>[\s\S]*?)(?<end>-%>|(?<!%)%>)/g;

/**
 * Reads YAML that may hold ERB, without Ruby: only look-ups in ENV are evaluated. Kamal 2.11 runs the whole file through ERB
 * first, comments included, with a dash that takes the line end along (lib/kamal/configuration.rb, `trim_mode: "-"`).
 * @param tag a word that tells the placeholders of several files apart
 * @throws Problem when the text is no YAML after that
 */
export function readYamlWithErb(file: SourceFile, env: Environment, tag: string): RenderedYaml {
  const opaque = new Map<string, OpaqueExpression>();
  const controls = controlTags(file.text);
  const hide = (expression: string, why: Pick<OpaqueExpression, "reason" | "unset">): string => {
    const placeholder = `opaque-erb-${tag}-${opaque.size}-`;
    opaque.set(placeholder, { expression, path: file.path, ...why });
    return placeholder;
  };

  if (file.text.replace(TAG, "").includes("<%")) {
    throw new Problem(`${file.path} has an ERB tag (<%) that is never closed. Close it with %>.`);
  }
  const text = file.text.replace(TAG, (...match) => {
    const [whole] = match as [string];
    if (whole === "<%%") return "<%";
    const { kind, body } = match.at(-1) as { kind: string; body: string };
    if (kind === "=") {
      const found = lookUp(body.trim(), env);
      if ("text" in found) return found.text;
      // A line of its own is no value: Ruby prints nil as nothing.
      if (found.unset !== undefined && standsAlone(file.text, match.at(-3) as number, whole)) {
        return "";
      }
      return hide(whole.replace(/\s+/g, " "), found);
    }
    // Its line ends stay, so that the YAML parser counts the lines of the file.
    return whole.replace(/[^\n]/g, "");
  });

  const hideDuplicate = (key: string) =>
    hide(`its second ${key}:`, {
      reason: "it stands twice, under conditions that only Ruby can judge",
    });
  const document = parseYaml(file.path, text, opaque.size > 0);
  if (controls.length > 0) hideDuplicates(document, hideDuplicate);
  readAsRuby(document);
  return { value: toPlain(file.path, document), opaque, warnings: warningsAbout(file, controls) };
}

/** A tag that prints nothing: what it does, only Ruby knows. */
interface ControlTag {
  readonly ruby: string;
  readonly line: number;
}

function controlTags(text: string): ControlTag[] {
  return [...text.matchAll(TAG)].flatMap(({ 0: whole, index, groups }) => {
    const ruby = groups?.["body"]?.trim() ?? "";
    if (whole === "<%%" || !/^-?$/.test(groups?.["kind"] ?? "") || ruby === "") return [];
    return [{ ruby, line: text.slice(0, index).split("\n").length }];
  });
}

/** One for the whole file: a condition alone is three tags. */
function warningsAbout({ path }: SourceFile, controls: readonly ControlTag[]): string[] {
  if (controls.length === 0) return [];
  const lines = [...new Set(controls.map(({ line }) => line))];
  const loads = controls.some(({ ruby }) => /dotenv/i.test(ruby))
    ? " The variables that Dotenv would load must be set in the environment of pulumi."
    : "";
  return [
    `${path}: the Ruby in <% %> (line${lines.length > 1 ? "s" : ""} ${lines.join(", ")}) was not run; what it encloses is read as it stands.${loads}`,
  ];
}

function standsAlone(text: string, at: number, tag: string): boolean {
  const before = text.slice(text.lastIndexOf("\n", at - 1) + 1, at);
  const [after = ""] = text.slice(at + tag.length).split("\n");
  return `${before}${after}`.replace(TAG, "").trim() === "";
}

function lookUp(
  expression: string,
  env: Environment,
): { text: string } | { reason: string; unset?: string } {
  const fetch = FETCH_LOOKUP.exec(expression);
  const groups = (fetch ?? LOOKUP.exec(expression))?.groups;
  const name = groups?.["name"];
  if (name === undefined) return { reason: "only Ruby can evaluate it" };
  const value = env[name];
  if (value !== undefined) return { text: value };
  const fallback = groups?.["fallback"];
  if (fallback !== undefined) {
    const literal = LITERAL.exec(fallback)?.groups;
    const text = literal?.["double"] ?? literal?.["single"] ?? literal?.["integer"];
    return text === undefined ? { reason: "only Ruby can evaluate it" } : { text };
  }
  // Kamal sets it with -d alone, so that without one it is nothing on purpose.
  if (name === "KAMAL_DESTINATION" && !fetch) return { text: "" };
  return { reason: `${name} is not set in the environment`, unset: name };
}

/** YAML 1.1, as Ruby reads it: `yes` is a boolean, `<<` merges, of equal keys the last counts. */
function parseYaml(path: string, text: string, hasOpaque: boolean): Document {
  const document = parseDocument(text, { version: "1.1", uniqueKeys: false, logLevel: "silent" });
  const error = document.errors[0];
  if (error) {
    const place = error.linePos ? `${path} line ${error.linePos[0].line}` : path;
    const sentence = error.message.split("\n")[0]?.replace(/ at line \d+.*$/, "");
    const hint = hasOpaque
      ? "It holds ERB that only Ruby can evaluate; keep such tags to single values."
      : "Correct it until `kamal config` reads it.";
    throw new Problem(`${place} is not YAML: ${sentence}. ${hint}`);
  }
  return document;
}

function hideDuplicates(document: Document, hide: (key: string) => string): void {
  visit(document, {
    Map(_, map) {
      const seen = new Set<string>();
      for (const pair of map.items) {
        const key = isScalar(pair.key) ? String(pair.key.value) : "";
        if (key !== "<<" && seen.has(key)) pair.value = new Scalar(hide(key));
        seen.add(key);
      }
    },
  });
}

/** What is unquoted is what it is to Ruby; a date stays one. */
function readAsRuby(document: Document): void {
  visit(document, {
    Scalar(_, scalar) {
      const { value, source, tag, type } = scalar;
      if (type !== Scalar.PLAIN || tag !== undefined) return;
      const read = rubyScalar(typeof value === "string" ? value : (source ?? ""));
      scalar.value = read === undefined ? new Date(0) : read;
    },
  });
}

function toPlain(path: string, document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 1000 });
  } catch (cause) {
    throw new Problem(
      `${path} is not YAML: ${(cause as Error).message}. Correct it until \`kamal config\` reads it.`,
    );
  }
}
