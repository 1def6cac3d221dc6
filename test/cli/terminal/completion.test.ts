import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { after, before, describe, it } from "node:test";
import type { Command } from "commander";
import { describeProgram } from "../../../cli/program.ts";
import { completionScript, SHELLS, type Shell } from "../../../cli/terminal/completion.ts";
import { blocksOf } from "../../project/documents/markdown.ts";

const NAME = "kamal-postgres-backup";

/** What was typed, where `|` is the cursor, and what is offered there. */
const CASES: Readonly<Record<string, readonly string[]>> = {
  [`${NAME} resto|`]: ["restore"],
  [`${NAME} --stack production resto|`]: ["restore"],
  [`${NAME} restore --glo|`]: ["--globals"],
  [`${NAME} restore --sta|`]: ["--stack"],
  [`${NAME} status --glo|`]: [],
  [`${NAME} recover --left st|`]: ["stack"],
  [`${NAME} recover --left=st|`]: ["stack"],
  [`${NAME} -s help kept --dr|`]: ["--drop"],
  [`${NAME} --stack resto|`]: [],
  [`${NAME} verify --identity a key|`]: [],
  [`${NAME} verify --identity ke|`]: ["keys/", "key one.txt"],
  [`${NAME} --cwd ke|`]: ["keys/"],
  [`${NAME} completion |`]: ["bash", "fish", "zsh"],
  [`${NAME} help und|`]: ["undo"],
  [`npx ${NAME} undo --y|`]: ["--yes"],
  [`npx ${NAME} completion z|`]: ["zsh"],
  [`npx kamal-post|`]: [NAME],
};

const silent = new PassThrough().resume();
const program = describeProgram(
  () => Promise.reject(new Error("no session is opened")),
  { input: new PassThrough(), out: silent, err: silent },
  () => {},
);

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "completion-"));
  for (const shell of SHELLS) writeFileSync(join(folder, shell), completionScript(program, shell));
  mkdirSync(join(folder, "in/keys"), { recursive: true });
  writeFileSync(join(folder, "in/key one.txt"), "");
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a shell in the folder with the two names, after it has read its script. */
function runIn(shell: Shell, text: string): string {
  const args = { bash: ["--norc", "-c"], zsh: ["-f", "-c"], fish: ["-c"] }[shell];
  const { stdout, stderr, error } = spawnSync(shell, [...args, text], {
    cwd: join(folder, "in"),
    encoding: "utf8",
    env: { ...process.env, HOME: folder, TERM: "dumb" },
    timeout: 20_000,
  });
  assert.equal(error, undefined);
  // Outside of readline, which alone asks for completions, bash says that compopt has nothing to change.
  assert.equal(stderr.replaceAll(/^.*compopt: .*\n/gm, ""), "");
  return stdout;
}

const isThere = (shell: string) => spawnSync(shell, ["--version"]).error === undefined;

describe("completion", () => {
  it("bash offers commands, options and values, of the program itself and behind npx", () => {
    const asked = Object.keys(CASES).map((typed) => {
      const words = typed.replace("|", "").split(/ |(?<==)|(?==)/);
      return `ask ${words.map((word) => `'${word}'`).join(" ")}`;
    });
    const printed = runIn(
      "bash",
      `source ../bash
      ask() {
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        set -- $(complete -p "$1")
        while [[ $1 != -F ]]; do shift; done
        "$2"
        printf '%s\\n' "\${COMPREPLY[@]}" -
      }
      ${asked.join("\n")}`,
    );
    const offered = printed.split(/^-\n/m).map((lines) => lines.split("\n").filter(Boolean));
    Object.entries(CASES).forEach(([typed, expected], index) => {
      const found = (offered[index] ?? []).map((word) => (word === "keys" ? "keys/" : word));
      assert.deepEqual(found.toSorted(), expected.toSorted(), typed);
    });
  });

  it("fish offers the same", { skip: !isThere("fish") && "there is no fish" }, () => {
    const asked = Object.keys(CASES).map(
      (typed) => `complete -C '${typed.replace("|", "")}'; echo -`,
    );
    const printed = runIn("fish", `source ../fish\n${asked.join("\n")}`);
    const offered = printed.split(/^-\n/m).map((lines) => lines.split("\n").filter(Boolean));
    Object.entries(CASES).forEach(([typed, expected], index) => {
      const found = (offered[index] ?? []).map((line) =>
        line.split("\t")[0]?.replace(/^--left=/, ""),
      );
      assert.deepEqual(found.toSorted(), expected.toSorted(), typed);
    });
  });

  it("zsh completes a command, an option and a value", {
    skip: !isThere("zsh") && "there is no zsh",
  }, () => {
    // A key prints what stands in the line by then: whatever is typed before it has been worked on.
    const typed = Object.entries(CASES).filter(
      ([text, offers]) => offers.length === 1 && !text.includes("=st"),
    );
    const printed = runIn(
      "zsh",
      `zmodload zsh/zpty
      zpty shell zsh -f -i
      zpty -w shell 'PS1=; autoload -U compinit; compinit -u -D; source ../zsh
        show() { print -r -- "<$BUFFER>"; BUFFER= }; zle -N show; bindkey ^G show; print rea"dy"'
      zpty -r shell out '*ready*'
      for typed in ${typed.map(([text]) => `'${text.replace("|", "")}'`).join(" ")}; do
        zpty -w -n shell $typed$'\\t\\a'
        zpty -r shell out '*<*>*'
        print -r -- $out
      done`,
    );
    const lines = [...printed.matchAll(/<(.*?) ?>/g)].map(([, line]) => line);
    assert.deepEqual(
      lines,
      typed.map(([text, [offer = ""]]) => text.replace(/\S*\|$/, offer)),
    );
  });

  it("the lines of docs/commands.md leave a script for each shell", () => {
    const page = "docs/commands.md";
    const [block] = blocksOf(page).filter(({ remark }) =>
      remark?.endsWith("test/cli/terminal/completion.test.ts"),
    );
    mkdirSync(join(folder, ".config/fish/completions"), { recursive: true });
    writeFileSync(
      join(folder, "npx"),
      `#!/bin/sh\nshift\nexec '${process.execPath}' cli/main.ts "$@"\n`,
      {
        mode: 0o755,
      },
    );
    const { status, stderr } = spawnSync("bash", ["-ec", block?.lines.join("\n") ?? "exit 1"], {
      encoding: "utf8",
      env: { ...process.env, HOME: folder, PATH: `${folder}:${process.env["PATH"]}` },
    });
    assert.deepEqual([status, stderr], [0, ""]);
    const written = {
      bash: ".kamal-postgres-backup.bash",
      zsh: ".kamal-postgres-backup.zsh",
      fish: ".config/fish/completions/kamal-postgres-backup.fish",
    };
    for (const shell of SHELLS) {
      const text = readFileSync(join(folder, written[shell]), "utf8");
      assert.equal(text, completionScript(program, shell), shell);
    }
  });

  it("each command and each option is in each script, so none is ever behind", () => {
    const scripts = SHELLS.map((shell) => completionScript(program, shell));
    const words = (command: Command) =>
      command.options.filter(({ hidden }) => !hidden).flatMap(({ long }) => long ?? []);
    for (const command of program.commands) {
      for (const word of [command.name(), ...words(command)]) {
        for (const script of scripts) assert.ok(script.includes(word.replace(/^--/, "")), word);
      }
    }
  });
});
