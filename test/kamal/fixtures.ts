import type { Accessory } from "../../kamal/accessory.ts";

/** A deploy.yml as people have it: comments, ERB in values, anchors, an accessory beside the database. */
export const DEPLOY = {
  path: "config/deploy.yml",
  text: `# Deploy with kamal deploy -d <%= ENV["KAMAL_DESTINATION"] %>
<%# secrets live in .kamal/secrets %>
service: shop
image: acme/shop

x-limits: &limits
  memory: 512m

servers:
  web:
    - 192.0.2.10
    - 192.0.2.11: [eu, big]
  job:
    hosts:
      - 192.0.2.12
    cmd: bin/jobs

registry:
  server: <%= ENV.fetch("REGISTRY", "registry.example.com") %>
  username: acme
  password:
    - KAMAL_REGISTRY_PASSWORD

ssh:
  user: deploy
  port: <%= ENV["SSH_PORT"] || "2222" %>
  proxy: jump@bastion.example.com
  keys: [ "~/.ssh/shop" ]
  keys_only: true

builder:
  arch: amd64
  args:
    GIT_SHA: <%= \`git rev-parse HEAD\`.strip %>

accessories:
  db:
    image: postgres:17.6
    host: <%= ENV["DB_HOST"] %>
    port: "127.0.0.1:5432:5432"
    env:
      clear:
        POSTGRES_USER: shop
        POSTGRES_DB: shop_<%= ENV["KAMAL_DESTINATION"] || "production" %>
        STARTED: "<%= Time.now %>"
      secret:
        - POSTGRES_PASSWORD:SHOP_DB_PASSWORD
    directories:
      - data:/var/lib/postgresql/data
    options:
      <<: *limits

  # The cache may go at any time.
  redis:
    image: <%= redis_image %>
    roles: [web, job]
    cmd: redis-server --save "<%%= not ERB %>"

# Bridge
aliases:
  console: app exec -i --reuse "bin/rails console"
`,
};

export const STAGING = {
  name: "staging",
  path: "config/deploy.staging.yml",
  text: `servers:
  web:
    - 198.51.100.7
ssh:
  user: root
accessories:
  db:
    host: 198.51.100.7
    service: shop-staging-db
    env:
      secret:
        - POSTGRES_PASSWORD
`,
};

export const ACCESSORY: Accessory = {
  key: "db_backup",
  service: "shop",
  container: "shop-db_backup",
  image: "registry.example.com/shop-db-backup@sha256:4f1c",
  hosts: ["192.0.2.10"],
  labels: { "kamal-postgres-backup.digest": "9b1d7c0e" },
  options: { "read-only": true, memory: "256m", "stop-timeout": "30" },
  clear: {
    SCHEDULE: "15 3 * * *",
    POSTGRES_HOST: "shop-db",
    POSTGRES_DATABASE: "shop_production",
    S3_BUCKET: "shop-backups-4f2a",
    S3_REGION: "eu-west-3",
    S3_PREFIX: "shop/production",
  },
  secrets: [
    { name: "POSTGRES_PASSWORD", from: "POSTGRES_PASSWORD" },
    { name: "S3_ACCESS_KEY_ID", from: "DB_BACKUP_S3_ACCESS_KEY_ID" },
    { name: "S3_SECRET_ACCESS_KEY", from: "DB_BACKUP_S3_SECRET_ACCESS_KEY" },
  ],
  network: "kamal",
};

/** Numbers that look random and are the same in every run. */
export function pseudoRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * below);
  };
}

/** A word of up to `length` parts. */
export function randomWord(
  random: (below: number) => number,
  parts: readonly string[],
  length: number,
): string {
  return Array.from({ length: 1 + random(length) }, () => parts[random(parts.length)]).join("");
}
