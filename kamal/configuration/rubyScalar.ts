/**
 * What an unquoted scalar of YAML is to Ruby, and so to Kamal, as Ruby prints it: its own rules (psych 5.3,
 * lib/psych/scalar_scanner.rb) are those of no version of YAML. `1e3`, `0899` and `y` are texts there, `1,000` is a number,
 * and a number has as many digits as it is given.
 * @returns undefined for a date or a time, which Kamal refuses
 */
export function rubyScalar(text: string): string | boolean | null | undefined {
  if (text === "") return null;
  if (TEXT.test(text) || text.includes("\n")) return text.length > 5 ? text : word(text);
  if (TIME.test(text) || DATE.test(text)) return undefined;
  if (/^\+?\.inf$/i.test(text)) return "Infinity";
  if (/^-\.inf$/i.test(text)) return "-Infinity";
  if (/^\.nan$/i.test(text)) return "NaN";
  if (/^:./s.test(text)) return symbol(text);
  if (SEXAGESIMAL.test(text)) return String(sexagesimal(text.replace(/_/g, "")));
  if (SEXAGESIMAL_FLOAT.test(text)) return floatText(sexagesimal(text.replace(/_/g, "")));
  if (FLOAT.test(text)) {
    return /^[-+]?\.$/.test(text) ? text : floatText(Number(text.replace(/[,_]/g, "")));
  }
  return INTEGER.test(text) ? String(integer(text.replace(/[,_]/g, ""))) : text;
}

const TEXT = /^[^\d.:-]?[\p{Alphabetic}_\s!@#$%^&*(){}<>|/\\~;=]+/u;
const TIME =
  /^-?\d{4}-\d{1,2}-\d{1,2}(?:[Tt]|\s+)\d{1,2}:\d\d:\d\d(?:\.\d*)?(?:\s*(?:Z|[-+]\d{1,2}:?(?:\d\d)?))?$/;
const DATE = /^\d{4}-(?:1[012]|0\d|\d)-(?:[12]\d|3[01]|0\d|\d)$/;
const SEXAGESIMAL = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9]){1,2}$/;
const SEXAGESIMAL_FLOAT = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9]){1,2}\.[0-9_]*$/;
const FLOAT = /^[-+]?(?:[0-9][0-9_,]*)?\.[0-9]*(?:[eE][-+][0-9]+)?$/;
/** Of base 2, 8, 10 and 16. */
const INTEGER =
  /^[-+]?(?:0b[_,]*[01][01_,]*|0[_,]*[0-7][0-7_,]*|0|[1-9](?:[0-9]|,[0-9]|_[0-9])*|0x[_,]*[0-9a-fA-F][0-9a-fA-F_,]*)$/;

function word(text: string): string | boolean | null {
  if (text === "~" || /^null$/i.test(text)) return null;
  if (/^(?:yes|true|on)$/i.test(text)) return true;
  if (/^(?:no|false|off)$/i.test(text)) return false;
  return text;
}

/** Its name, `:` and quotes left out. */
function symbol(text: string): string {
  const quoted = /^:(["'])(.*)\1/.exec(text)?.[2];
  return (quoted ?? text).replace(/^:/, "");
}

/** Hours, minutes and seconds; of two parts the first is hours, too. */
function sexagesimal(text: string): number {
  const parts = text.split(":").map(Number);
  return parts.reduce((sum, part, at) => sum + part * 60 ** Math.abs(at - 2), 0);
}

function integer(text: string): bigint {
  const negative = text.startsWith("-");
  const digits = text.replace(/^[-+]/, "").replace(/^0(?=[0-7])/, "0o");
  return negative ? -BigInt(digits) : BigInt(digits);
}

/** Digits until 10^16, and from 0.0001 on; beyond that with an exponent of two digits at least. */
function floatText(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    const [mantissa = "", exponent = ""] = value.toExponential().split("e");
    const digits = exponent.slice(1).padStart(2, "0");
    return `${mantissa.includes(".") ? mantissa : `${mantissa}.0`}e${exponent[0]}${digits}`;
  }
  const text = Object.is(value, -0) ? "-0" : String(value);
  return text.includes(".") ? text : `${text}.0`;
}
