import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";

/**
 * The part of HashiCorp Vault that Pulumi asks for the key of a stack's secrets (transit secrets engine, "Encrypt data" and
 * "Decrypt data"). The key of a stack with a passphrase is derived anew by each program that Pulumi starts, by a million rounds of
 * PBKDF2, which is half of an operation's time. What it gives back is not encrypted: the key is of use to nobody.
 * It lives as long as this process, and keeps it from ending no longer than it has a request.
 * @returns what Pulumi's environment needs, and `provider`, to be given when a stack is made
 */
export async function startVault(): Promise<{
  readonly env: Readonly<Record<string, string>>;
  readonly provider: string;
}> {
  const server = createServer(async (request, response) => {
    const { plaintext, ciphertext } = (await json(request)) as Record<string, string | undefined>;
    const data =
      plaintext === undefined
        ? { plaintext: ciphertext?.replace(/^vault:v1:/, "") }
        : { ciphertext: `vault:v1:${plaintext}` };
    response.setHeader("content-type", "application/json").end(JSON.stringify({ data }));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  server.unref();
  const { port } = server.address() as AddressInfo;
  return {
    env: { VAULT_SERVER_URL: `http://127.0.0.1:${port}`, VAULT_SERVER_TOKEN: "of the tests" },
    provider: "hashivault://tests",
  };
}
