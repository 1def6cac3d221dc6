import { basename, dirname, extname } from "node:path";

/** Where Kamal looks when no `-c` is given (2.11, lib/kamal/cli/base.rb). */
const KAMAL_CONFIG = "config/deploy.yml";

/** The folder in which Kamal is run, to which its relative paths belong. */
export function rootOf(config: string): string {
  const folder = dirname(config);
  return basename(folder) === "config" ? dirname(folder) : folder;
}

/** `config/deploy.yml` with destination `staging` is `config/deploy.staging.yml` (Kamal 2.11, lib/kamal/configuration.rb). */
export function destinationFile(config: string, destination: string): string {
  const extension = extname(config);
  return `${config.slice(0, config.length - extension.length)}.${destination}.yml`;
}

/** What Kamal is run for. */
export interface KamalPlace {
  /** Path of deploy.yml from the folder in which Kamal is run. */
  readonly config: string;
  /** Undefined: none. */
  readonly destination: string | undefined;
}

/** The options by which Kamal finds that place. */
export function placeOptions({ config, destination }: KamalPlace): string[] {
  return [
    ...(config === KAMAL_CONFIG ? [] : ["-c", config]),
    ...(destination === undefined ? [] : ["-d", destination]),
  ];
}

/** As one word of a shell, without quotes where none are needed. */
export function shellWord(word: string): string {
  return /^[\w./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The command that somebody types in the application's folder. */
export function kamalCommand(words: readonly string[], place: KamalPlace): string {
  return ["kamal", ...words, ...placeOptions(place)].map(shellWord).join(" ");
}

/** A function of the shell that runs the application's Kamal, in whichever way it is installed. */
export const RUN_KAMAL = `run_kamal() {
  if command -v kamal >/dev/null 2>&1; then kamal "$@"
  elif [ -x bin/kamal ]; then bin/kamal "$@"
  else bundle exec kamal "$@"
  fi
}
`;
