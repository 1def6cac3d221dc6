import type { Command, Option } from "commander";

/** The shells for which `completion` prints a script. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

export type Shell = (typeof SHELLS)[number];

/** What comes behind an option. */
type Value = "file" | "folder" | "other" | readonly string[];

interface OptionWords {
  /** Long name first, where it has one. */
  readonly names: readonly string[];
  readonly description: string;
  /** Absent: the option takes none. */
  readonly value?: Value;
  /** It may be given several times. */
  readonly repeated: boolean;
}

interface CommandWords {
  readonly name: string;
  readonly description: string;
  readonly options: readonly OptionWords[];
  /** What its first argument may be. */
  readonly choices: readonly string[];
}

interface ProgramWords {
  readonly name: string;
  readonly commands: readonly CommandWords[];
  /** Options that every command takes. */
  readonly options: readonly OptionWords[];
}

/**
 * A script that completes the program's commands, options and their values, and the same behind `npx`.
 * @param program as it is described for its help, from which all words are read
 */
export function completionScript(program: Command, shell: Shell): string {
  return { bash, zsh, fish }[shell](wordsOf(program));
}

function wordsOf(program: Command): ProgramWords {
  const help = program.createHelp();
  const commands = help.visibleCommands(program);
  const optionsOf = (command: Command) => help.visibleOptions(command).map(optionWords);
  return {
    name: program.name(),
    options: optionsOf(program),
    commands: commands.map((command) => ({
      name: command.name(),
      description: firstSentence(command.description()),
      // Each shows the help, which stands among the program's own.
      options: optionsOf(command).filter(({ names }) => !names.includes("--help")),
      choices:
        command.name() === "help"
          ? commands.map((one) => one.name())
          : (command.registeredArguments[0]?.argChoices ?? []),
    })),
  };
}

function optionWords(option: Option): OptionWords {
  const { long, short, description, flags, argChoices } = option;
  const names = [long, short].filter((one) => one !== undefined);
  const takesValue = option.required || option.optional;
  return {
    names,
    description: firstSentence(description),
    repeated: option.parseArg !== undefined,
    ...(takesValue && { value: argChoices ?? PLACES[/<(\w+)>/.exec(flags)?.[1] ?? ""] ?? "other" }),
  };
}

/** Values that are paths, by the word that stands for them in the help. */
const PLACES: Readonly<Record<string, Value>> = { file: "file", path: "file", folder: "folder" };

function firstSentence(text: string): string {
  return text.split(/(?<=\.) /)[0] as string;
}

function longNames(options: readonly OptionWords[]): string {
  return options.flatMap(({ names: [name = ""] }) => name).join(" ");
}

function bash({ name, commands, options }: ProgramWords): string {
  const complete = (value: Value) => {
    if (value === "file") return "_kpb_paths -f; ";
    if (value === "folder") return "_kpb_paths -d; ";
    return value === "other" ? "" : `_kpb_words "${value.join(" ")}"; `;
  };
  const values = (list: readonly OptionWords[], pattern: (option: string) => string) =>
    list.flatMap(({ names, value }) =>
      value === undefined
        ? []
        : [`    ${names.map(pattern).join(" | ")}) ${complete(value)}return ;;`],
    );
  const own = commands.filter((one) => one.options.length > 0);
  return `# Completion of ${name} for bash.
_kpb_words() {
  COMPREPLY=($(compgen -W "$1" -- "$current"))
}
_kpb_paths() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen "$1" -- "$current"))
  # Bash 3.2, as macOS has it, knows no compopt.
  compopt -o filenames 2> /dev/null
}
_kamal_postgres_backup() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]}
  local command="" options="" first=1 skip="" word i
  COMPREPLY=()
  if [[ \${COMP_WORDS[0]##*/} == npx ]]; then
    if ((COMP_CWORD == 1)); then _kpb_words ${name}; return; fi
    [[ \${COMP_WORDS[1]} == ${name} ]] || return
    first=2
  fi
  # Bash takes --option=value apart.
  if [[ $current == "=" ]]; then current=""
  elif [[ $previous == "=" ]]; then previous=\${COMP_WORDS[COMP_CWORD - 2]}; fi
  for ((i = first; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    [[ $word == "=" ]] && continue
    if [[ $skip ]]; then skip=""; continue; fi
    case "$word" in
      ${valueNames(options).join(" | ")}) skip=1 ;;
      -*) ;;
      *) command=$word; break ;;
    esac
  done
  case "$command $previous" in
${[
  ...values(options, (option) => `*" ${option}"`),
  ...commands.flatMap((one) => values(one.options, (option) => `"${one.name} ${option}"`)),
].join("\n")}
  esac
  if [[ $current == -* ]]; then
    case "$command" in
${own.map((one) => `      ${one.name}) options="${longNames(one.options)}" ;;`).join("\n")}
    esac
    _kpb_words "$options ${longNames(options)}"
    return
  fi
  case "$command" in
    "") _kpb_words "${commands.map((one) => one.name).join(" ")}" ;;
${withChoices(commands)
  .map((one) => `    ${one.name}) _kpb_words "${one.choices.join(" ")}" ;;`)
  .join("\n")}
  esac
}
complete -F _kamal_postgres_backup ${name}
# What completes npx already goes on doing so.
complete -p npx > /dev/null 2>&1 || complete -o default -F _kamal_postgres_backup npx
`;
}

