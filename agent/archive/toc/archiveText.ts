/**
 * Encodings of a client of PostgreSQL by the names that a TextDecoder has for them (https://encoding.spec.whatwg.org/#names-and-labels).
 * What is not here is read as UTF-8: SQL_ASCII, where names are bytes of any encoding, and EUC_TW, JOHAB and MULE_INTERNAL.
 */
const LABELS: Readonly<Record<string, string>> = {
  BIG5: "big5",
  EUC_CN: "gbk",
  EUC_JP: "euc-jp",
  EUC_JIS_2004: "euc-jp",
  EUC_KR: "euc-kr",
  GB18030: "gb18030",
  GBK: "gbk",
  ISO_8859_5: "iso-8859-5",
  ISO_8859_6: "iso-8859-6",
  ISO_8859_7: "iso-8859-7",
  ISO_8859_8: "iso-8859-8",
  KOI8R: "koi8-r",
  KOI8U: "koi8-u",
  LATIN1: "iso-8859-1",
  LATIN2: "iso-8859-2",
  LATIN3: "iso-8859-3",
  LATIN4: "iso-8859-4",
  LATIN5: "iso-8859-9",
  LATIN6: "iso-8859-10",
  LATIN7: "iso-8859-13",
  LATIN8: "iso-8859-14",
  LATIN9: "iso-8859-15",
  LATIN10: "iso-8859-16",
  SHIFT_JIS_2004: "shift_jis",
  SJIS: "shift_jis",
  UHC: "euc-kr",
  WIN866: "ibm866",
  WIN874: "windows-874",
  WIN1250: "windows-1250",
  WIN1251: "windows-1251",
  WIN1252: "windows-1252",
  WIN1253: "windows-1253",
  WIN1254: "windows-1254",
  WIN1255: "windows-1255",
  WIN1256: "windows-1256",
  WIN1257: "windows-1257",
  WIN1258: "windows-1258",
};

/** In front of everything in a dump as SQL: _doSetFixedOutputState of PostgreSQL 17's pg_backup_archiver.c. */
const ENCODING = /^SET client_encoding = '(\w+)';$/m;

/** Whether every encoding reads these bytes, one a character, in the same way. */
export function isAscii(bytes: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
  return /^[\x00-\x7f]*$/.test(bytes);
}

/** PostgreSQL's name of the encoding that a dump as SQL says it is in; undefined when it says none. */
export function encodingOf(bytes: string): string | undefined {
  return ENCODING.exec(bytes)?.[1];
}

/**
 * Reads text of an archive, which is in the encoding of the database, or the one that pg_dump was given.
 * @param bytes one a character
 * @param encoding PostgreSQL's name for it. @default what the text says of itself, else UTF-8
 */
export function decodeText(bytes: string, encoding = encodingOf(bytes)): string {
  if (isAscii(bytes)) return bytes;
  const label = LABELS[encoding ?? ""];
  // A TextDecoder takes Windows-1252 for it, which differs in 32 characters.
  if (label === "iso-8859-1") return bytes;
  return new TextDecoder(label ?? "utf-8").decode(Buffer.from(bytes, "latin1"));
}
