// Bech32, https://github.com/bitcoin/bips/blob/master/bip-0173.mediawiki, without its limit of 90 characters, as the
// specification of age has it: https://c2sp.org/age.

const ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
const CHECKSUM_WORDS = 6;

/** Writes bytes under a prefix in lower case. */
export function encodeBech32(prefix: string, bytes: Uint8Array): string {
  const words = regroup(bytes, 8, 5, true);
  const sum = polymod([...expand(prefix), ...words, ...Array(CHECKSUM_WORDS).fill(0)]) ^ 1;
  for (let i = CHECKSUM_WORDS - 1; i >= 0; i -= 1) words.push((sum >>> (5 * i)) & 31);
  return `${prefix}1${words.map((word) => ALPHABET[word]).join("")}`;
}

/** Reads a text; undefined when it is not Bech32: mixed case, a foreign character, a wrong checksum, bits left over. */
export function decodeBech32(text: string): { prefix: string; bytes: Buffer } | undefined {
  const lower = text.toLowerCase();
  if (text !== lower && text !== text.toUpperCase()) return undefined;
  const split = lower.lastIndexOf("1");
  const words = [...lower.slice(split + 1)].map((letter) => ALPHABET.indexOf(letter));
  if (split < 1 || words.length < CHECKSUM_WORDS || words.includes(-1)) return undefined;
  const prefix = lower.slice(0, split);
  if (polymod([...expand(prefix), ...words]) !== 1) return undefined;
  const bytes = regroup(words.slice(0, -CHECKSUM_WORDS), 5, 8, false);
  return bytes && { prefix, bytes: Buffer.from(bytes) };
}

function polymod(words: readonly number[]): number {
  let sum = 1;
  for (const word of words) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ word;
    for (const [bit, generator] of GENERATOR.entries()) if ((top >>> bit) & 1) sum ^= generator;
  }
  return sum;
}

function expand(prefix: string): number[] {
  const codes = [...prefix].map((letter) => letter.charCodeAt(0));
  return [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)];
}

function regroup(from: Iterable<number>, width: number, to: number, pad: true): number[];
function regroup(
  from: Iterable<number>,
  width: number,
  to: number,
  pad: false,
): number[] | undefined;
function regroup(from: Iterable<number>, width: number, to: number, pad: boolean) {
  const out: number[] = [];
  let held = 0;
  let bits = 0;
  for (const word of from) {
    held = ((held << width) | word) & 0xfff;
    bits += width;
    while (bits >= to) {
      bits -= to;
      out.push((held >> bits) & ((1 << to) - 1));
    }
  }
  const rest = held & ((1 << bits) - 1);
  if (pad) {
    if (bits > 0) out.push(rest << (to - bits));
  } else if (bits >= width || rest !== 0) {
    return undefined;
  }
  return out;
}
