import { formatBytes } from "../../common/format.ts";
import { Problem } from "../../common/problem.ts";
import type { Container } from "../session/agentCall.ts";
import { type ContainerState, inspectContainer } from "../session/container.ts";
import type { Session } from "../session/session.ts";
import { type Check, type Finding, fail, ok, skipped, warn } from "./check.ts";
import { judgeSkew } from "./networkChecks.ts";

/** What one look at a host brings. */
export interface HostLook {
  /** Its clock; NaN: it does not tell. */
  readonly epochMs: number;
  /** Docker's version; what it answered instead; undefined: there is no such program. */
  readonly docker?: { readonly version: string } | { readonly refusal: string };
  /** Where Docker keeps its data. Bytes. */
  readonly disk?: { readonly free: number; readonly size: number; readonly mount: string };
}

/** Constant text, so that nothing in it needs quoting. Each line begins with what it is about. */
const LOOK = `echo "clock $(date +%s)"
if command -v docker >/dev/null 2>&1; then
  if version=$(docker version --format '{{.Server.Version}}' 2>&1); then echo "docker $version"
  else echo "refusal $(echo "$version" | tail -n 1)"; fi
  root=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null)
fi
[ -d "$root" ] || root=/
echo "disk $(df -Pk "$root" | tail -n 1)"`;

/** Reads the lines of that script. */
export function readHostLook(lines: readonly string[]): HostLook {
  const value = (word: string) =>
    lines.find((line) => line.startsWith(`${word} `))?.slice(word.length + 1);
  const [version, refusal] = [value("docker"), value("refusal")];
  const [, size = "", , free = "", , ...mount] = (value("disk") ?? "").split(/\s+/);
  return {
    epochMs: Number(value("clock") ?? Number.NaN) * 1000,
    ...(version !== undefined && { docker: { version } }),
    ...(refusal !== undefined && { docker: { refusal } }),
    ...(/^\d+$/.test(free) && {
      disk: { free: Number(free) * 1024, size: Number(size) * 1024, mount: mount.join(" ") },
    }),
  };
}

export function judgeDocker({ docker }: HostLook, user: string): Finding {
  if (docker === undefined) {
    return fail(
      `docker is not on the PATH of ${user}`,
      "Kamal needs it too: kamal server bootstrap installs it.",
    );
  }
  if ("version" in docker) return ok(docker.version);
  const mayNot = /permission denied/i.test(docker.refusal);
  return fail(
    docker.refusal,
    mayNot
      ? `Let ${user} use Docker: sudo usermod -aG docker ${user}, and log in again.`
      : "Start it on the host: sudo systemctl start docker.",
  );
}

/** An image and its layers must fit; a backup itself needs no space there. */
const LEAST_FREE = 200_000_000;
const LITTLE_FREE = 2_000_000_000;

export function judgeDisk({ disk }: HostLook): Finding {
  if (disk === undefined) return skipped("df on the host tells nothing");
  const text = `${formatBytes(disk.free)} of ${formatBytes(disk.size)} free on ${disk.mount}`;
  const remedy = "Make room: docker system df shows what Docker keeps, kept shows kept databases.";
  if (disk.free < LEAST_FREE) return fail(text, remedy);
  if (disk.free < LITTLE_FREE || disk.free < disk.size / 20) return warn(text, remedy);
  return ok(text);
}

/**
 * The host by SSH, and Docker on it.
 * @param connect called when it is looked at; a finding in its place says why there is none
 */
export function hostChecks(connect: () => Container["connection"] | Finding): Check[] {
  let found: HostLook = { epochMs: Number.NaN };
  let user = "";
  let skewMs = Number.NaN;
  return [
    {
      name: "ssh",
      look: async () => {
        const opened = connect();
        if ("state" in opened) return opened;
        user = opened.user;
        const lines: string[] = [];
        const began = Date.now();
        const { code, stderr } = await opened.run({
          words: ["sh", "-c", LOOK],
          onLine: (line) => lines.push(line),
          interrupted: "interrupted.",
        });
        if (code !== 0) throw new Problem(`the host's shell fails: ${stderr.trim()}`);
        found = readHostLook(lines);
        // `date` has whole seconds, and ran somewhere between the two.
        skewMs = found.epochMs + 500 - (began + Date.now()) / 2;
        return ok(`logged in as ${user}`);
      },
    },
    {
      name: "host clock",
      needs: ["ssh"],
      look: () => judgeSkew(skewMs, "the host", "this machine"),
    },
    { name: "docker", needs: ["ssh"], look: () => judgeDocker(found, user) },
    { name: "disk", needs: ["ssh"], look: () => judgeDisk(found) },
  ];
}

/**
 * The container that was declared, in the order in which it comes to life.
 * @param onState called with what Docker knows of it
 */
export function containerChecks(
  session: () => Session,
  onState: (state: ContainerState) => void,
): Check[] {
  let state: ContainerState | undefined;
  const up = () => session().container.up;
  return [
    {
      name: "container",
      needs: ["stack", "docker"],
      look: async () => {
        const { container } = session();
        state = await inspectContainer(container);
        onState(state);
        return judgeContainer(state, container.name, container.up);
      },
    },
    {
      name: "image",
      needs: ["container"],
      look: () => judgeImage(state?.image, session().backup.image, up()),
    },
    {
      name: "health",
      needs: ["container"],
      look: () => judgeHealth(state, `docker logs ${session().container.name}`),
    },
  ];
}

export function judgeContainer(
  { running, status, since, restarts }: ContainerState,
  name: string,
  up: string,
): Finding {
  const text = [`${name} ${status}`, since].filter(Boolean).join(" ");
  if (running) return restarts > 0 ? ok(`${text}, restarted ${restarts} times`) : ok(text);
  return fail(text, status === "missing" ? `${up} boots it.` : `${up} starts it.`);
}

export function judgeImage(found: string | undefined, declared: string, up: string): Finding {
  if (found === undefined || found === declared) return ok("as declared");
  return warn(`runs ${found}, declared is ${declared}`, `${up} boots the declared one.`);
}

export function judgeHealth(state: ContainerState | undefined, logs: string): Finding {
  const remark = state?.remark ?? state?.health ?? "Docker knows of no health check";
  if (state?.health === "unhealthy") return fail(remark, `Its log says more, on the host: ${logs}`);
  if (state?.health === "starting") return warn(remark, "Look again in a minute.");
  return ok(remark);
}