/** The options that take a value, which is no command. */
function valueNames(options: readonly OptionWords[]): string[] {
  return options.flatMap(({ names, value }) => (value === undefined ? [] : names));
}

function withChoices(commands: readonly CommandWords[]): readonly CommandWords[] {
  return commands.filter(({ choices }) => choices.length > 0);
}

/** For zsh's \`_arguments\`, within single quotes. */
function zshText(text: string): string {
  return text.replaceAll(/[[\]:\\]/g, "\\$&").replaceAll("'", "'\\''");
}

function zsh({ name, commands, options }: ProgramWords): string {
  const action = (value: Value) => {
    if (value === "file") return ":file:_files";
    if (value === "folder") return ":folder:_files -/";
    return value === "other" ? ":value: " : `:value:(${value.join(" ")})`;
  };
  const specs = (list: readonly OptionWords[]) =>
    list.flatMap(({ names, description, value, repeated }) =>
      names.map((option) => {
        const often = repeated ? "*" : `(${names.join(" ")})`;
        return `'${often}${option}[${zshText(description)}]${value === undefined ? "" : action(value)}'`;
      }),
    );
  const block = (words: readonly string[], indent: string) => words.join(` \\\n${indent}`);
  return `#compdef ${name}
# Completion of ${name} for zsh.
_kamal_postgres_backup() {
  local -a commands options
  commands=(
    ${commands.map((one) => `'${one.name}:${one.description.replaceAll("'", "'\\''")}'`).join("\n    ")}
  )
  options=(
    ${specs(options).join("\n    ")}
  )
  local curcontext=$curcontext state line
  _arguments -C $options ': :->command' '*:: :->argument'
  case $state in
    command) _describe command commands ;;
    argument)
      case $words[1] in
${commands
  .map((one) => {
    const choices = one.choices.length > 0 ? [`':value:(${one.choices.join(" ")})'`] : [];
    return `        ${one.name}) _arguments $options \\\n          ${block([...specs(one.options), ...choices], "          ")} ;;`;
  })
  .join("\n")}
      esac ;;
  esac
}
_kpb_npx() {
  if [[ $words[2] == ${name} && $CURRENT -gt 2 ]]; then
    shift words
    (( CURRENT-- ))
    _kamal_postgres_backup
  else
    _alternative 'commands:package:(${name})' 'files:file:_files'
  fi
}
compdef _kamal_postgres_backup ${name}
# What completes npx already goes on doing so.
(( $+_comps[npx] )) || compdef _kpb_npx npx
`;
}

function fish({ name, commands, options }: ProgramWords): string {
  const quoted = (text: string) => `'${text.replaceAll(/[\\']/g, "\\$&")}'`;
  const flags = ({ names, description, value }: OptionWords) => {
    const given = names.map((one) =>
      one.startsWith("--") ? `-l ${one.slice(2)}` : `-s ${one.slice(1)}`,
    );
    const what =
      value === undefined
        ? []
        : value === "file"
          ? ["-r -F"]
          : value === "folder"
            ? ["-x -a '(__fish_complete_directories)'"]
            : value === "other"
              ? ["-x"]
              : [`-x -a ${quoted(value.join(" "))}`];
    return [...given, ...what, `-d ${quoted(description)}`].join(" ");
  };
  const line = (rest: string) => `complete -c ${name} ${rest}`;
  return `# Completion of ${name} for fish.
function __kpb_command
  set -l words (commandline -opc)
  set -l skip no
  for word in $words[2..-1]
    if test $skip = yes
      set skip no
      continue
    end
    switch $word
      case ${valueNames(options).join(" ")}
        set skip yes
      case '-*'
      case '*'
        echo $word
        return 0
    end
  end
  return 1
end
function __kpb_in
  test (__kpb_command; or echo '') = $argv[1]
end
function __kpb_npx
  set -l words (commandline -opc)
  test (count $words) -gt 1; and test $words[2] = ${name}
end
function __kpb_npx_complete
  complete -C (commandline -cp | string replace -r '^.*?npx\\s+' '')
end
${line("-f")}
${options.map((option) => line(flags(option))).join("\n")}
${commands
  .flatMap((one) => [
    line(`-n 'not __kpb_command' -a ${one.name} -d ${quoted(one.description)}`),
    ...one.options.map((option) => line(`-n '__kpb_in ${one.name}' ${flags(option)}`)),
  ])
  .join("\n")}
${withChoices(commands)
  .map((one) => line(`-n '__kpb_in ${one.name}' -a ${quoted(one.choices.join(" "))}`))
  .join("\n")}
complete -c npx -n 'not __kpb_npx' -a ${name}
complete -c npx -n __kpb_npx -f -a '(__kpb_npx_complete)'
`;
}
