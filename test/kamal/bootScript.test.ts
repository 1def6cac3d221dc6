import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
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
import { setTimeout } from "node:timers/promises";
import {
  asideScript,
  type BootInput,
  bootCommand,
  bootInput,
  putBackScript,
  removeReplacedScript,
  removeScript,
  replaceCommand,
} from "../../kamal/bootScript.ts";

/**
 * A docker whose containers are files, `STATUS|DIGEST|IMAGE|STARTED`: enough for the order of the script's steps; the
 * journeys use the real one. A file `hold-COMMAND` makes that command wait until it is gone.
 */
const FAKE_DOCKER = `#!/bin/sh
echo "$*" >> "$BOX/calls"
if [ "$1" = --config ]; then
  shift 2
  # Contexts lie in the folder that the command was given, and this one has none.
  if [ -f "$BOX/context" ] && [ "\${DOCKER_HOST-}" != "$(cat "$BOX/context")" ]; then
    echo "Cannot connect to the Docker daemon at unix:///var/run/docker.sock." >&2; exit 1
  fi
fi
while [ -f "$BOX/hold-$1" ]; do touch "$BOX/held-$1"; sleep 0.05; done
case "$1 $2" in
  "image inspect") [ -f "$BOX/image" ]; exit;;
  "container inspect")
    for name; do :; done
    [ -f "$BOX/container-$name" ] || exit 1
    [ "$3" = -f ] || exit 0
    case $4 in *.Config.Env*) cat "$BOX/env-$name" 2> /dev/null; exit 0;; esac
    IFS='|' read -r status digest image started < "$BOX/container-$name"
    printf '%s\\n' "$4" | sed -e "s|{{.State.Status}}|$status|; s|{{.State.StartedAt}}|$started|; s|{{.Config.Image}}|$image|; s|{{index [^}]*}}|$digest|"
    exit 0;;
esac
status_of() { sed -i "s/^[a-z]*|/$1|/" "$BOX/container-$2"; }
case $1 in
  --version|version) cat "$BOX/$1" 2> /dev/null;;
  context) cat "$BOX/context" 2> /dev/null;;
  login) cat > /dev/null;; # the password
  rename) [ ! -f "$BOX/container-$3" ] || exit 1; mv "$BOX/container-$2" "$BOX/container-$3";;
  rm) for name; do rm -f "$BOX/container-$name"; done;;
  stop) status_of exited "$4";;
  start) status_of running "$2";;
  run) if [ -f "$BOX/refusal" ]; then cat "$BOX/refusal" >&2; exit 125; fi
    cat .kamal/lock-shop/details > "$BOX/lock-while-booting" 2> /dev/null
    echo "running|new|image:2|now" > "$BOX/container-shop-db_backup";;
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

const environment = () => ({
  PATH: `${join(box, "bin")}:${process.env["PATH"]}`,
  HOME: box,
  BOX: box,
});

function boot(changes: Partial<BootInput> = {}, command = bootCommand) {
  const result = spawnSync("sh", ["-c", command], {
    input: bootInput({ ...INPUT, ...changes }),
    env: environment(),
    encoding: "utf8",
  });
  return { code: result.status, out: result.stdout.trim(), said: result.stderr };
}

function start(changes: Partial<BootInput>): ChildProcess {
  const child = spawn("sh", ["-c", bootCommand], { env: environment() });
  child.stdin.end(bootInput({ ...INPUT, ...changes }));
  return child;
}

/** @returns what it wrote to standard output */
async function finished(child: ChildProcess): Promise<string> {
  let out = "";
  child.stdout?.on("data", (chunk) => {
    out += chunk;
  });
  await once(child, "close");
  return out;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await setTimeout(10);
}

function remove() {
  return spawnSync("sh", ["-c", removeScript(INPUT.container, INPUT.envFile)], {
    env: environment(),
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

test("podman in Docker's place is refused before anything is done, as a command and as what Docker's command speaks to", () => {
  for (const [question, answer] of [
    ["--version", "podman version 4.3.1\n"],
    ["version", "Client:\n Version: 28.2.2\n\nServer:\n Podman Engine:\n  Version: 4.3.1\n"],
  ] as const) {
    writeFileSync(join(box, question), answer);
    const refused = boot();
    assert.equal(refused.code, 1);
    assert.match(
      refused.said,
      /^podman runs there in the place of Docker, .* remove podman-docker\.$/m,
    );
    assert.deepEqual(
      [existsSync(join(box, ".kamal")), existsSync(container("shop-db_backup"))],
      [false, false],
    );
    rmSync(join(box, question));
  }
  assert.equal(boot().out, "booted");
});

test("a rootless Docker that a context leads to is also the one that logs in and pulls", () => {
  writeFileSync(join(box, "context"), "unix:///run/user/1000/docker.sock");
  assert.deepEqual(boot(), { code: 0, out: "booted", said: "" });
  writeFileSync(join(box, "context"), "tcp://elsewhere:2376");
  const other = boot({ env: "SECRET=other\n" });
  assert.match(
    other.said,
    /could not log in .*Cannot connect/,
    "its certificates lie in the context too",
  );
});

test("a new container that is not fit: the old one and its env file are put back", () => {
  boot();
  writeFileSync(container("shop-db_backup"), "running|old|image:1|then\n");
  writeFileSync(join(box, "failures"), "1");
  writeFileSync(join(box, "sentence"), "POSTGRES_HOST cannot be resolved");
  const failed = boot({ env: "SECRET=worse\n" });
  assert.equal(failed.code, 1);
  assert.match(failed.said, /not fit to back up:\nPOSTGRES_HOST cannot be resolved/);
  assert.match(failed.said, /the previous container is back/);
  assert.equal(readFileSync(container("shop-db_backup"), "utf8"), "running|old|image:1|then\n");
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

const OLD = "exited|old|image:1|then\n";

test("a script that was killed before the new container was there: the old one runs again, whatever comes then", () => {
  writeFileSync(container("shop-db_backup.previous"), OLD);
  writeFileSync(join(box, "refusal"), "no\n");
  assert.equal(boot().code, 1);
  assert.equal(readFileSync(container("shop-db_backup"), "utf8"), "running|old|image:1|then\n");
  assert.ok(!existsSync(container("shop-db_backup.previous")));
  rmSync(join(box, "refusal"));
  assert.equal(boot().out, "booted");
});

test("a new container that was left without a proof gives way to the old one, and one that is fit does not", () => {
  const leave = () => {
    writeFileSync(container("shop-db_backup"), "running|new|image:2|now\n");
    writeFileSync(container("shop-db_backup.previous"), OLD);
  };
  boot();
  leave();
  writeFileSync(join(box, "failures"), "9");
  writeFileSync(join(box, "sentence"), "no");
  assert.equal(boot().code, 1);
  assert.equal(readFileSync(container("shop-db_backup"), "utf8"), "running|old|image:1|then\n");
  rmSync(join(box, "failures"));
  leave();
  assert.equal(boot().out, "unchanged");
  assert.ok(!existsSync(container("shop-db_backup.previous")));
});

test("a container with the right label that was found to differ is replaced", () => {
  boot();
  assert.equal(boot().out, "unchanged");
  assert.equal(boot({}, replaceCommand).out, "booted");
});

test("a container that is not of this package is left alone, and how to take its name over is named", () => {
  const foreign = "running||acme/postgres-backup-s3:17|2026-11-01T02:03:04Z\n";
  writeFileSync(container("shop-db_backup"), foreign);
  for (const command of [bootCommand, replaceCommand]) {
    const refused = boot({}, command);
    assert.equal(refused.code, 1);
    assert.match(refused.said, /image acme\/postgres-backup-s3:17, running, started 2026-11-01T02/);
    assert.match(refused.said, /docker rm -f shop-db_backup/);
    assert.equal(readFileSync(container("shop-db_backup"), "utf8"), foreign);
  }
  assert.equal(remove(), 0);
  assert.equal(readFileSync(container("shop-db_backup"), "utf8"), foreign);
});

test("an upgrade keeps the image before it and removes the one before that; a removal leaves none of ours", () => {
  const removed = () =>
    [...readFileSync(join(box, "calls"), "utf8").matchAll(/^image rm (.*)$/gm)].map(
      ([, ref]) => ref,
    );
  const upgrade = (from: string) => {
    writeFileSync(container("shop-db_backup"), `running|old|${from}|then\n`);
    assert.equal(boot().out, "booted");
  };
  const record = join(box, INPUT.envFile.replace(".env", ".previous-image"));
  upgrade("image:2");
  assert.ok(!existsSync(record), "the same image with other settings is no upgrade");
  upgrade("image:0");
  assert.deepEqual(removed(), []);
  upgrade("image:1");
  assert.deepEqual(removed(), ["image:0"]);
  upgrade("image:1");
  assert.deepEqual(removed(), ["image:0"], "the image before is still that one");
  assert.equal(readFileSync(record, "utf8"), "image:1\n");
  // Back and forth between two images.
  writeFileSync(record, `${INPUT.image}\n`);
  upgrade("image:1");
  assert.deepEqual(removed(), ["image:0"]);
  // A boot that fails removes nothing.
  writeFileSync(record, "image:0\n");
  writeFileSync(container("shop-db_backup"), "running|old|image:1|then\n");
  writeFileSync(join(box, "failures"), "1");
  writeFileSync(join(box, "sentence"), "no");
  assert.equal(boot().code, 1);
  assert.deepEqual(removed(), ["image:0"]);

  assert.equal(remove(), 0);
  assert.deepEqual(removed().toSorted(), ["image:0", "image:0", "image:1"]);
  assert.ok(!existsSync(join(box, ".kamal/apps")), "its record goes, too");
});

test("a container of our image whose label somebody took away is ours", () => {
  writeFileSync(container("shop-db_backup"), "running||image:1|then\n");
  assert.equal(boot().out, "booted");
});

const KAMAL_LOCK = ".kamal/lock-shop";
function lockDeploys(message: string): string {
  const folder = join(box, KAMAL_LOCK);
  mkdirSync(folder, { recursive: true });
  const details = `Locked by: Ann at 2026-11-29T03:00:00Z\nVersion: abc\nMessage: ${message}`;
  writeFileSync(join(folder, "details"), `${Buffer.from(details).toString("base64")}\n`);
  return folder;
}

test("Kamal's lock is respected: nothing is replaced, and its holder and message are named", () => {
  boot();
  const folder = lockDeploys("deploying");
  assert.equal(boot().out, "unchanged", "which harms no deploy");
  const refused = boot({ env: "SECRET=other\n" });
  assert.equal(refused.code, 1);
  assert.match(refused.said, /Locked by: Ann at 2026-11-29T03:00:00Z;Message: deploying/);
  assert.ok(existsSync(folder));
  assert.equal(readFileSync(envFile(), "utf8"), INPUT.env);
});

test("Kamal's lock is held while the container is booted, and released after a failure too", () => {
  boot();
  const details = Buffer.from(readFileSync(join(box, "lock-while-booting"), "utf8"), "base64");
  assert.match(
    details.toString(),
    /^Locked by: pulumi up at \d{4}-\d\d-\d\dT.*Z\nVersion: \nMessage: kamal-postgres-backup boots shop-db_backup /,
  );
  assert.ok(!existsSync(join(box, KAMAL_LOCK)));
  writeFileSync(join(box, "failures"), "1");
  writeFileSync(join(box, "sentence"), "no");
  assert.equal(boot({ env: "SECRET=other\n" }).code, 1);
  assert.ok(!existsSync(join(box, KAMAL_LOCK)));
});

test("a lock that a killed script of this package has left is taken over", () => {
  lockDeploys("kamal-postgres-backup boots shop-db_backup (process 1 on the host)");
  assert.equal(boot().out, "booted");
  assert.ok(!existsSync(join(box, KAMAL_LOCK)));
});

test("two boots at once: the second waits for the first, which ends by itself when its caller is gone", async () => {
  boot();
  writeFileSync(join(box, "hold-stop"), "");
  const first = start({ env: "SECRET=other\n" });
  await until(() => existsSync(join(box, "held-stop")));
  const second = start({ env: "SECRET=other\n" });
  // Its caller goes: nobody reads what it says any more.
  first.stdout?.destroy();
  first.stderr?.destroy();
  rmSync(join(box, "hold-stop"));
  assert.equal(await finished(second), "unchanged\n");
  assert.equal(readFileSync(container("shop-db_backup"), "utf8"), "running|new|image:2|now\n");
  assert.ok(!existsSync(container("shop-db_backup.previous")));
});

test("a script that is ended midway puts the old container back and releases Kamal's lock", async () => {
  boot();
  writeFileSync(container("shop-db_backup"), "running|old|image:1|then\n");
  writeFileSync(join(box, "hold-stop"), "");
  const child = start({ env: "SECRET=other\n" });
  await until(() => existsSync(join(box, "held-stop")));
  child.kill("SIGTERM");
  rmSync(join(box, "hold-stop"));
  await finished(child);
  assert.equal(readFileSync(container("shop-db_backup"), "utf8"), "running|old|image:1|then\n");
  assert.equal(readFileSync(envFile(), "utf8"), INPUT.env);
  assert.ok(!existsSync(join(box, KAMAL_LOCK)));
});

test("who waits too long is told who holds the lock", () => {
  boot();
  lockDeploys("kamal-postgres-backup boots shop-db_backup (process 1 on the host)");
  writeFileSync(join(box, "bin/timeout"), "#!/bin/sh\nexit 124\n", { mode: 0o755 });
  const refused = boot();
  assert.equal(refused.code, 1);
  assert.match(refused.said, /another pulumi up is still booting .*Locked by: Ann at 2026/);
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

const OURS = INPUT.container;
const OLD_IMAGE = "running||eeshugerman/postgres-backup-s3:17|then";

function put(name: string, container: string, env = "S3_BUCKET=b\n"): void {
  writeFileSync(join(box, `container-${name}`), container);
  writeFileSync(join(box, `env-${name}`), `PATH=/bin\n${env}`);
}

const isThere = (name: string) => existsSync(join(box, `container-${name}`));

function onHost(script: string) {
  return spawnSync("sh", ["-c", script], { env: environment(), encoding: "utf8" });
}

test("a container that is replaced is removed by its name; one of this package never is", () => {
  put("shop-s3_backup", OLD_IMAGE);
  for (const script of [asideScript, removeReplacedScript]) {
    assert.equal(onHost(script(OURS, "shop-s3_backup")).status, 0);
  }
  assert.equal(isThere("shop-s3_backup"), false);
  put("shop-s3_backup", "running|digest|image:1|then");
  for (const script of [asideScript, removeReplacedScript]) {
    assert.equal(onHost(script(OURS, "shop-s3_backup")).status, 0);
  }
  assert.ok(isThere("shop-s3_backup"));
});

test("what is no backup is not replaced", () => {
  put("shop-db", "running||postgres:17|then", "POSTGRES_USER=shop\n");
  const { status, stderr } = onHost(asideScript(OURS, "shop-db"));
  assert.equal(status, 1);
  assert.match(stderr, /the container shop-db has no S3_BUCKET, so it is no backup/);
  assert.ok(isThere("shop-db"));
});

test("one with the accessory's own name runs on aside until the new one is fit, and gets its name back where it is not", () => {
  put(OURS, OLD_IMAGE);
  onHost(asideScript(OURS, OURS));
  assert.deepEqual([isThere(OURS), isThere(`${OURS}.replaced`)], [false, true]);
  onHost(putBackScript(OURS));
  assert.deepEqual([isThere(OURS), isThere(`${OURS}.replaced`)], [true, false]);

  onHost(asideScript(OURS, OURS));
  assert.equal(boot().code, 0);
  // A second try after one that was killed in between puts nothing aside again.
  assert.equal(onHost(asideScript(OURS, OURS)).status, 0);
  assert.equal(onHost(removeReplacedScript(OURS, OURS)).status, 0);
  assert.deepEqual([isThere(OURS), isThere(`${OURS}.replaced`)], [true, false]);
  assert.equal(onHost(removeReplacedScript(OURS, OURS)).status, 0);
});
