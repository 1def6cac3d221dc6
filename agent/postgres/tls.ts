import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { type ConnectionOptions, getCACertificates } from "node:tls";
import {
  isSslMode,
  type ServerSettings,
  SSL_MODES,
  type SslMode,
} from "../../common/contracts/agentEnvironment/postgres.ts";
import { Problem } from "../../common/problem.ts";

/** Whether a connection is encrypted, and what the server's certificate must prove. */
export interface TlsSettings {
  readonly mode: SslMode;
  /** How the mode was asked for, for messages: `POSTGRES_SSL_MODE`, `PGSSLMODE` or a default. */
  readonly modeText: string;
  /** File with the certificates of the authorities; absent: none is given. */
  readonly rootFile?: string;
}

/** One try to connect: without TLS, or with these options. */
export type TlsAttempt = false | ConnectionOptions;

/**
 * Reads how TLS is wanted. The agent's own variables win over libpq's, which go on working.
 * @throws Problem for a mode that there is not, and for a file that cannot be read
 */
export function tlsSettings(settings: ServerSettings): TlsSettings {
  const { mode, modeText } = chosenMode(settings);
  const root = settings.sslRootCertificate ?? given("PGSSLROOTCERT");
  if (root === undefined) {
    const found = libpqDefaultRoot();
    if (found !== undefined) return { mode, modeText, rootFile: found };
    if (mode !== "verify-ca" && mode !== "verify-full") return { mode, modeText };
    throw new Problem(
      `${modeText} compares the certificate of PostgreSQL with an authority, and none is given. Give the path of its PEM file as POSTGRES_SSL_ROOT_CERT, or "system" for the public authorities.`,
    );
  }
  const name =
    settings.sslRootCertificate === undefined ? "PGSSLROOTCERT" : "POSTGRES_SSL_ROOT_CERT";
  if (root === "system") return systemRoots(settings, mode, modeText);
  if (root.includes("-----BEGIN")) {
    return { mode, modeText, rootFile: temporaryFile(root.replaceAll("\\n", "\n")) };
  }
  requireCertificates(name, root);
  return { mode, modeText, rootFile: root };
}

/**
 * The tries that libpq makes, one after the other (PostgreSQL 17, fe-connect.c, `init_allowed_encryption_methods`, and
 * https://www.postgresql.org/docs/17/libpq-ssl.html#LIBPQ-SSL-SSLMODE-STATEMENTS). Where a root certificate is given, each mode with TLS
 * compares the certificate's chain with it (fe-secure-openssl.c, `initialize_SSL`).
 */
export function tlsAttempts(
  tls: TlsSettings,
  { host }: Pick<ServerSettings, "host">,
): readonly TlsAttempt[] {
  // A Unix socket has no TLS.
  if (host.startsWith("/") || tls.mode === "disable") return [false];
  const options = tlsOptions(tls);
  if (tls.mode === "allow") return [false, options];
  if (tls.mode === "prefer") return [options, false];
  return [options];
}

/** The same for pg_dump, pg_dumpall and pg_restore. */
export function tlsEnvironment({ mode, rootFile }: TlsSettings): Record<string, string> {
  return { PGSSLMODE: mode, ...(rootFile !== undefined && { PGSSLROOTCERT: rootFile }) };
}

function chosenMode(settings: ServerSettings): Pick<TlsSettings, "mode" | "modeText"> {
  if (settings.sslMode !== undefined) {
    return { mode: settings.sslMode, modeText: `POSTGRES_SSL_MODE "${settings.sslMode}"` };
  }
  const byHand = given("PGSSLMODE");
  if (byHand === undefined) return { mode: "prefer", modeText: 'POSTGRES_SSL_MODE "prefer"' };
  if (isSslMode(byHand)) return { mode: byHand, modeText: `PGSSLMODE "${byHand}"` };
  throw new Problem(
    `PGSSLMODE "${byHand}" is not one of ${SSL_MODES.join(", ")}. Set POSTGRES_SSL_MODE to one of them; "require" encrypts without looking at the certificate.`,
  );
}

function tlsOptions({ mode, rootFile }: TlsSettings): ConnectionOptions {
  const certificate = given("PGSSLCERT");
  const key = given("PGSSLKEY");
  const client = {
    ...(certificate !== undefined && { cert: readGiven("PGSSLCERT", certificate) }),
    ...(key !== undefined && { key: readGiven("PGSSLKEY", key) }),
  };
  if (rootFile === undefined) return { ...client, rejectUnauthorized: false };
  return {
    ...client,
    ca: readFileSync(rootFile, "utf8"),
    rejectUnauthorized: true,
    ...(mode !== "verify-full" && { checkServerIdentity: () => undefined }),
  };
}

/** As libpq since 16 (fe-connect.c, `sslrootcert=system`): a public authority says nothing without the host's name. */
function systemRoots(settings: ServerSettings, mode: SslMode, modeText: string): TlsSettings {
  const explicit = settings.sslMode !== undefined || given("PGSSLMODE") !== undefined;
  if (explicit && mode !== "verify-full") {
    throw new Problem(
      `${modeText} does not go with the public authorities ("system"), which give a certificate to anybody: set POSTGRES_SSL_MODE=verify-full.`,
    );
  }
  // As a file, because programs before 16 do not know the word.
  const rootFile = temporaryFile(getCACertificates("default").join("\n"));
  return { mode: "verify-full", modeText: 'POSTGRES_SSL_MODE "verify-full"', rootFile };
}

function requireCertificates(name: string, path: string): void {
  const text = readGiven(name, path);
  if (text.includes("-----BEGIN")) return;
  throw new Problem(
    `${name} ${path} holds no certificate in PEM format (-----BEGIN CERTIFICATE-----). Give the file of the authority that has signed the certificate of PostgreSQL.`,
  );
}

function readGiven(name: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Problem(
      `${name} ${path} cannot be read (${code}). It must be the path of a PEM file inside the container that its user may read.`,
      { cause: error },
    );
  }
}

/** https://www.postgresql.org/docs/17/libpq-ssl.html#LIBPQ-SSL-FILE-USAGE */
function libpqDefaultRoot(): string | undefined {
  const path = join(homedir(), ".postgresql", "root.crt");
  try {
    readFileSync(path);
    return path;
  } catch {
    return undefined;
  }
}

const files = new Map<string, string>();

/** The programs read certificates from files only. The container's one place to write to is its state. */
function temporaryFile(pem: string): string {
  const made = files.get(pem);
  if (made !== undefined) return made;
  const folder = mkdtempSync(join(process.env["AGENT_STATE_DIR"] || tmpdir(), "authority-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "root.pem");
  writeFileSync(path, `${pem.trim()}\n`, { mode: 0o600 });
  files.set(pem, path);
  return path;
}

function given(variable: string): string | undefined {
  return process.env[variable] || undefined;
}
