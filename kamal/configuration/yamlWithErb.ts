import { type Document, isScalar, parseDocument, Scalar, visit } from "yaml";
import { Problem } from "../../common/problem.ts";

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
  const warnings: string[] = [];
  const control = controlTags(file.text).join("\n");
  const setsVariables = /\bENV\b|dotenv/i.test(control);
  const hide = (expression: string, reason: string): string => {
    const placeholder = `opaque-erb-${tag}-${opaque.size}-`;
    opaque.set(placeholder, { expression, path: file.path, reason });
    return placeholder;
  };

  if (file.text.replace(TAG, "").includes("<%")) {
    throw new Problem(`${file.path} has an ERB tag (<%) that is never closed. Close it with %>.`);
  }
  const text = file.text.replace(TAG, (...match) => {
    const [whole] = match as [string];
    if (whole === "<%%") return "<%";
    const { kind, body } = match.at(-1) as { kind: string; body: string };
    const shown = whole.replace(/\s+/g, " ");
    if (kind === "=") {
      const found = lookUp(body.trim(), env, setsVariables);
      return "text" in found ? found.text : hide(shown, found.reason);
    }
    if (kind !== "#" && body.trim() !== "") {
      const line = file.text.slice(0, match.at(-3) as number).split("\n").length;
      warnings.push(
        `${file.path} line ${line}: ${shown} needs Ruby and was ignored; what it encloses is read as it stands.`,
      );
    }
    // Its line ends stay, so that the YAML parser counts the lines of the file.
    return whole.replace(/[^\n]/g, "");
  });

  const hideDuplicate = (key: string) =>
    hide(`its second ${key}:`, "it stands twice, under conditions that only Ruby can judge");
  const document = parseYaml(file.path, text, opaque.size > 0);
  if (control !== "") hideDuplicates(document, hideDuplicate);
  readAsRuby(document);
  return { value: toPlain(file.path, document), opaque, warnings };
}

function controlTags(text: string): string[] {
  return [...text.matchAll(TAG)]
    .filter((match) => match[0] !== "<%%" && /^-?$/.test(match.groups?.["kind"] ?? ""))
    .map((match) => match.groups?.["body"] ?? "");
}

function lookUp(
  expression: string,
  env: Environment,
  setsVariables: boolean,
): { text: string } | { reason: string } {
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
  if (fetch || setsVariables) return { reason: `${name} is not set in the environment` };
  // Ruby prints nil as nothing.
  return { text: "" };
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

/** Ruby prints the float 1.0 as `1.0` where JavaScript has `1`, and takes a bare `y` or `n` for text. */
function readAsRuby(document: Document): void {
  visit(document, {
    Scalar(_, scalar) {
      const { value, source = "" } = scalar;
      if (typeof value === "boolean" && /^[yn]$/i.test(source)) scalar.value = source;
      if (Number.isInteger(value) && /^[-+]?[\d_]*\.[\d_]*$/.test(source))
        scalar.value = `${value}.0`;
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
