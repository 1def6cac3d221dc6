import { posix } from "node:path";
import { DIGEST_LABEL } from "./accessory.ts";

/** Images that are built on their host stand under this name. As a registry it is the host itself: nobody else can serve it. */
export const HOST_IMAGES = "localhost/kamal-postgres-backup";

/** Why a host is refused where `docker` is the command of podman, or speaks to it. */
export const PODMAN =
  "podman runs there in the place of Docker, which Kamal needs. Install Docker Engine (https://docs.docker.com/engine/install) and remove podman-docker.";

/**
 * A condition of the shell: podman answers. Its package podman-docker has a command \`docker\`, and Docker's own command speaks to
 * podman where a context or DOCKER_HOST says so (podman 4.3 and Docker 28 name themselves so in both cases).
 */
export const IS_PODMAN = "{ docker --version; docker version; } 2>&1 | grep -i podman > /dev/null";

/**
 * The script that boots the accessory on a host. It is constant: every value arrives on standard input. Lines of the input: container, digest, image, path of the env file, the
 * `docker run` line, registry server, user, password, patience; the rest is the env file.
 *
 * A container with the same digest, image and env file that runs is left alone, whoever started it, unless the caller has
 * found that it differs (`replaceCommand`). Otherwise the new one must pass `agent probe` before the old one goes; when it
 * does not, or the script is ended midway, the old one is put back. One that is not of this package is never touched.
 *
 * It runs on when its caller is killed, so one script for an application holds a lock on that application's folder, which
 * the kernel frees with it. Kamal's own deploy lock is respected and taken beside it: a folder with a file of details in
 * base64 (Kamal 2.11, lib/kamal/commands/lock.rb).
 */
