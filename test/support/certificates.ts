import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TlsFiles } from "./servers/store.ts";

/**
 * An authority, and a certificate of it.
 * @param folder where their files go
 * @param authority path of the authority's certificate
 * @param names for whom it is, as OpenSSL writes them: `IP:127.0.0.1`, `DNS:db.example.com`
 */
export function makeCertificate(
  folder: string,
  authority: string,
  names = "IP:127.0.0.1",
): TlsFiles {
  const [certificate, key] = [join(folder, "server.pem"), join(folder, "server.key")];
  const [authorityKey, request] = [join(folder, "authority.key"), join(folder, "server.csr")];
  const extensions = join(folder, "names");
  writeFileSync(extensions, `subjectAltName=${names}\n`);
  const openssl = (...words: string[]) => execFileSync("openssl", words, { stdio: "pipe" });
  const fresh = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl(
    ...["req", "-x509", ...fresh, "-days", "2", "-subj", "/CN=Authority of the test"],
    ...["-keyout", authorityKey, "-out", authority],
  );
  openssl("req", ...fresh, "-subj", "/CN=server", "-keyout", key, "-out", request);
  openssl(
    ...["x509", "-req", "-in", request, "-CA", authority, "-CAkey", authorityKey],
    ...["-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", certificate],
  );
  return { certificate, key };
}
