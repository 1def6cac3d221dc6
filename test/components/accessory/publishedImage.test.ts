import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { after, before, test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import type { RegistryLogin } from "../../../components/accessory/kamalProject.ts";
import { pinnedImage } from "../../../components/image/publishedImage.ts";
import { registryDigest } from "../../../components/image/registryDigest.ts";
import { parseImageReference } from "../../../kamal/imageReference.ts";
import { startRegistry, type TestRegistry } from "../../support/servers/registry.ts";
import { declare } from "../mocks.ts";

const sha256 = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`;

let registry: TestRegistry;
/** Digest under the tag, as the registry itself said when it was pushed. */
let digest: string;

before(async () => {
  registry = await startRegistry();
  digest = await push("team/db-backup", "17", "first");
});
after(() => registry?.stop());

/** Pushes an image without layers through the registry's API, so that no Docker is needed. */
async function push(repository: string, tag: string, label: string): Promise<string> {
  const basic = Buffer.from(`${registry.username}:${registry.password}`).toString("base64");
  const send = async (method: string, url: string, type: string, body = "") => {
    const answer = await fetch(new URL(url, `http://${registry.server}`), {
      method,
      headers: { authorization: `Basic ${basic}`, "content-type": type },
      ...(method === "PUT" && { body }),
    });
    assert.ok(answer.ok, `${method} ${url}: ${answer.status} ${await answer.text()}`);
    return answer.headers;
  };
  const config = JSON.stringify({ architecture: "amd64", os: "linux", config: { User: label } });
  const begun = await send("POST", `/v2/${repository}/blobs/uploads/`, "text/plain");
  const location = new URL(begun.get("location") ?? "");
  location.searchParams.set("digest", sha256(config));
  await send("PUT", location.href, "application/octet-stream", config);
  const type = "application/vnd.docker.distribution.manifest.v2+json";
  const manifest = {
    schemaVersion: 2,
    mediaType: type,
    config: {
      mediaType: "application/vnd.docker.container.image.v1+json",
      size: config.length,
      digest: sha256(config),
    },
    layers: [],
  };
  const path = `/v2/${repository}/manifests/${tag}`;
  return (
    (await send("PUT", path, type, JSON.stringify(manifest))).get("docker-content-digest") ?? ""
  );
}

async function pin(reference: string, login?: RegistryLogin, preview = false): Promise<string> {
  let pinned = "";
  await declare(preview, () => [
    pinnedImage(new pulumi.ComponentResource("test:index:Parent", "parent"), {
      setting: "image",
      image: parseImageReference(reference, "image"),
      registry: login,
    }).apply((value) => {
      pinned = value;
    }),
  ]);
  return pinned;
}

const login = (changes: Partial<RegistryLogin> = {}): RegistryLogin => ({
  server: registry.server,
  username: registry.username,
  password: pulumi.secret(registry.password),
  ...changes,
});

test("a tag becomes the digest that the registry has for it, at preview too", async () => {
  const reference = `${registry.server}/team/db-backup:17`;
  assert.match(digest, /^sha256:[0-9a-f]{64}$/);
  assert.equal(await pin(reference, login()), `${registry.server}/team/db-backup@${digest}`);
  assert.equal(await pin(reference, login(), true), `${registry.server}/team/db-backup@${digest}`);
});

test("a tag that has moved becomes another digest", async () => {
  const reference = `${registry.server}/team/moving:17`;
  const first = await push("team/moving", "17", "first");
  assert.equal(await pin(reference, login()), `${registry.server}/team/moving@${first}`);
  const second = await push("team/moving", "17", "second");
  assert.notEqual(first, second);
  assert.equal(await pin(reference, login()), `${registry.server}/team/moving@${second}`);
});

test("a reference with a digest is taken as it is, without asking anybody", async () => {
  const reference = `registry.invalid/team/db-backup@${digest}`;
  assert.equal(await pin(reference), reference);
  assert.equal(await pin(`registry.invalid/team/db-backup:17@${digest}`), reference);
});

test("neither tag nor digest: refused at once", async () => {
  const reference = `${registry.server}/team/db-backup`;
  await assert.rejects(pin(reference, login()), /image: .*neither a tag nor a digest/);
});

test("the login of another registry is not sent", async () => {
  const asked: string[] = [];
  const server = await startTokenRegistry(asked);
  const { port } = server.address() as { port: number };
  await pin(`127.0.0.1:${port}/team/db-backup:17`, login());
  await stop(server);
  assert.ok(asked.length > 0);
  assert.ok(asked.every((line) => !line.includes("Basic")));
});

const wrong = { username: "tester", password: "wrong-canary" };
const REFUSED: Record<string, [name: () => string, tag: string, typeof wrong | undefined, RegExp]> =
  {
    "a tag that is not there": [
      () => registry.server,
      "99",
      undefined,
      /has no image .*:99\. Check the name and the tag/,
    ],
    "no login": [
      () => registry.server,
      "17",
      undefined,
      /does not show .* to anyone without a login/,
    ],
    "a wrong login": [() => registry.server, "17", wrong, /to the login of tester/],
    "no registry there": [() => "127.0.0.1:9", "17", undefined, /127\.0\.0\.1:9 cannot be reached/],
  };
for (const [what, [server, tag, credentials, sentence]] of Object.entries(REFUSED)) {
  test(`refused in one sentence: ${what}`, async () => {
    const image = parseImageReference(`${server()}/team/db-backup:${tag}`, "image");
    const right = { username: registry.username, password: registry.password };
    await assert.rejects(
      registryDigest(image, tag === "99" ? right : credentials),
      (error: Error) => {
        assert.equal(error.name, "Problem");
        assert.match(error.message, sentence);
        assert.ok(!error.message.includes("wrong-canary"));
        return true;
      },
    );
  });
}

/** A registry that wants tokens of its own service, as ghcr.io and Docker Hub do. */
async function startTokenRegistry(asked: string[]): Promise<Server> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", `http://${request.headers.host}`);
    asked.push(
      `${request.method} ${url.pathname}${url.search} ${request.headers.authorization ?? ""}`,
    );
    if (url.pathname === "/token") {
      response.end(JSON.stringify({ token: "token-of-the-service" }));
    } else if (request.headers.authorization !== "Bearer token-of-the-service") {
      const challenge = `Bearer realm="http://${request.headers.host}/token",service="the registry",scope="repository:team/db-backup:pull"`;
      response.writeHead(401, { "www-authenticate": challenge }).end();
    } else {
      response.writeHead(200, { "docker-content-digest": digest }).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
}

test("a registry with a token service: the login goes there, the token to the registry", async () => {
  const asked: string[] = [];
  const server = await startTokenRegistry(asked);
  try {
    const { port } = server.address() as { port: number };
    const host = `127.0.0.1:${port}`;
    const anonymous = await pin(`${host}/team/db-backup:17`);
    assert.equal(anonymous, `${host}/team/db-backup@${digest}`);
    await pin(`${host}/team/db-backup:17`, login({ server: host }));
    const basic = Buffer.from(`${registry.username}:${registry.password}`).toString("base64");
    const token = "/token?service=the+registry&scope=repository%3Ateam%2Fdb-backup%3Apull";
    const manifest = "HEAD /v2/team/db-backup/manifests/17";
    assert.deepEqual(asked, [
      `${manifest} `,
      `GET ${token} `,
      `${manifest} Bearer token-of-the-service`,
      `${manifest} `,
      `GET ${token} Basic ${basic}`,
      `${manifest} Bearer token-of-the-service`,
    ]);
  } finally {
    await stop(server);
  }
});
