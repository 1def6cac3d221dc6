import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Accessory } from "../../kamal/accessory.ts";
import { readKamalConfig } from "../../kamal/configuration/config.ts";
import { rubyScalar } from "../../kamal/configuration/rubyScalar.ts";
import { dockerRunCommand, envFilePath, renderEnvFile } from "../../kamal/dockerRun.ts";
import { writeMarkedBlock } from "../../kamal/markedBlock.ts";
import { renderAccessoryBlock } from "../../kamal/renderBlock.ts";
import {
  parseSecrets,
  readSecrets,
  renderSecretLookups,
  renderSecretsBlock,
} from "../../kamal/secretsFile.ts";
import { CONFIGURATIONS, configOf } from "./corpus/configurations.ts";
import { ACCESSORY, DEPLOY, pseudoRandom, randomWord, STAGING } from "./fixtures.ts";

/**
 * Compares with the real program, without a host: Kamal evaluates ERB in deploy.yml, so a deploy.yml can ask Kamal's own
 * classes what they would run and upload.
 */
const folder = mkdtempSync(join(tmpdir(), "real-kamal-"));
const skip = hasKamal() ? false : "kamal is not on PATH; scripts/setup brings it";
after(() => rmSync(folder, { recursive: true }));
before(() => {
  for (const name of ["config", ".kamal"]) mkdirSync(join(folder, name));
});

function hasKamal(): boolean {
  try {
    execFileSync("kamal", ["version"], { stdio: "ignore", timeout: 60_000 });
    return true;
  } catch {
    return false;
  }
}

function put(path: string, text: string): void {
  writeFileSync(join(folder, path), text);
}

const APPLICATION =
  "service: shop\nimage: acme/shop\nservers: [192.0.2.10]\nregistry: { server: r.example.com, username: u, password: [RP] }\nbuilder: { arch: amd64 }\n";

/** Runs Ruby inside Kamal and gives its value back. */
function askKamal(ruby: string, env: Record<string, string> = {}): unknown {
  put(
    "config/ask.yml",
    `<% require "json"; File.write("answer.json", JSON.dump(begin; ${ruby}; end)) %>\n${APPLICATION}`,
  );
  const variables = { ...process.env, ...env, VERSION: "1" };
  execFileSync("kamal", ["config", "-c", "config/ask.yml"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: variables,
    timeout: 120_000,
  });
  return JSON.parse(readFileSync(join(folder, "answer.json"), "utf8"));
}

const ODD = [
  "yes",
  "No",
  "on",
  "y",
  "null",
  "~",
  "1.0",
  "017",
  "0x1f",
  "1_000",
  "1,000",
  "1:20:30",
  "2026-11-24",
  ":symbol",
  ".inf",
  "<<",
  "=",
  "- a",
  "? a",
  "a: b",
  "a #b",
  "&a",
  "*a",
  "!a",
  "@a",
  "%a",
  "{a",
  "> a",
  "| a",
  "'a'",
  '"a"',
  "a\\nb",
  " a ",
  "a:",
  "$x $(id) `id`",
  "<%= 1 %>",
  "é√ 😀",
  "a\u00a0b",
  "!$&;|",
];

