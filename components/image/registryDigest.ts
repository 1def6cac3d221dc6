import { Problem } from "../../common/problem.ts";
import type { ImageReference } from "../../kamal/imageReference.ts";

const MANIFESTS = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");
const LIMIT_MS = 20_000;

/** As Docker does: a registry on this machine needs no certificate. */
function isLocal(host: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+)(:\d+)?$/.test(host);
}

export interface RegistryCredentials {
  readonly username: string;
  readonly password: string;
}

/**
 * Asks a registry for the digest that a tag has now (OCI Distribution Specification 1.1, "Checking if content exists in
 * the registry").
 * @param credentials sent where the registry asks for them; absent: as anyone
 * @throws Problem when the registry does not give it
 */
export async function registryDigest(
  image: ImageReference,
  credentials?: RegistryCredentials,
): Promise<string> {
  const { registry, repository, tag } = image;
  const url = `${isLocal(registry) ? "http" : "https"}://${registry}/v2/${repository}/manifests/${tag}`;
  const ask = (authorization: string | undefined) =>
    request(registry, url, {
      method: "HEAD",
      headers: { accept: MANIFESTS, ...(authorization && { authorization }) },
    });

  let answer = await ask(undefined);
  if (answer.status === 401) {
    const challenge = answer.headers.get("www-authenticate") ?? "";
    answer = await ask(await authorize(registry, challenge, credentials));
  }
  const digest = answer.headers.get("docker-content-digest");
  if (answer.ok && digest !== null && /^sha256:[0-9a-f]{64}$/.test(digest)) return digest;
  const place = `${image.name}:${tag}`;
  if (answer.status === 404) {
    throw new Problem(
      `${registry} has no image ${place}. Check the name and the tag, and push it.`,
    );
  }
  if (answer.status === 401 || answer.status === 403) {
    const login = credentials ? `the login of ${credentials.username}` : "anyone without a login";
    throw new Problem(
      `${registry} does not show ${place} to ${login}. Give a login that may read it as registry: in deploy.yml, or give the image by digest.`,
    );
  }
  throw new Problem(
    `${registry} did not give the digest of ${place} (status ${answer.status}). Try again later, or give the image by digest.`,
  );
}

/**
 * Answers the registry's challenge: the login itself, or a token that its own service gives out for it ("Token
 * Authentication Specification" of the CNCF's Distribution project).
 */
async function authorize(
  registry: string,
  challenge: string,
  credentials: RegistryCredentials | undefined,
): Promise<string | undefined> {
  const basic =
    credentials &&
    `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64")}`;
  if (/^basic/i.test(challenge)) return basic;
  const value = (name: string) => new RegExp(`${name}="([^"]*)"`, "i").exec(challenge)?.[1];
  const realm = value("realm");
  if (!/^bearer/i.test(challenge) || realm === undefined || !URL.canParse(realm)) return undefined;
  const service = new URL(realm);
  if (service.protocol !== "https:" && !isLocal(service.host)) return undefined;
  for (const name of ["service", "scope"]) {
    const given = value(name);
    if (given !== undefined) service.searchParams.set(name, given);
  }
  const answer = await request(registry, service.href, {
    headers: basic ? { authorization: basic } : {},
  });
  if (!answer.ok) return undefined;
  const { token, access_token } = (await answer.json()) as Record<string, unknown>;
  const given = token ?? access_token;
  return typeof given === "string" ? `Bearer ${given}` : undefined;
}

async function request(registry: string, url: string, options: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...options, signal: AbortSignal.timeout(LIMIT_MS) });
  } catch (error) {
    const { message, cause } = error as Error;
    const reason = cause instanceof Error && cause.message !== "" ? cause.message : message;
    throw new Problem(
      `the registry ${registry} cannot be reached (${reason}). Check the name of the image and the network, or give the image by digest.`,
      { cause: error },
    );
  }
}
