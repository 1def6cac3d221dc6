import assert from "node:assert/strict";
import { test } from "node:test";
import { type ApplicationImage, repositoryBeside } from "../../kamal/imageRepository.ts";

/** E12, O3: every spelling of server and image. */
const ROWS: readonly (readonly [given: ApplicationImage, repository: string])[] = [
  [{ server: "ghcr.io", image: "me/shop" }, "ghcr.io/me/shop-db-backup"],
  [
    { server: "registry.example.com", image: "acme/shop" },
    "registry.example.com/acme/shop-db-backup",
  ],
  [{ image: "acme/shop" }, "acme/shop-db-backup"],
  [{ server: "docker.io", image: "acme/shop" }, "docker.io/acme/shop-db-backup"],
  [
    { server: "https://index.docker.io/v1/", image: "acme/shop" },
    "index.docker.io/acme/shop-db-backup",
  ],
  [
    { server: "europe-docker.pkg.dev", image: "project/repo/shop" },
    "europe-docker.pkg.dev/project/repo/shop-db-backup",
  ],
  [
    { server: "registry.example.com/team", image: "shop" },
    "registry.example.com/team/shop-db-backup",
  ],
  [{ server: "ghcr.io", image: "ghcr.io/me/shop" }, "ghcr.io/me/shop-db-backup"],
  [{ image: "ghcr.io/me/shop" }, "ghcr.io/me/shop-db-backup"],
  [{ server: "ghcr.io", image: "me/shop:latest" }, "ghcr.io/me/shop-db-backup"],
  [{ server: "ghcr.io", image: "me/shop@sha256:4f1c" }, "ghcr.io/me/shop-db-backup"],
  [{ server: "127.0.0.1:5001", image: "sandbox/shop" }, "127.0.0.1:5001/sandbox/shop-db-backup"],
  [
    { server: "registry.example.com", image: "shop", username: "acme" },
    "registry.example.com/shop-db-backup",
  ],
  [{ server: "localhost:5555", image: "shop" }, "localhost:5555/shop-db-backup"],
  [{ image: "shop", username: "Acme" }, "acme/shop-db-backup"],
  [{ server: "ghcr.io", image: "shop", username: "me" }, "ghcr.io/me/shop-db-backup"],
  [{ server: "ghcr.io/me", image: "shop", username: "robot" }, "ghcr.io/me/shop-db-backup"],
  [{ server: "ghcr.io" }, "ghcr.io/shop-db-backup"],
  [
    { server: "registry.gitlab.com", image: "group/project" },
    "registry.gitlab.com/group/project/shop-db-backup",
  ],
  [
    { server: "registry.gitlab.com", image: "group/sub/project/web" },
    "registry.gitlab.com/group/sub/project/web/shop-db-backup",
  ],
  [{ server: "ghcr.io", image: "Me/Shop" }, "ghcr.io/me/shop-db-backup"],
];
for (const [given, repository] of ROWS) {
  test(`beside ${JSON.stringify(given)}: ${repository}`, () =>
    assert.equal(repositoryBeside(given, "Shop-db-backup"), repository));
}