const bootScript = `set -eu
umask 077
cd "$HOME"
IFS= read -r container; IFS= read -r digest; IFS= read -r image; IFS= read -r envfile; IFS= read -r run
IFS= read -r server; IFS= read -r user; IFS= read -r password; IFS= read -r patience
scratch=$(mktemp -d)
previous="$container.previous"
deploys=""
replacing=""

# Whoever started this may be gone, and a line that nobody reads must not end it.
trap '' PIPE
say() { printf '%s\\n' "$*" >&2 || :; }
exists() { docker container inspect "$1" > /dev/null 2>&1; }

restore_previous() {
  if [ -f "$scratch/env.before" ]; then cp -p "$scratch/env.before" "$envfile"; else rm -f "$envfile"; fi
  # Without it the old container still has its name, or there was none.
  if exists "$previous"; then
    docker rm -f "$container" > /dev/null 2>&1
    docker rename "$previous" "$container"
  elif [ "$replacing" = nothing ]; then
    docker rm -f "$container" > /dev/null 2>&1
    return
  fi
  if docker start "$container" > /dev/null; then say "the previous container is back"; fi
}
finish() {
  set +e
  if [ -n "$replacing" ]; then restore_previous; fi
  if [ -n "$deploys" ]; then rm -rf "$deploys"; fi
  rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
cat > "$scratch/env"

application=\${envfile#.kamal/apps/}
application=\${application%%/*}
lock=".kamal/lock-$application"
lock_details() { base64 -d "$lock/details" 2> /dev/null | sed -n '/^Locked by: /p; /^Message: /p' | paste -s -d ';' -; }

# One boot at a time. What a removal took away meanwhile is another folder.
alone() {
  mkdir -p "$(dirname "$envfile")"
  exec 9< ".kamal/apps/$application"
  timeout 300 flock 9 || {
    say "another pulumi up is still booting a container of $application on this host ($(lock_details)). Wait until it ends, then run pulumi up again."; exit 1; }
  [ ".kamal/apps/$application" -ef "/proc/$$/fd/9" ]
}
if ${IS_PODMAN}; then say "${PODMAN}"; exit 1; fi
command -v flock > /dev/null || { say "the host has no flock, which keeps two boots apart. Install util-linux there."; exit 1; }
until alone; do :; done

repository() { r=\${1%%@*}; last=\${r##*/}; printf '%s' "\${r%"$last"}\${last%%:*}"; }
inspect() { docker container inspect -f "$2" "$1"; }
ours() {
  [ -n "$(inspect "$1" '{{index .Config.Labels "${DIGEST_LABEL}"}}')" ] ||
    [ "$(repository "$(inspect "$1" '{{.Config.Image}}')")" = "$(repository "$image")" ]
}
for name in "$container" "$previous"; do
  if exists "$name" && ! ours "$name"; then
    say "a container $name is there that kamal-postgres-backup did not make: image $(inspect "$name" '{{.Config.Image}}'), $(inspect "$name" '{{.State.Status}}'), started $(inspect "$name" '{{.State.StartedAt}}'). It was left as it is. To take its name over, remove it on this host (docker rm -f $name) and run pulumi up again. To keep both, give the backup's accessory another key: kamal.accessory in a program, kamal-postgres-backup:accessory in a stack."
    exit 1
  fi
done

try_out() { timeout 120 docker exec "$container" agent probe > "$scratch/probe" 2>&1; }

# A script that was killed may have left the old container aside. The new one counts only if it has proved itself.
if exists "$previous"; then
  if exists "$container" && try_out; then
    docker rm -f "$previous" > /dev/null
  else
    docker rm -f "$container" > /dev/null 2>&1 || :
    docker rename "$previous" "$container"
    docker start "$container" > /dev/null
  fi
fi

if [ -z "\${kpb_replace:-}" ] && exists "$container"; then
  state=$(inspect "$container" '{{.State.Status}} {{index .Config.Labels "${DIGEST_LABEL}"}} {{.Config.Image}}')
  if [ "$state" = "running $digest $image" ] && cmp -s "$scratch/env" "$envfile"; then
    echo unchanged
    exit 0
  fi
fi

# No other script of this package runs for this application, so a lock of its own was left by one that was killed.
mark="kamal-postgres-backup boots"
tries=0
until mkdir "$lock" 2> /dev/null; do
  holder=$(lock_details)
  case "$holder" in
    *"Message: $mark "*) rm -rf "$lock"; continue ;;
    "") if [ "$tries" -lt 5 ] && [ ! -s "$lock/details" ]; then tries=$((tries + 1)); sleep 1; continue; fi ;;
  esac
  say "Kamal's deploy lock of $application is held, so $container was not replaced. \${holder:-Its holder is not known.} Wait until that is done (kamal lock status shows it, kamal lock release frees one that was left behind), then run pulumi up again."
  exit 1
done
deploys="$lock"
printf 'Locked by: pulumi up at %s\\nVersion: \\nMessage: %s %s (process %s on the host)' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$mark" "$container" "$$" | base64 > "$lock/details"

fetch() {
  # The folder for the login has no contexts, by one of which the command reaches a rootless Docker.
  endpoint=$(docker context inspect -f '{{.Endpoints.docker.Host}}' 2> /dev/null || :)
  case "$endpoint" in unix://*) export DOCKER_HOST="$endpoint" ;; esac
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

# A backup or restore that runs is not cut off, within a limit that the caller's own allows.
busy() { docker top "$container" -eo pid,args 2> /dev/null | grep -Eq 'agent[.][cm]js (backup|restore)'; }
waited=0
while [ "$waited" -lt 600 ] && busy; do sleep 0.2; waited=$((waited + 1)); done

if [ -f "$envfile" ]; then cp -p "$envfile" "$scratch/env.before"; fi
if exists "$container"; then replacing=container; else replacing=nothing; fi
cp "$scratch/env" "$envfile.new"
mv "$envfile.new" "$envfile"
if [ "$replacing" = container ]; then
  docker rename "$container" "$previous"
  docker stop --time 30 "$previous" > /dev/null
fi

if ! eval "$run" > "$scratch/run" 2>&1; then
  say "the container did not start: $(grep -v -e '^$' -e 'docker run --help' "$scratch/run" | tail -n 1)"
  exit 1
fi
# A key that was made a moment ago may not be known everywhere yet.
probe() {
  end=$(($(date +%s) + patience))
  while ! try_out; do
    if [ "$(date +%s)" -ge "$end" ] || ! grep -q 'access key' "$scratch/probe"; then return 1; fi
    sleep 3
  done
}
if ! probe; then
  say "the new container is not fit to back up:"
  tail -n 5 "$scratch/probe" >&2 || :
  say "its last log lines:"
  docker logs --tail 10 "$container" >&2 2>&1 || :
  exit 1
fi
replacing=""
if exists "$previous"; then
  last=$(inspect "$previous" '{{.Config.Image}}')
  docker rm -f "$previous" > /dev/null
  if [ "$last" != "$image" ]; then
    # The image of before stays, as a way back; the one before that only takes room. What a container is made from, docker keeps.
    record="\${envfile%.env}.previous-image"
    older=$(cat "$record" 2> /dev/null || :)
    case "$older" in "" | "$image" | "$last") ;; *) docker image rm "$older" > /dev/null 2>&1 || : ;; esac
    printf '%s\n' "$last" > "$record"
  fi
fi
echo booted || :
`;