/** What is refused on purpose, see the tests of accessory and secrets. */
const ALTERED = /[$]\{|#[{$@]/;
const UNQUOTABLE = /^(?=.*')(?=.*#).*[$]\(/;

test("block, env file and docker run line are Kamal's own, whatever the values", { skip }, () => {
  const random = pseudoRandom(5);
  const parts = [..."abZ09 .,:;-_/+=@$%&*!?~^|<>()[]{}'\"`\\é√😀", "<%", "%>", "$(", ": ", " #"];
  const words = [
    ...ODD,
    ...Array.from({ length: 260 }, () => `x${randomWord(random, parts, 8)}`),
  ].filter((word) => !ALTERED.test(word) && !UNQUOTABLE.test(word));
  const word = (index: number) => words[index % words.length] ?? "";
  const cases = Array.from({ length: 60 }, (_, index) => {
    const at = index * 5;
    const accessory: Accessory = {
      ...ACCESSORY,
      destination: "staging",
      container: "shop-staging-db_backup",
      labels: { first: word(at), "other/one": word(at + 1) },
      options: { "read-only": true, memory: word(at + 2), tmpfs: ["/tmp", word(at + 3)] },
      volumes: ["shop-scratch:/scratch", "/srv/x@1,y=%+2:/été:ro"],
      clear: { NO: word(at + 4), y: word(at), A: word(at + 1) },
    };
    const values = [word(at), word(at + 2), word(at + 4)].map((value) =>
      value.replaceAll("\\", "/"),
    );
    const named = accessory.secrets.map(({ name, from }, i) => ({
      name,
      from,
      value: values[i] ?? "",
    }));
    return { accessory, named };
  });
  cases.forEach(({ accessory, named }, index) => {
    put(`config/case${index}.yml`, APPLICATION);
    const block = writeMarkedBlock(
      "x-note: 1\n",
      "shop",
      renderAccessoryBlock(accessory),
      "accessories",
    );
    put(`config/case${index}.staging.yml`, block);
    const kamalSecrets = Object.fromEntries(named.map(({ from, value }) => [from, value]));
    put(`.kamal/case${index}.staging`, `RP=x\n${renderSecretsBlock(kamalSecrets)}`);
  });
  const answers = askKamal(`(0...${cases.length}).map { |i|
    File.write("config/now.yml", File.read("config/case#{i}.yml") + "secrets_path: .kamal/case#{i}\\n")
    File.write("config/now.staging.yml", File.read("config/case#{i}.staging.yml"))
    c = Kamal::Configuration.create_from(config_file: Pathname.new("config/now.yml"), destination: "staging", version: "1")
    a = c.accessory(:db_backup)
    [Kamal::Commands::Accessory.new(c, name: :db_backup).run(host: "192.0.2.10").join(" "), a.secrets_io.string, a.secrets_path] }`);
  assert.deepEqual(
    answers,
    cases.map(({ accessory, named }) => [
      dockerRunCommand(accessory, "192.0.2.10"),
      renderEnvFile(Object.fromEntries(named.map(({ name, value }) => [name, value]))),
      envFilePath(accessory),
    ]),
  );
});

test("what is unquoted is to us what it is to Kamal's Ruby", { skip }, () => {
  const random = pseudoRandom(7);
  const parts = [..."0123456789.:eE+-_,xob7ynf~"];
  const words = [
    ...["yes", "No", "on", "Off", "null", "True", ".inf", "-.inf", ".nan", "1.5e+3", "0x1f"],
    ...Array.from({ length: 1500 }, () => randomWord(random, parts, 9)),
    // What begins so is another kind of YAML.
  ].filter((word) => word !== "" && !/^[-:?](?:$| )|:$|^[,]/.test(word));
  put("words.json", JSON.stringify(words));
  const printed = askKamal(`JSON.parse(File.read("words.json")).map { |word|
    value = YAML.load("- " + word, permitted_classes: [Symbol])[0] rescue next
    [true, false, nil].include?(value) ? value : value.to_s }`) as unknown[];
  words.forEach((word, index) => {
    assert.equal(rubyScalar(word) ?? null, printed[index], word);
  });
});

test("look-ups of a stack's outputs: Kamal runs each, and has the value as it is", { skip }, () => {
  const random = pseudoRandom(11);
  const parts = [..."abZ09 .,:;-_/+=@%&*!?~^|<>()[]{}'\"`#é√😀", "<%", ": ", " #"];
  const entries = Object.fromEntries(
    Array.from({ length: 40 }, (_, index) => [`K${index}`, `x${randomWord(random, parts, 8)}y`]),
  );
  mkdirSync(join(folder, "bin"));
  const pulumi = `#!/bin/sh
[ "$1 $2 $4 $5 $6" = "stack output --stack organization/backups/staging --show-secrets" ] || exit 1
sed -n "s/^$3=//p" ${join(folder, "outputs")}
`;
  writeFileSync(join(folder, "bin/pulumi"), pulumi, { mode: 0o755 });
  put(
    "outputs",
    Object.entries(entries)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(""),
  );
  put("config/looked.yml", `${APPLICATION}secrets_path: .kamal/looked\n`);
  put("config/looked.staging.yml", "x-note: 1\n");
  put(".kamal/looked.staging", renderSecretLookups(entries, "organization/backups/staging"));
  const words = ["secrets", "print", "-c", "config/looked.yml", "-d", "staging"];
  const printed = execFileSync("kamal", words, {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, PATH: `${join(folder, "bin")}:${process.env["PATH"]}`, VERSION: "1" },
    timeout: 120_000,
  });
  const found = printed
    .trimEnd()
    .split("\n")
    .map((line) => line.split(/=(.*)/s).slice(0, 2));
  assert.deepEqual(Object.fromEntries(found), entries);
});

test("secrets files are read as Kamal reads them", { skip }, () => {
  const random = pseudoRandom(3);
  const parts = [
    "A",
    "B",
    "KEY",
    "=",
    "= ",
    " =",
    ":",
    ": ",
    "'",
    '"',
    "\\",
    "\n",
    "\n",
    "\r\n",
    "#",
    " # ",
    "$",
    "$A",
    "${B}",
    "$SET",
    "$(",
    "\\$(",
    ")",
    "()",
    "export A",
    "\t",
    " ",
    "b.c",
    "é",
    "\\n",
    "-",
    "\u2028",
  ];
  const texts = Array.from({ length: 3000 }, () => `A=x\n${randomWord(random, parts, 22)}`);
  put("texts.json", JSON.stringify(texts));
  const answers = askKamal(
    `Kamal::Secrets
    Kamal::Secrets::Dotenv::InlineCommandSubstitution.singleton_class.prepend(Module.new { def \`(command) = raise("command") })
    JSON.parse(File.read("texts.json")).map { |text| begin; Dotenv::Parser.call(text, overwrite: true); rescue Dotenv::FormatError, RuntimeError; "refused"; end }`,
    { SET: "of the environment" },
  ) as unknown[];
  const ours = texts.map((text) => {
    try {
      const values = parseSecrets(text, { ...process.env, SET: "of the environment" });
      return [...values.values()].some((value) => typeof value !== "string")
        ? "refused"
        : Object.fromEntries(values);
    } catch (error) {
      assert.equal((error as Error).name, "Problem");
      return "refused";
    }
  });
  assert.deepEqual(ours, answers);
});

test("of the corpus, Kamal runs our accessory as we do, and the others as before", { skip }, () => {
  const sample = CONFIGURATIONS.filter(({ runs }) => runs).filter((_, index) => index % 5 === 0);
  const cases = sample.map((configuration) => {
    const { name, base, destination, expected } = configuration;
    const { logging } = configOf(configuration);
    const accessory: Accessory = {
      ...ACCESSORY,
      network: expected.network ?? "kamal",
      ...(logging && { logging }),
      ...(destination !== undefined && { destination: "production" }),
    };
    const block = renderAccessoryBlock(accessory);
    const written = writeMarkedBlock(destination ?? base, "shop", block, "accessories");
    const after = destination === undefined ? { base: written } : { base, destination: written };
    const files = { before: { base, destination }, after };
    return { name, files, line: dockerRunCommand(accessory, "192.0.2.10") };
  });
  put("corpus.json", JSON.stringify(cases));
  const answers = askKamal(
    `JSON.parse(File.read("corpus.json")).map { |each|
      %w[before after].map { |time|
        files = each["files"][time]
        File.binwrite("config/corpus.yml", files["base"])
        File.binwrite("config/corpus.production.yml", files["destination"]) if files["destination"]
        c = Kamal::Configuration.create_from(config_file: Pathname.new("config/corpus.yml"), destination: files["destination"] && "production", version: "1")
        c.accessories.map { |a| [a.name, Kamal::Commands::Accessory.new(c, name: a.name).run(host: a.hosts.first).join(" ")] }.to_h } }`,
    { DB_HOST: "192.0.2.30" },
  ) as Record<string, string>[][];
  cases.forEach(({ name, line }, index) => {
    const [before, after] = answers[index] ?? [];
    assert.deepEqual(after, { ...before, db_backup: line }, name);
  });
});

test("commands in secrets give what they give Kamal", { skip }, () => {
  const text = [
    "A=$(echo one)",
    'B="x-$(printf "a b\\n")-y"',
    "C=$(echo $A two)",
    "D=$(echo '$A')",
    "E='$(echo no)'",
    "F=\\$(echo no)",
    "G=$C$(echo ' three ')",
  ].join("\n");
  put("commands.env", text);
  const answer = askKamal(
    'Kamal::Secrets; Dotenv::Parser.call(File.read("commands.env"), overwrite: true)',
  );
  const run = (command: string) =>
    execFileSync("sh", ["-c", command], { encoding: "utf8" }).replace(/\n$/, "");
  const ours = [...readSecrets(text, process.env, run)].map(([name, { value }]) => [name, value]);
  assert.deepEqual(Object.fromEntries(ours), answer);
});

test("a realistic configuration with a destination is read as Kamal reads it", { skip }, () => {
  const env = { DB_HOST: "192.0.2.20", KAMAL_DESTINATION: "staging" };
  put("config/shop.yml", `<% redis_image = "redis:7" %>${DEPLOY.text}`);
  put("config/shop.staging.yml", STAGING.text);
  const answer = askKamal(
    `c = Kamal::Configuration.create_from(config_file: Pathname.new("config/shop.yml"), destination: "staging", version: "1")
    { accessories: c.accessories.map { |a| [a.name, a.service_name, a.hosts, a.env.clear["POSTGRES_DB"]] }, user: c.ssh.user, port: c.ssh.port, proxy: c.ssh.proxy.jump_proxies, keys: c.ssh.keys, server: c.registry.server,
      jump: Net::SSH::Proxy::Jump.new("jump@inner:2200,outer,middle").tap { |j| j.build_proxy_command_equivalent }.command_line_template }`,
    env,
  );
  const config = readKamalConfig({ base: DEPLOY, destination: STAGING, env });
  const { user, port, proxies, keys } = config.ssh;
  const [proxy] = proxies;
  // The one that is named first is next to the host: config.test.ts.
  const jump = "ssh -l jump -p 2200 -J outer,middle -W %h:%p inner";
  assert.deepEqual(answer, {
    jump,
    accessories: Object.values(config.accessories).map((a) => [
      a.name,
      a.service,
      a.hosts,
      a.env.clear["POSTGRES_DB"] ?? null,
    ]),
    user,
    port,
    proxy: `${proxy?.user}@${proxy?.host}`,
    keys,
    server: config.registry.server,
  });
});
