import { deployMayGoOn } from "../common/contracts/deployGate.ts";
import { Problem } from "../common/problem.ts";
import { type KamalPlace, placeOptions, RUN_KAMAL, shellWord } from "./kamalCommand.ts";

/** What a gate before a deploy is made from: only deploys to its destination wait, or those without one. */
export interface DeployGate extends KamalPlace {
  /** Key of the accessory that backs up. */
  readonly accessory: string;
  /** Minutes that a backup which was read back may be old; 0: each deploy takes a new one. */
  readonly maxAgeMinutes: number;
}

/** A language in which the hook may be written, by the program of its first line. */
export type HookLanguage = "sh" | "ruby";

/**
 * The language of a hook; one without a first line for the system is run by `sh`.
 * @param text empty: there is none yet
 * @throws Problem for one to which no gate can be added
 */
export function hookLanguage(text: string, path: string): HookLanguage {
  const line = /^#!\s*(.*)/.exec(text)?.[1] ?? "";
  const [program = "", ...words] = line.split(/\s+/);
  const named = (word: string) => word.split("/").at(-1) ?? "";
  const interpreter =
    named(program) === "env"
      ? named(words.find((word) => !/^-|=/.test(word)) ?? "")
      : named(program);
  if (/^(?:|sh|bash|dash|ash|ksh|zsh)$/.test(interpreter)) return "sh";
  if (/^ruby[\d.]*$/.test(interpreter)) return "ruby";
  throw new Problem(
    `${path} is written for ${interpreter}, and the backup before a deploy can be added to hooks for sh and Ruby. Move it to another file beside it, and call that from a ${path} for sh.`,
  );
}

/**
 * The lines that keep a deploy back until there is a backup: for a hook that somebody else may have written, they change none of
 * its variables, and end it only when the deploy has to stop. They need Kamal alone, in the way in which it was started.
 * @returns lines that end
 */
export function renderDeployGate(gate: DeployGate, language: HookLanguage): string {
  const script = gateScript(gate);
  if (language === "sh") return `(\n${script}) || exit 1\n`;
  // The process whose terminal is looked for is Ruby's parent then.
  return `system({ "KAMAL_PID" => Process.ppid.to_s }, "sh", "-c", <<'BACKUP_BEFORE_DEPLOY') || exit(1)\n${script}BACKUP_BEFORE_DEPLOY\n`;
}

function gateScript({ accessory, maxAgeMinutes, ...place }: DeployGate): string {
  const { destination } = place;
  const options = placeOptions(place).map(shellWord);
  const accepted = maxAgeMinutes === 0 ? "" : ` --max-age ${maxAgeMinutes}`;
  const whose = destination === undefined ? "no destination" : `the destination ${destination}`;
  return `# Before each deploy to ${whose}: a backup, or no deploy. SKIP_BACKUP=1 kamal deploy goes on without one.
# Kamal shows what a hook prints only when it fails; so this is written where Kamal itself writes.
say() {
  { echo "backup before deploy: $1" >"/proc/\${KAMAL_PID:-$PPID}/fd/2"; } 2>/dev/null ||
    { echo "backup before deploy: $1" >/dev/tty; } 2>/dev/null || echo "backup before deploy: $1" >&2
}
${RUN_KAMAL}revision=\${KAMAL_VERSION:-}
[ "\${KAMAL_DESTINATION:-}" = ${shellWord(destination ?? "")} ] || exit 0
if [ "\${KAMAL_COMMAND:-}" = rollback ]; then
  say "none is taken before a rollback"
  exit 0
fi
if [ "\${SKIP_BACKUP:-}" = 1 ]; then
  say "SKIPPED, since SKIP_BACKUP=1 is set. What the deploy of $revision does to the database can be undone from an older backup only."
  exit 0
fi
case "$revision" in
  "" | *[!A-Za-z0-9_.-]*)
    echo "backup before deploy: KAMAL_VERSION is \\"$revision\\", which is no revision. Run kamal deploy in a repository of git, or with --version." >&2
    exit 1 ;;
esac
say "waiting for the backup before the deploy of $revision"
printed=$(run_kamal accessory exec ${shellWord(accessory)} "agent backup --before-deploy $revision${accepted}" --reuse --version "$revision"${options.map((word) => ` ${word}`).join("")} </dev/null 2>&1)
code=$?
case "$code $printed" in
  "0 "*"${deployMayGoOn("$revision")}"*)
    say "$(printf '%s\\n' "$printed" | grep '^Before the deploy of ')"
    exit 0 ;;
esac
printf '%s\\n' "$printed" >&2
echo "There is no backup for the deploy of $revision, so it does not go on. Mend what stands above, or deploy without a backup: SKIP_BACKUP=1 kamal deploy" >&2
exit 1
`;
}
