import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { connect } from "node:tls";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { Problem } from "../../common/problem.ts";
import { hopsOf } from "../../common/ssh/route.ts";
import { hostSettings } from "../../common/ssh/userConfig.ts";
import type { Session } from "../session/session.ts";
import { type Check, type Finding, fail, ok, skipped, warn } from "./check.ts";

/** How long a name, a handshake or an answer is waited for. */
const PATIENCE_MS = 10_000;
/** Nobody has renewed a certificate that has so few days left. Let's Encrypt's own clients renew at 30. */
const RENEWED_BY_DAYS = 14;
const DAY_MS = 86_400_000;
/** S3 refuses requests whose time is further off (RequestTimeTooSkewed). */
const REFUSED_SKEW_MS = 15 * 60_000;
const NOTED_SKEW_MS = 60_000;

/** Where the backups go. */
export function serviceUrl({ endpoint, region }: BackupOutputs["location"]): URL {
  return new URL(endpoint ?? `https://s3.${region}.amazonaws.com`);
}

/** The way to the host and to the bucket's service, as far as it needs no key. */
export function networkChecks(session: () => Session): Check[] {
  const service = () => serviceUrl(session().backup.location);
  return [
    {
      name: "dns",
      needs: ["stack"],
      look: async () => {
        const names = [hostSettings(firstHop(session())).hostName, service().hostname];
        const found = await Promise.all([...new Set(names)].map(addressOf));
        return ok(found.join(", "));
      },
    },
    {
      name: "tls",
      needs: ["dns"],
      look: () => {
        const { protocol, hostname, host, port } = service();
        if (protocol === "https:") return judgeCertificate(hostname, Number(port) || 443);
        return warn(
          `${host} is asked in plain http`,
          "Names of backups, and backups that are not encrypted, can be read on the way. Use https where the service has it.",
        );
      },
    },
    {
      name: "clock",
      needs: ["tls"],
      look: async () => judgeSkew(await skewOf(service()), "this machine", service().hostname),
    },
  ];
}

/** Whatever is behind a bastion is looked up by the bastion. */
function firstHop({ backup, container }: Session): string {
  const hop = backup.hosts.find(({ host }) => host === container.host);
  if (hop === undefined) return container.host;
  return hopsOf({ host: hop, proxy: backup.proxy }).at(-1)?.host ?? container.host;
}

/** `shop.example.com is 192.0.2.10` @throws Problem when the name leads nowhere */
async function addressOf(name: string): Promise<string> {
  const bare = name.replace(/^\[|\]$/g, "");
  if (isIP(bare) !== 0) return bare;
  try {
    const { address } = await within(lookup(bare));
    return `${bare} is ${address}`;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "no answer in time";
    throw new Problem(
      `the name ${bare} is not found (${code}). Correct its DNS record, or this machine's resolver.`,
    );
  }
}

async function within<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, refuse) => {
    timer = setTimeout(() => refuse(new Error("no answer in time")), PATIENCE_MS);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function judgeCertificate(host: string, port: number): Promise<Finding> {
  return new Promise((done) => {
    const socket = connect({ host, port, ...(isIP(host) === 0 && { servername: host }) });
    const end = (finding: Finding) => {
      socket.destroy();
      done(finding);
    };
    socket.setTimeout(PATIENCE_MS, () => end(unreachable(host, port, "no answer in time")));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      end(unreachable(host, port, error.code ?? error.message));
    });
    socket.on("secureConnect", () => {
      end(judgeValidity(host, Date.parse(socket.getPeerCertificate().valid_to), Date.now()));
    });
  });
}

function unreachable(host: string, port: number, reason: string): Finding {
  return fail(
    `no TLS connection to ${host}:${port} (${reason})`,
    "A certificate of your own goes into NODE_EXTRA_CA_CERTS; a proxy or firewall must let this address through.",
  );
}

/** @param until when the certificate expires */
export function judgeValidity(host: string, until: number, now: number): Finding {
  const days = Math.floor((until - now) / DAY_MS);
  if (days >= RENEWED_BY_DAYS) return ok(`${host}: certificate valid for ${days} more days`);
  return warn(
    `${host}: the certificate expires in ${days} days`,
    "Renew it: once it has expired, no backup is stored.",
  );
}

/** By how much this clock is ahead of the service's, by the time in its answer. The header has whole seconds. */
async function skewOf(service: URL): Promise<number> {
  const began = Date.now();
  let answer: Response;
  try {
    answer = await fetch(service, {
      method: "HEAD",
      redirect: "manual",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch (error) {
    const { cause } = error as { cause?: NodeJS.ErrnoException };
    throw new Problem(
      `${service.host} does not answer (${cause?.code ?? "no answer in time"}). Look whether the service is up and reachable from here.`,
    );
  }
  const answered = Date.parse(answer.headers.get("date") ?? "");
  return (began + Date.now()) / 2 - (answered + 500);
}

/** @param skewMs by how much the first clock is ahead; NaN: the other one does not tell its time */
export function judgeSkew(skewMs: number, whose: string, other: string): Finding {
  if (Number.isNaN(skewMs)) return skipped(`${other} does not tell its time`);
  const off = Math.abs(skewMs);
  const text = `that of ${whose} is ${Math.round(off / 1000)} s ${skewMs > 0 ? "ahead of" : "behind"} ${other}`;
  const remedy = "Set the clock by NTP: timedatectl set-ntp true.";
  if (off >= REFUSED_SKEW_MS) return fail(`${text}, and S3 refuses more than 15 min`, remedy);
  if (off >= NOTED_SKEW_MS) return warn(text, remedy);
  return ok(`within a minute of ${other}`);
}
