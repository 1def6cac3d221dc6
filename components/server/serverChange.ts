import { WAL_ROLE } from "../../common/contracts/agentEnvironment/pointInTime.ts";
import { runScript, type ScriptResult } from "../pulumi/hostScript.ts";
import { scramVerifier } from "./scram.ts";
import { quoted, runInServer, type ServerAccess } from "./serverAccess.ts";
import { OWN_SETTINGS, type ServerLook, SLOT_PATTERN } from "./serverLook.ts";
import { HBA_LINE, HBA_MARK } from "./serverSettings.ts";

/**
 * Writes pg_hba.conf anew without our line, and with it at the end where there is a third argument. In one step, with the owner and
 * the rights that the file had, so that a server which reads it meanwhile finds one or the other.
 */
const REWRITE = `hba=$(sql -c "show hba_file" < /dev/null)
rewrite() {
  cp -p "$hba" "$hba.kpb"
  { grep -v "${HBA_MARK}\\$" "$hba" || [ "$?" = 1 ]; } > "$hba.kpb"
  if [ -n "$1" ]; then
    if [ -n "$(tail -c 1 "$hba.kpb")" ]; then echo >> "$hba.kpb"; fi
    printf "%s\\n" "$1" >> "$hba.kpb"
  fi
  if cmp -s "$hba" "$hba.kpb"; then rm -f "$hba.kpb"; else mv "$hba.kpb" "$hba" 2> /dev/null || {
    rm -f "$hba.kpb"; echo "FATAL: $hba cannot be replaced, perhaps because it is mounted: write this line there yourself: $1" >&2; exit 1; }; fi
}
`;

/** The role has all that is declared, and nothing that a superuser has. The statements are not to stand in the server's log. */
function roleStatements(exists: boolean, password: string): string[] {
  return [
    "set log_statement = 'none'",
    "set log_min_duration_statement = -1",
    ...(exists ? [] : [`create role ${WAL_ROLE}`]),
    `alter role ${WAL_ROLE} login replication nosuperuser nocreatedb nocreaterole nobypassrls inherit connection limit -1 valid until 'infinity' password '${scramVerifier(password)}'`,
    `grant pg_monitor to ${WAL_ROLE}`,
  ];
}

/** Gives the server role, line and settings, without a restart. */
export function prepareServer(
  access: ServerAccess,
  look: ServerLook,
  {
    settings,
    password,
  }: { readonly settings: Readonly<Record<string, string>>; readonly password: string },
): Promise<ScriptResult> {
  // Each by itself: ALTER SYSTEM refuses to be in a transaction.
  const statements = [
    ...roleStatements(look.role !== null, password),
    ...Object.entries(settings).map(([name, value]) => `alter system set ${name} = '${value}'`),
  ];
  const hasLine = look.lines.length === 1 && look.lines[0]?.text === HBA_LINE;
  const rewrite = hasLine ? "" : `${REWRITE}rewrite "${HBA_LINE} ${HBA_MARK}"\n`;
  return runInServer(
    access,
    `sql\n${rewrite}sql -c "select pg_reload_conf()" < /dev/null > /dev/null`,
    statements.map((statement) => `${statement};\n`).join(""),
  );
}

/**
 * Logs in as the agent does: to the database and for replication, over the container's own network, by the password. A reload takes a
 * moment, so it is tried ten times.
 */
export async function tryLogin(access: ServerAccess, password: string): Promise<ScriptResult> {
  const address = await runScript(
    access.target,
    `docker container inspect -f '{{range .NetworkSettings.Networks}}{{println .IPAddress}}{{end}}' ${quoted(access.container)}`,
  );
  const host = address.stdout.split("\n").find((line) => /^\d+(\.\d+){3}$/.test(line.trim())) ?? "";
  return runInServer(
    access,
    `IFS= read -r PGPASSWORD; export PGPASSWORD PGUSER=${WAL_ROLE} PGHOST=${quoted(host.trim())}
enter() { sql -c "select 1" < /dev/null > /dev/null && sql -d "dbname=postgres replication=true" -c "IDENTIFY_SYSTEM" < /dev/null > /dev/null; }
for attempt in 1 2 3 4 5 6 7 8 9; do if enter 2> /dev/null; then exit 0; fi; sleep 1; done
enter`,
    `${password}\n`,
  );
}

/** Takes away the slots, which hold WAL, then role, line and settings. What is not there is no failure. */
export function clearServer(access: ServerAccess, look: ServerLook): Promise<ScriptResult> {
  const slots = `from pg_replication_slots where slot_type = 'physical' and slot_name ~ '${SLOT_PATTERN}'`;
  const statements = [
    `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${WAL_ROLE}'`,
    `select pg_drop_replication_slot(slot_name) ${slots}`,
    `drop role if exists ${WAL_ROLE}`,
    ...OWN_SETTINGS.filter((name) => name in look.settings).map(
      (name) => `alter system reset ${name}`,
    ),
  ];
  return runInServer(
    access,
    `sql > /dev/null\n${REWRITE}rewrite ""\nsql -c "select pg_reload_conf()" < /dev/null > /dev/null`,
    statements.map((statement) => `${statement};\n`).join(""),
  );
}
