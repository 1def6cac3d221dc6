import { posix } from "node:path";

/** Images that are built on their host stand under this name. As a registry it is the host itself: nobody else can serve it. */
export const HOST_IMAGES = "localhost/kamal-postgres-backup";

/**
 * The script that boots the accessory on a host. It is constant: every value arrives on standard input. Lines of the input: container, digest, image, path of the env file, the
 * `docker run` line, registry server, user, password, patience; the rest is the env file.
 *
 * A container with the same digest, image and env file that runs is left alone, whoever started it. Otherwise the new
 * one must pass `agent probe` before the old one goes; when it does not, the old one is put back.
 */
const bootScript = `set -eu
umask 077
cd "$HOME"
IFS= read -r container; IFS= read -r digest; IFS= read -r image; IFS= read -r envfile; IFS= read -r run
IFS= read -r server; IFS= read -r user; IFS= read -r password; IFS= read -r patience
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cat > "$scratch/env"
previous="$container.previous"

exists() { docker container inspect "$1" > /dev/null 2>&1; }
say() { printf '%s\\n' "$*" >&2; }

# An interrupted run may have left the old container aside.
if exists "$previous"; then
  if exists "$container"; then docker rm -f "$previous" > /dev/null; else docker rename "$previous" "$container"; fi
fi

if exists "$container"; then
  state=$(docker container inspect -f '{{.State.Status}} {{index .Config.Labels "kamal-postgres-backup.digest"}} {{.Config.Image}}' "$container")
  if [ "$state" = "running $digest $image" ] && cmp -s "$scratch/env" "$envfile"; then
    echo unchanged
    exit 0
  fi
fi

fetch() {
  if [ -n "$user" ]; then
    printf '%s' "$password" | docker --config "$scratch" login "$server" --username "$user" --password-stdin > /dev/null 2> "$scratch/login" || {
      say "the host could not log in to the registry $server: $(tail -n 1 "$scratch/login")"; exit 1; }
  fi
  docker --config "$scratch" pull --quiet "$image" > /dev/null 2> "$scratch/pull" || {
    say "the host could not pull $image: $(tail -n 1 "$scratch/pull")"; exit 1; }
}
case "$image" in
  ${HOST_IMAGES}/*) docker image inspect "$image" > /dev/null 2>&1 || {
    say "the image $image, which was built on this host, is gone. pulumi up --refresh builds it again."; exit 1; } ;;
  *) fetch ;;
esac
docker network inspect kamal > /dev/null 2>&1 || docker network create kamal > /dev/null

mkdir -p "$(dirname "$envfile")"
if [ -f "$envfile" ]; then cp -p "$envfile" "$scratch/env.before"; fi
cp "$scratch/env" "$envfile.new"
mv "$envfile.new" "$envfile"

# A backup or restore that runs is not cut off, within a limit that the caller's own allows.
busy() { docker top "$container" -eo pid,args 2> /dev/null | grep -Eq 'agent[.]mjs (backup|restore)'; }
waited=0
while [ "$waited" -lt 600 ] && busy; do sleep 0.2; waited=$((waited + 1)); done

if exists "$container"; then
  docker rename "$container" "$previous"
  docker stop --time 30 "$previous" > /dev/null
fi

restore_previous() {
  docker rm -f "$container" > /dev/null 2>&1 || true
  if [ -f "$scratch/env.before" ]; then cp -p "$scratch/env.before" "$envfile"; else rm -f "$envfile"; fi
  if exists "$previous"; then
    docker rename "$previous" "$container"
    docker start "$container" > /dev/null
    say "the previous container is back"
  fi
}

if ! eval "$run" > "$scratch/run" 2>&1; then
  say "the container did not start: $(grep -v -e '^$' -e 'docker run --help' "$scratch/run" | tail -n 1)"
  restore_previous
  exit 1
fi
# A key that was made a moment ago may not be known everywhere yet.
probe() {
  end=$(($(date +%s) + patience))
  while ! timeout 120 docker exec "$container" agent probe > "$scratch/probe" 2>&1; do
    if [ "$(date +%s)" -ge "$end" ] || ! grep -q 'access key' "$scratch/probe"; then return 1; fi
    sleep 3
  done
}
if ! probe; then
  say "the new container is not fit to back up:"
  tail -n 5 "$scratch/probe" >&2
  say "its last log lines:"
  docker logs --tail 10 "$container" >&2 2>&1 || true
  restore_previous
  exit 1
fi
if exists "$previous"; then docker rm -f "$previous" > /dev/null; fi
echo booted
`;

/**
 * The command to run on the host: takes the script itself off standard input too, byte by byte so that nothing behind it
 * is read ahead. A command's text is printed whole when it fails, and the reason should not drown in it.
 */
export const bootCommand = `eval "$(dd bs=1 count=${bootScript.length} 2> /dev/null)"`;

/** What the script reads. */
export interface BootInput {
  readonly container: string;
  readonly digest: string;
  readonly image: string;
  readonly envFile: string;
  readonly run: string;
  readonly registry: {
    readonly server: string;
    readonly username: string;
    readonly password: string;
  };
  /** Seconds for which a refused access key is tried again: IAM takes a while to tell all of S3 about a new one. */
  readonly patience: number;
  readonly env: string;
}

/** The standard input of `bootCommand`: the script, and the values as it reads them. */
export function bootInput(input: BootInput): string {
  const { registry } = input;
  const lines = [
    input.container,
    input.digest,
    input.image,
    input.envFile,
    input.run,
    registry.server,
    registry.username,
    registry.password,
    String(input.patience),
  ];
  return `${bootScript}${lines.join("\n")}\n${input.env}`;
}

/**
 * Removes what the boot made: the container, its env file and the folders of it that hold nothing else; never data. Both
 * values are names that we chose.
 */
export function removeScript(container: string, envFile: string): string {
  return `docker info > /dev/null || exit 1; cd "$HOME" && docker rm -f '${container}' '${container}.previous' > /dev/null 2>&1; rm -f '${envFile}'; rmdir -p '${posix.dirname(envFile)}' > /dev/null 2>&1; ! docker container inspect '${container}' > /dev/null 2>&1`;
}
