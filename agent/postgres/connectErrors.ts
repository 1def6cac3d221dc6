import type { ServerSettings } from "../../common/contracts/agentEnvironment/postgres.ts";
import { messageOf, Problem } from "../../common/problem.ts";
import { errorCode } from "../runtime/errorMessage.ts";
import type { TlsSettings } from "./tls.ts";

/** Codes of OpenSSL by which a certificate is of an authority that is not known. */
const UNKNOWN_AUTHORITY = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "CERT_SIGNATURE_FAILURE",
  "CERT_UNTRUSTED",
  "INVALID_CA",
]);
const OUT_OF_DATE = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);

/** Words of node-postgres for a server that answered a request for TLS with "no". */
const NO_TLS = "The server does not support SSL connections";

/** Whether the server has no TLS at all. */
export function offersNoTls(error: unknown): boolean {
  return messageOf(error) === NO_TLS;
}

/** Whether a try failed before the server had taken or refused the user: on the way to TLS. */
export function isTlsFailure(error: unknown): boolean {
  const code = errorCode(error) ?? "";
  return (
    offersNoTls(error) ||
    UNKNOWN_AUTHORITY.has(code) ||
    OUT_OF_DATE.has(code) ||
    /^(ERR_TLS_|ERR_SSL_|ERR_OSSL_|EPROTO$|HOSTNAME_MISMATCH$)/.test(code) ||
    messageOf(error) === "There was an error establishing an SSL connection"
  );
}

/** Whether pg_hba.conf has no line for this user, database and kind of connection. */
export function isRefusedByHba(error: unknown): boolean {
  return errorCode(error) === "28000";
}

/** A failure to connect in a sentence, where it is one of those that a reader can mend. */
export function explainConnect(
  error: unknown,
  settings: ServerSettings,
  { database, tls }: { readonly database: string; readonly tls: TlsSettings },
): unknown {
  const message = messageOf(error);
  const where = serverName(settings);
  const code = errorCode(error) ?? "";
  if (error instanceof Problem) return error;
  if (isTlsFailure(error)) return explainTls(error, settings, tls);
  if (code === "28000" && isHbaText(message)) return explainHba(message, settings, database, tls);
  if (code === "28P01" || code === "28000") {
    return new Problem(
      `PostgreSQL at ${where} refused user "${settings.user}": ${message}. Check POSTGRES_USER and POSTGRES_PASSWORD.`,
    );
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return new Problem(
      `POSTGRES_HOST "${settings.host}" cannot be resolved (${code}). Use the name of the database's container on the same Docker network, e.g. <service>-db.`,
    );
  }
  if (code === "53300") {
    return new Problem(
      `PostgreSQL at ${where} has no connection left for the backup: ${message}. Raise max_connections, or the CONNECTION LIMIT of the role or the database, or close idle connections of the application.`,
    );
  }
  if (/^E(CONN|HOST|NET|TIMEDOUT)/.test(code) || /timeout expired|terminated/.test(message)) {
    return new Problem(
      `PostgreSQL at ${where} cannot be reached (${code || message}). Check POSTGRES_HOST, POSTGRES_PORT and that the database runs.`,
    );
  }
  if (code.length === 5) {
    return new Problem(
      `PostgreSQL at ${where} refused the connection to "${database}": ${message} (${code}).`,
    );
  }
  return error;
}

/** `127.0.0.1:5432`, `[::1]:5432`. */
export function serverName({ host, port }: Pick<ServerSettings, "host" | "port">): string {
  const plain = host.replace(/^\[(.*)\]$/, "$1");
  return plain.includes(":") ? `[${plain}]:${port}` : `${plain}:${port}`;
}

function explainTls(error: unknown, settings: ServerSettings, tls: TlsSettings): Problem {
  const where = serverName(settings);
  const code = errorCode(error) ?? "";
  const options = { cause: error };
  if (offersNoTls(error)) {
    return new Problem(
      `PostgreSQL at ${where} offers no TLS, which ${tls.modeText} demands. Turn on ssl in its postgresql.conf, or set POSTGRES_SSL_MODE=prefer.`,
      options,
    );
  }
  if (UNKNOWN_AUTHORITY.has(code)) {
    return new Problem(
      `the certificate of PostgreSQL at ${where} is not signed by an authority of ${tls.rootFile} (${code}). Give the file of the authority that has signed it as POSTGRES_SSL_ROOT_CERT.`,
      options,
    );
  }
  if (OUT_OF_DATE.has(code)) {
    return new Problem(
      `the certificate of PostgreSQL at ${where} is not valid at this time (${code}). Renew it, or set the clock of this host (NTP).`,
      options,
    );
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID" || code === "HOSTNAME_MISMATCH") {
    return new Problem(
      `the certificate of PostgreSQL at ${where} is not for the host name "${settings.host}" (${messageOf(error)}). Set POSTGRES_HOST to a name in the certificate, or POSTGRES_SSL_MODE=verify-ca, which does not compare the name.`,
      options,
    );
  }
  return new Problem(
    `no TLS connection to PostgreSQL at ${where} could be made (${[messageOf(error), code].filter(Boolean).join(", ")}; ${tls.modeText}). Check the server's ssl settings and its log.`,
    options,
  );
}

/** PostgreSQL 17, auth.c, `ClientAuthentication`: the message ends with the kind of connection, in English by default. */
function isHbaText(message: string): boolean {
  return /pg_hba\.conf/.test(message);
}

function explainHba(
  message: string,
  settings: ServerSettings,
  database: string,
  tls: TlsSettings,
): Problem {
  const where = serverName(settings);
  const who = `user "${settings.user}" to database "${database}"`;
  // Connections to the server's own databases come first, so that with another one it is the name.
  if (![settings.database, "postgres", "template1"].includes(database)) {
    return new Problem(
      `PostgreSQL at ${where} refused ${who}: its pg_hba.conf has no line for it (${message}). A restore works in a new database, whose name ends with the time: let pg_hba.conf allow this user all databases, and reload the server.`,
    );
  }
  // "SSL off" and "SSL on" before PostgreSQL 12.
  if (/no encryption|SSL off/.test(message)) {
    const remedy =
      tls.mode === "disable"
        ? `${tls.modeText} makes one without: set POSTGRES_SSL_MODE=prefer, or require.`
        : `It offers no TLS itself (${tls.modeText}): turn on ssl in its postgresql.conf, or add a line for this host to pg_hba.conf.`;
    return new Problem(
      `PostgreSQL at ${where} refused ${who} without encryption: its pg_hba.conf has no line for such a connection (${message}). ${remedy}`,
    );
  }
  if (/SSL encryption|SSL on/.test(message)) {
    return new Problem(
      `PostgreSQL at ${where} refused ${who} with TLS: its pg_hba.conf has no line for such a connection (${message}). Add one (host or hostssl), or set POSTGRES_SSL_MODE=disable.`,
    );
  }
  return new Problem(
    `PostgreSQL at ${where} refused ${who}: its pg_hba.conf has no line for this connection (${message}). Add one for this host, and reload the server.`,
  );
}
