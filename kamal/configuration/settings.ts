import { Problem } from "../../common/problem.ts";
import type { OpaqueExpression } from "./yamlWithErb.ts";

/** What is known while values are read: where opaque expressions came from, and what to give instead of a setting. */
export interface ReadingContext {
  readonly path: string;
  readonly opaque: ReadonlyMap<string, OpaqueExpression>;
  /** The program's argument that replaces a setting of the file, if there is one. */
  readonly argumentFor: (setting: string) => string | undefined;
}

/**
 * Typed view of one mapping of the merged configuration. Nothing is judged until it is asked for, so that an expression
 * which only Ruby can evaluate harms nobody who does not need its value.
 */
export class Settings {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #where: string;
  readonly #context: ReadingContext;

  private constructor(values: Record<string, unknown>, where: string, context: ReadingContext) {
    this.#values = values;
    this.#where = where;
    this.#context = context;
  }

  static root(value: unknown, context: ReadingContext): Settings {
    if (!isMapping(value)) {
      throw new Problem(
        `${context.path} holds no settings. Give the path of the application's deploy.yml.`,
      );
    }
    return new Settings(value, "", context);
  }

  /** Keys whose value is not empty. */
  get keys(): string[] {
    return Object.keys(this.#values).filter((key) => this.has(key));
  }

  /** The same with other values in the place of these, merged as a destination's are. */
  with(others: Readonly<Record<string, unknown>>): Settings {
    const merged = mergeSettings(this.#values, others) as Record<string, unknown>;
    return new Settings(merged, this.#where, this.#context);
  }

  /** Every key, also one without a value. */
  get names(): string[] {
    return Object.keys(this.#values);
  }

  has(key: string): boolean {
    return this.#values[key] !== undefined && this.#values[key] !== null;
  }

  /** Any scalar, as Ruby would print it. */
  text(key: string): string | undefined {
    return this.has(key) ? this.#scalar(this.name(key), this.#values[key]) : undefined;
  }

  requiredText(key: string): string {
    const value = this.text(key);
    if (value === undefined || value === "") throw this.problem(key, "is missing", "Add it");
    return value;
  }

  /** A list of scalars. */
  texts(key: string): string[] {
    return this.list(key).map((value, index) => this.#scalar(`${this.name(key)}[${index}]`, value));
  }

  /** An element that the caller took out of a setting. */
  element(key: string, value: unknown): string {
    return this.#scalar(this.name(key), value);
  }

  /** A list of anything; a missing one is empty. */
  list(key: string): unknown[] {
    if (!this.has(key)) return [];
    const value = this.#values[key];
    this.#refuseOpaque(this.name(key), value);
    if (!Array.isArray(value)) throw this.problem(key, "is not a list", "Make it one");
    return value;
  }

  /** A mapping; a missing one is empty. */
  mapping(key: string): Settings {
    const value = this.#values[key] ?? {};
    this.#refuseOpaque(this.name(key), value);
    if (!isMapping(value)) throw this.problem(key, "is not a mapping", "Make it one");
    return new Settings(value, this.name(key), this.#context);
  }

  isList(key: string): boolean {
    return Array.isArray(this.#values[key]);
  }

  isMapping(key: string): boolean {
    return isMapping(this.#values[key]);
  }

  port(key: string): number | undefined {
    const text = this.text(key);
    if (text === undefined) return undefined;
    const port = Number(text);
    if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
    throw this.problem(key, `"${text}" is not a port number`, "Give one from 1 to 65535");
  }

  flag(key: string): boolean {
    return this.text(key) === "true";
  }

  /** Full name of a setting, for errors. */
  name(key: string): string {
    return this.#where === "" ? key : `${this.#where}.${key}`;
  }

  problem(key: string, what: string, remedy: string): Problem {
    const name = this.name(key);
    const argument = this.#context.argumentFor(name);
    const instead = argument ? `, or give ${argument} to the program` : "";
    return new Problem(`${this.#context.path}: ${name} ${what}. ${remedy}${instead}.`);
  }

  /** Every value as text, each judged only when it is read. */
  lazyTexts(): Record<string, string> {
    const result: Record<string, string> = {};
    for (const key of this.keys) {
      Object.defineProperty(result, key, { enumerable: true, get: () => this.text(key) ?? "" });
    }
    return result;
  }

  #scalar(name: string, value: unknown): string {
    if (value instanceof Date) {
      throw new Problem(
        `${this.#context.path}: ${name} is a date to YAML, which Kamal refuses. Put it into quotes.`,
      );
    }
    if (typeof value === "object") {
      throw new Problem(`${this.#context.path}: ${name} is not a single value. Make it one.`);
    }
    this.#refuseOpaque(name, value);
    return String(value);
  }

  #refuseOpaque(name: string, value: unknown): void {
    if (typeof value !== "string") return;
    for (const [placeholder, { expression, path, reason, unset }] of this.#context.opaque) {
      if (!value.includes(placeholder)) continue;
      const argument = this.#context.argumentFor(name);
      throw new Problem(
        `${path}: ${name} needs ${expression}, but ${reason}. ${remedyFor(argument, unset)}`,
      );
    }
  }
}

function remedyFor(argument: string | undefined, unset: string | undefined): string {
  if (unset === undefined) {
    return argument
      ? `Give ${argument} to the program.`
      : 'Write it as a literal, or use <%= ENV["NAME"] %> there and set that variable.';
  }
  const instead = argument ? `, or give ${argument} to the program` : "";
  return `Set ${unset} for pulumi as it is set for kamal (${unset}= if it is meant to be empty)${instead}.`;
}

/**
 * Kamal's rule for a destination: mappings merge, everything else, lists too, is replaced (Kamal 2.11,
 * lib/kamal/configuration.rb, by ActiveSupport's `deep_merge!`).
 */
export function mergeSettings(base: unknown, over: unknown): unknown {
  if (!isMapping(base) || !isMapping(over)) return over;
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    merged[key] = key in base ? mergeSettings(base[key], value) : value;
  }
  return merged;
}

/** Whether a value of YAML is a mapping. A date is none. */
export function isMapping(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date)
  );
}
