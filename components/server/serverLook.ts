import * as z from "zod";
import { WAL_ROLE } from "../../common/contracts/agentEnvironment/pointInTime.ts";
import type { ScriptResult } from "../pulumi/hostScript.ts";
import { lastWords, runInServer, type ServerAccess } from "./serverAccess.ts";

/** Names of the slots of this package, which are those of chains. */
export const SLOT_PATTERN = "^kpb_[0-9]{8}t[0-9]{6}_[0-9a-f]{6}$";

const lookSchema = z.object({
  standby: z.boolean(),
  /** As 170002 for 17.2. */
  version: z.int(),
  /** Besides the two that every server has. */
  tablespaces: z.array(z.string()),
  synchronousStandbyNames: z.string(),
  walLevel: z.string(),
  maxWalSenders: z.int(),
  maxReplicationSlots: z.int(),
  /** Null: there is none. */
  role: z
    .object({
      login: z.boolean(),
      replication: z.boolean(),
      monitor: z.boolean(),
      superuser: z.boolean(),
      /** What is stored of its password. */
      verifier: z.string().nullable(),
    })
    .nullable(),
  /** Lines of pg_hba.conf for the role, in the form of a line. */
  lines: z.array(z.object({ number: z.int(), text: z.string() })),
  /** Lines of pg_hba.conf that cannot be read, so that no reload takes effect. */
  wrongLines: z.array(z.object({ number: z.int(), error: z.string() })),
  settings: z.record(z.string(), z.object({ value: z.string(), source: z.string() })),
  slots: z.array(z.object({ name: z.string(), status: z.string().nullable() })),
  /** Of the role. */
  connections: z.int(),
  /** All files of the WAL. */
  walBytes: z.number(),
  /** Free on the volume of the WAL. */
  freeBytes: z.number(),
});

/** A server as it is found. */
export type ServerLook = z.infer<typeof lookSchema>;

/** What there is instead: the server does not answer, or cannot be looked at. */
export interface NotSeen {
  readonly reason: string;
  /** The container is gone, or this server can never be looked at; absent: it may answer later. */
  readonly for?: "gone" | "ever";
}

/** Names of the settings that this package makes. */
export const OWN_SETTINGS = ["max_slot_wal_keep_size", "summarize_wal"] as const;

const NAMES = OWN_SETTINGS.map((name) => `'${name}'`).join(", ");

const QUERY = `select json_build_object(
  'standby', pg_is_in_recovery(),
  'version', current_setting('server_version_num')::int,
  'tablespaces', (select coalesce(json_agg(spcname), '[]') from pg_tablespace where spcname not in ('pg_default', 'pg_global')),
  'synchronousStandbyNames', current_setting('synchronous_standby_names'),
  'walLevel', current_setting('wal_level'),
  'maxWalSenders', current_setting('max_wal_senders')::int,
  'maxReplicationSlots', current_setting('max_replication_slots')::int,
  'role', (select json_build_object('login', rolcanlogin, 'replication', rolreplication, 'superuser', rolsuper,
      'monitor', pg_has_role(oid, 'pg_monitor', 'usage'), 'verifier', rolpassword)
    from pg_authid where rolname = '${WAL_ROLE}'),
  'lines', (select coalesce(json_agg(json_build_object('number', line_number, 'text',
      concat_ws(' ', type, array_to_string(database, ','), array_to_string(user_name, ','), address, netmask, auth_method))
    order by line_number), '[]') from pg_hba_file_rules where '${WAL_ROLE}' = any (user_name)),
  'wrongLines', (select coalesce(json_agg(json_build_object('number', line_number, 'error', error)), '[]')
    from pg_hba_file_rules where error is not null),
  'settings', (select json_object_agg(name, json_build_object('value', current_setting(name), 'source', source))
    from pg_settings where name in (${NAMES})),
  'slots', (select coalesce(json_agg(json_build_object('name', slot_name, 'status', wal_status) order by slot_name), '[]')
    from pg_replication_slots where slot_type = 'physical' and slot_name ~ '${SLOT_PATTERN}'),
  'connections', (select count(*) from pg_stat_activity where usename = '${WAL_ROLE}'),
  'walBytes', (select coalesce(sum(size), 0) from pg_ls_waldir())
)`.replaceAll(/\s*\n\s*/g, " ");

/** A role that is no superuser sees neither stored passwords nor pg_hba.conf. */
const SQL = `select rolsuper as super from pg_roles where rolname = current_user \\gset
\\if :super
${QUERY};
select current_setting('data_directory') as data \\gset
\\setenv DATA :data
\\! df -Pk "$DATA/pg_wal" | tail -n 1
\\else
\\echo no superuser
\\endif
`;

/** Looks at the server. Throws where its host cannot be reached. */
export async function lookAtServer(access: ServerAccess): Promise<ServerLook | NotSeen> {
  const result = await runInServer(access, "sql", SQL);
  const { container, target, login } = access;
  const place = `${container} on ${target.host}`;
  if (result.code !== 0) return notSeen(place, result);
  const lines = result.stdout.split("\n");
  const json = lines.find((line) => line.startsWith("{"));
  if (json === undefined) {
    return {
      reason: `${login.user} is no superuser of the server in ${place}, and only one may make a role that replicates and read pg_hba.conf`,
      for: "ever",
    };
  }
  // The device's name may be as long as it likes, but POSIX has it in one line with the rest, and in these columns.
  const space = lines.find((line) => / \d+% /.test(line)) ?? "";
  const available = space.trim().split(/\s+/).at(-3);
  return lookSchema.parse({ ...JSON.parse(json), freeBytes: Number(available) * 1024 });
}

export function isSeen(look: ServerLook | NotSeen): look is ServerLook {
  return "version" in look;
}

/** Exit code of `docker exec` where the command could not be run. */
const CANNOT_EXECUTE = 126;

function notSeen(place: string, result: ScriptResult): NotSeen {
  // Docker 20.10 writes this one on standard output.
  const said = `${result.stderr}${result.code === CANNOT_EXECUTE ? result.stdout : ""}`;
  if (/no such container/i.test(said)) {
    return { reason: `there is no container ${place}`, for: "gone" };
  }
  if (/unable to find user postgres/i.test(said)) {
    return {
      reason: `the image of ${place} has no user postgres, as the official one has, who owns the server's files`,
      for: "ever",
    };
  }
  return { reason: `the server in ${place} does not answer: ${lastWords(result)}` };
}
