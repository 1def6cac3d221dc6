import { matchesVerifier } from "./scram.ts";
import type { ServerLook } from "./serverLook.ts";
import { HBA_LINE, ROLE_FIT, SLOT_HELD } from "./serverSettings.ts";

/** What is declared of the server, and equally what is found of it; each in words that stand in a report. */
export interface ServerState {
  readonly role: string;
  /** The line of pg_hba.conf. */
  readonly line: string;
  /** Value by the name of the setting. */
  readonly settings: Readonly<Record<string, string>>;
  readonly slot: string;
}

/**
 * The state of a server.
 * @param declared names of the settings that count
 * @param isSettling the agent has only just been started, so that its slot may be to come
 */
export function stateOf(
  look: ServerLook,
  declared: Pick<ServerState, "settings">,
  password: string,
  isSettling: boolean,
): ServerState {
  return {
    role: roleOf(look, password),
    line: lineOf(look),
    settings: Object.fromEntries(
      Object.keys(declared.settings).map((name) => [name, look.settings[name]?.value ?? "unknown"]),
    ),
    slot: slotOf(look, isSettling),
  };
}

function roleOf({ role }: ServerLook, password: string): string {
  if (role === null) return "missing";
  const faults = [
    ...(role.login ? [] : ["may not log in"]),
    ...(role.replication ? [] : ["may not replicate"]),
    ...(role.monitor ? [] : ["may not monitor"]),
    ...(role.superuser ? ["is a superuser"] : []),
    ...(matchesVerifier(password, role.verifier ?? "") ? [] : ["has another password"]),
  ];
  return faults.length === 0 ? ROLE_FIT : faults.join(", ");
}

function lineOf({ lines }: ServerLook): string {
  return lines.length === 0 ? "missing" : lines.map(({ text }) => text).join("; ");
}

/** A slot beyond the bound is lost, and the agent begins another one. */
function slotOf({ slots }: ServerLook, isSettling: boolean): string {
  if (slots.some(({ status }) => status !== null && status !== "lost")) return SLOT_HELD;
  if (isSettling) return SLOT_HELD;
  return slots.length === 0 ? "missing" : "lost";
}

/** What differs from the declaration, one phrase each; the slot is the agent's to make. */
export function differencesOf(declared: ServerState, found: ServerState): string[] {
  return [
    ...(found.role === declared.role ? [] : [`its role ${found.role}`]),
    ...(found.line === HBA_LINE ? [] : [`pg_hba.conf has "${found.line}" for it`]),
    ...Object.entries(declared.settings)
      .filter(([name, value]) => found.settings[name] !== value)
      .map(([name, value]) => `${name} is ${found.settings[name]} instead of ${value}`),
  ];
}
