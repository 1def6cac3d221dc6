import { Problem } from "../../common/problem.ts";
import type { HostConnection } from "../session/hostConnection.ts";
import { type CommonOptions, openSession, type Session } from "../session/session.ts";
import { signingKeys } from "../stack/stateSecrets.ts";
import { EXIT } from "../terminal/exitCodes.ts";
import { plural } from "../terminal/format.ts";
import { paint } from "../terminal/render.ts";
import type { Screen } from "../terminal/screen.ts";
import { deployedHost } from "./application.ts";
import { backupChecks } from "./backupChecks.ts";
import { bucketChecks } from "./bucketChecks.ts";
import { type Check, type Examined, examine, type Finding, needs, ok, skipped } from "./check.ts";
import { databaseChecks } from "./databaseChecks.ts";
import { containerChecks, hostChecks } from "./hostChecks.ts";
import { localChecks } from "./localChecks.ts";
import { networkChecks } from "./networkChecks.ts";

/** The widest name of a check, so that the lines stand below each other as they come. */
const NAME_COLUMNS = 13;

const PAINT = { ok: paint.good, warn: paint.uncertain, fail: paint.bad, skipped: paint.faint };

/**
 * Looks at everything between this machine and the newest backup, in the order in which it depends on each other.
 * @returns the exit code: `failed` where a check failed; `couldNotRun` where none did, but not all could be made
 */
export async function doctor(screen: Screen, options: CommonOptions): Promise<number> {
  const examined: Examined[] = [];
  const checks = allChecks(screen, options, examined);
  const waiting = () => {
    const next = checks[examined.length];
    if (next !== undefined) screen.waiting(`checking ${next.name}`);
  };
  waiting();
  await examine(checks, (one) => {
    examined.push(one);
    screen.clear();
    print(screen, one);
    waiting();
  });
  screen.clear();
  const of = (state: Finding["state"]) => examined.filter((one) => one.state === state).length;
  const summary = { ok: of("ok"), warn: of("warn"), fail: of("fail"), skipped: of("skipped") };
  const first = examined.find(({ state }) => state === "fail");
  screen.line();
  screen.line(
    `${plural(examined.length, "check")}: ${summary.ok} ok, ${plural(summary.warn, "warning")}, ${summary.fail} failed, ${summary.skipped} not made.${first === undefined ? "" : ` Begin with ${first.name}.`}`,
  );
  screen.document({ checks: examined, ...summary, beginWith: first?.name ?? null });
  if (summary.fail > 0) return EXIT.failed;
  return summary.skipped > 0 ? EXIT.couldNotRun : EXIT.well;
}

function print(screen: Screen, { name, state, text, remedy }: Examined): void {
  screen.table(
    [{}, {}, {}],
    [[PAINT[state](state.padEnd(7)), name.padEnd(NAME_COLUMNS), text]],
    remedy === undefined ? {} : { notes: [remedy] },
  );
}

/** @param examined what is known so far */
function allChecks(screen: Screen, options: CommonOptions, examined: readonly Examined[]): Check[] {
  let session: Session | undefined;
  let runningMs: number | undefined;
  // Every check that asks for it needs the one that opens it.
  const opened = () => session as Session;
  const local = localChecks(options, process.env);
  return [
    ...local,
    {
      name: "stack",
      needs: local.map(({ name }) => name).filter((name) => name !== "ssh client"),
      look: async () => {
        session = await openSession(options, screen);
        const { name, hosts } = session.backup;
        const others = hosts.filter(({ host }) => host !== opened().container.host);
        const more = others.map(({ host }) => host).join(", ");
        return ok(
          `publishes the backup ${name} on ${opened().container.host}${more && ` (also on ${more}: --host)`}`,
        );
      },
    },
    {
      name: "state",
      needs: ["stack"],
      look: async () => {
        if (options.outputs !== undefined && options.stack === undefined) {
          return skipped("saved outputs hold no keys; --stack names the stack that does");
        }
        const { backup, container } = opened();
        await signingKeys(options, backup.name, container.name);
        return ok("can be read with its secrets");
      },
    },
    ...networkChecks(opened),
    ...hostChecks(() => connectionTo(session, options)),
    ...containerChecks(opened, (state) => {
      runningMs = state.runningMs;
    }),
    ...databaseChecks(opened),
    ...bucketChecks(opened, options),
    ...backupChecks(opened, options, () => ({
      unavailable: containerFailure(examined),
      runningMs,
    })),
  ];
}

/** Before there is a stack, the host is the one that deploy.yml names. */
function connectionTo(session: Session | undefined, options: CommonOptions) {
  if (session !== undefined) return session.container.connection;
  const found: HostConnection | Finding | undefined = deployedHost(options.cwd, process.env);
  return found ?? needs("stack");
}

/** The first of those that failed on the way into the container. */
function containerFailure(examined: readonly Examined[]): Problem | undefined {
  const way = ["ssh", "docker", "container"];
  const failed = examined.find(({ name, state }) => way.includes(name) && state === "fail");
  return failed && new Problem(failed.text);
}
