import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { type BootInput, bootCommand, bootInput, removeScript } from "../../kamal/bootScript.ts";

/** A docker whose containers are files: enough for the order of the script's steps; the journeys use the real one. */
const FAKE_DOCKER = `#!/bin/sh
echo "$*" >> "$BOX/calls"
[ "$1" = --config ] && shift 2
case "$1 $2" in
  "image inspect") [ -f "$BOX/image" ]; exit;;
  "container inspect")
    for name; do :; done
    [ -f "$BOX/container-$name" ] || exit 1
    [ "$3" = -f ] && cat "$BOX/container-$name"
    exit 0;;
esac
case $1 in
  rename) mv "$BOX/container-$2" "$BOX/container-$3";;
  rm) for name; do rm -f "$BOX/container-$name"; done;;
  run) if [ -f "$BOX/refusal" ]; then cat "$BOX/refusal" >&2; exit 125; fi
    echo "running new image:2" > "$BOX/container-shop-db_backup";;
  exec) tries=$(cat "$BOX/failures" 2> /dev/null || echo 0)
    [ "$tries" -gt 0 ] || exit 0
    echo $((tries - 1)) > "$BOX/failures"
    cat "$BOX/sentence"
    exit 1;;
esac
exit 0
`;

let box: string;
beforeEach(() => {
  box = mkdtempSync(join(tmpdir(), "boot-"));
  mkdirSync(join(box, "bin"));
  writeFileSync(join(box, "bin/docker"), FAKE_DOCKER);
  chmodSync(join(box, "bin/docker"), 0o755);
});
afterEach(() => rmSync(box, { recursive: true }));

const INPUT: BootInput = {
  container: "shop-db_backup",
  digest: "new",
  image: "image:2",
  envFile: ".kamal/apps/shop/env/accessories/db_backup.env",
  run: "docker run image:2",
  registry: { server: "registry.example.com", username: "u", password: "s p'a\"ce$" },
  patience: 0,
  env: "SECRET=value\n",
};

function boot(changes: Partial<BootInput> = {}) {
  const result = spawnSync("sh", ["-c", bootCommand], {
    input: bootInput({ ...INPUT, ...changes }),
    env: { PATH: `${join(box, "bin")}:${process.env["PATH"]}`, HOME: box, BOX: box },
    encoding: "utf8",
  });
  return { code: result.status, out: result.stdout.trim(), said: result.stderr };
}

function remove() {
  return spawnSync("sh", ["-c", removeScript(INPUT.container, INPUT.envFile)], {
    env: { PATH: `${join(box, "bin")}:${process.env["PATH"]}`, HOME: box, BOX: box },
    cwd: "/",
  }).status;
}

const container = (name: string) => join(box, `container-${name}`);
const envFile = () => join(box, INPUT.envFile);

test("boots, with the env file for its owner alone, and leaves it alone the second time", () => {
  assert.deepEqual(boot(), { code: 0, out: "booted", said: "" });
  assert.equal(readFileSync(envFile(), "utf8"), INPUT.env);
  assert.equal((statSync(envFile()).mode & 0o777).toString(8), "600");
  assert.equal(boot().out, "unchanged");
  assert.equal(boot({ env: "SECRET=other\n" }).out, "booted");
});

test("the registry's password is never an argument", () => {
  boot();
  assert.ok(!readFileSync(join(box, "calls"), "utf8").includes(INPUT.registry.password));
});

test("an image that was built on the host is not pulled, and one that is gone is not replaced by anybody's", () => {
  const image = "localhost/kamal-postgres-backup/shop-db-backup:pg17-0123456789ab";
  const gone = boot({ image });
  assert.equal(gone.code, 1);
  assert.match(
    gone.said,
    /shop-db-backup:pg17-0123456789ab, which was built on this host, is gone/,
  );
  assert.ok(!existsSync(container("shop-db_backup")));
  writeFileSync(join(box, "image"), "");
  assert.equal(boot({ image }).out, "booted");
  assert.doesNotMatch(readFileSync(join(box, "calls"), "utf8"), /^(--config \S+ )?(pull|login) /m);
  boot({ env: "SECRET=other\n" });
  assert.match(readFileSync(join(box, "calls"), "utf8"), /^(--config \S+ )?(pull|login) /m);
});

test("a new container that is not fit: the old one and its env file are put back", () => {
  boot();
  writeFileSync(container("shop-db_backup"), "running old image:1");
  writeFileSync(join(box, "failures"), "1");
  writeFileSync(join(box, "sentence"), "POSTGRES_HOST cannot be resolved");
  const failed = boot({ env: "SECRET=worse\n" });
  assert.equal(failed.code, 1);
  assert.match(failed.said, /not fit to back up:\nPOSTGRES_HOST cannot be resolved/);
  assert.match(failed.said, /the previous container is back/);
  assert.equal(readFileSync(container("shop-db_backup"), "utf8"), "running old image:1");
  assert.equal(readFileSync(envFile(), "utf8"), INPUT.env);
});

test("a container that Docker refuses: its reason is said, not its hint, and the old one is put back", () => {
  boot();
  const reason = "docker: Error response from daemon: bind source path does not exist: /ca.pem";
  writeFileSync(
    join(box, "refusal"),
    `${reason}\n\nRun 'docker run --help' for more information\n`,
  );
  const failed = boot({ env: "SECRET=worse\n" });
  assert.equal(failed.code, 1);
  assert.equal(
    failed.said,
    `the container did not start: ${reason}\nthe previous container is back\n`,
  );
  assert.equal(readFileSync(envFile(), "utf8"), INPUT.env);
});

test("a first boot that fails leaves nothing", () => {
  writeFileSync(join(box, "failures"), "1");
  writeFileSync(join(box, "sentence"), "no");
  assert.equal(boot().code, 1);
  assert.ok(!existsSync(container("shop-db_backup")));
  assert.ok(!existsSync(envFile()));
});

test("with patience a refused access key is tried again, another failure is not", () => {
  writeFileSync(join(box, "failures"), "1");
  writeFileSync(join(box, "sentence"), "AWS S3 does not know the access key id.");
  assert.equal(boot({ patience: 30 }).out, "booted");
  writeFileSync(join(box, "failures"), "1");
  writeFileSync(join(box, "sentence"), "the password is wrong");
  assert.equal(boot({ patience: 30, env: "SECRET=third\n" }).code, 1);
});

test("an interrupted run is put right first", () => {
  boot();
  rmSync(container("shop-db_backup"));
  writeFileSync(container("shop-db_backup.previous"), "running new image:2");
  assert.equal(boot().out, "unchanged");
  assert.ok(!existsSync(container("shop-db_backup.previous")));
});

test("a removal takes the folders that it leaves empty, and none that holds something", () => {
  boot();
  assert.equal(remove(), 0);
  assert.ok(!existsSync(container("shop-db_backup")));
  assert.ok(!existsSync(join(box, ".kamal")));
  assert.equal(remove(), 0, "a second time");

  boot();
  const other = join(box, ".kamal/apps/shop/env/roles");
  mkdirSync(other);
  assert.equal(remove(), 0);
  assert.ok(existsSync(other));
  assert.ok(!existsSync(join(box, ".kamal/apps/shop/env/accessories")));
});