/**
 * The command to run on the host: takes the script itself off standard input too, byte by byte so that nothing behind it
 * is read ahead. A command's text is printed whole when it fails, and the reason should not drown in it.
 */
export const bootCommand = `eval "$(dd bs=1 count=${bootScript.length} 2> /dev/null)"`;

/** The same, for a container that has the right label and is not as declared all the same: it is replaced. */
export const replaceCommand = `kpb_replace=yes; ${bootCommand}`;

/** What the container that is replaced is called while its name is already another's. */
const ASIDE = ".replaced";

/**
 * Refuses to replace what is no backup, and puts a container of another image aside that has the accessory's own name; it goes on
 * running. What this package has made is left alone.
 * @param replaced name of the container that goes once ours is fit
 */
export function asideScript(container: string, replaced: string): string {
  return [
    `old='${replaced}'; ${IS_FOREIGN}`,
    `docker container inspect -f '{{range .Config.Env}}{{println .}}{{end}}' "$old" | grep -q '^S3_BUCKET=' || { echo "the container $old has no S3_BUCKET, so it is no backup that could be replaced" >&2; exit 1; }`,
    ...(container === replaced ? [`docker rename "$old" "$old${ASIDE}"`] : []),
  ].join("; ");
}

/** Gives the container that was put aside its name back, where the new one did not come to be. */
export function putBackScript(container: string): string {
  return `docker container inspect '${container}' > /dev/null 2>&1 || docker rename '${container}${ASIDE}' '${container}'`;
}

/** Removes the container that is replaced, once ours is fit. */
export function removeReplacedScript(container: string, replaced: string): string {
  const name = container === replaced ? `${replaced}${ASIDE}` : replaced;
  return `old='${name}'; ${IS_FOREIGN}; docker stop --time 30 "$old" > /dev/null && docker rm "$old" > /dev/null`;
}

/** Ends well where there is no such container, or one of this package. */
const IS_FOREIGN = `label=$(docker container inspect -f '{{index .Config.Labels "${DIGEST_LABEL}"}}' "$old" 2> /dev/null) || exit 0; [ -z "$label" ] || exit 0`;

/** Waits until no backup or restore runs in a container, for two minutes at most, as the boot script does. */
export function idleScript(container: string): string {
  return `n=0; while [ "$n" -lt 600 ] && docker top '${container}' -eo pid,args 2> /dev/null | grep -Eq 'agent[.][cm]js (backup|restore)'; do sleep 0.2; n=$((n + 1)); done`;
}

/**
 * Tries whether a container is fit to back up, as the boot script does; what is wrong stands on standard error.
 * @param patience seconds for which a refused access key is tried again
 */
export function probeScript(container: string, patience: number): string {
  return [
    `end=$(($(date +%s) + ${patience}))`,
    `until found=$(timeout 120 docker exec '${container}' agent probe 2>&1)`,
    'do if [ "$(date +%s)" -ge "$end" ] || ! printf %s "$found" | grep -q "access key"',
    `then printf '%s\n' "$found" | tail -n 5 >&2; docker logs --tail 10 '${container}' >&2; exit 1; fi`,
    "sleep 3; done",
  ].join("; ");
}

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
 * Removes what the boot made: the container, its image and the one before it unless another container is made from them, its
 * env file and the folders of it that hold nothing else; never data, nor a container that this package did not make. Both
 * values are names that we chose.
 */
export function removeScript(container: string, envFile: string): string {
  const folder = posix.dirname(envFile);
  const record = envFile.replace(/\.env$/, ".previous-image");
  const application = envFile.split("/").slice(0, 3).join("/");
  return [
    'docker info > /dev/null || exit 1; cd "$HOME" || exit 1',
    `if [ -d '${application}' ]; then exec 9< '${application}'; timeout 300 flock 9; fi`,
    `images=$(cat '${record}' 2> /dev/null)`,
    `for name in '${container}' '${container}.previous'; do label=$(docker container inspect -f '{{index .Config.Labels "${DIGEST_LABEL}"}}' "$name" 2> /dev/null) || continue; [ -n "$label" ] || continue; images="$images $(docker container inspect -f '{{.Config.Image}}' "$name")"; docker rm -f "$name" > /dev/null || exit 1; done`,
    'for image in $images; do docker image rm "$image" > /dev/null 2>&1; done',
    `rm -f '${envFile}' '${record}'; rmdir -p '${folder}' > /dev/null 2>&1; true`,
  ].join("; ");
}
