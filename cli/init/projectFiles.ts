import { basename, relative } from "node:path";
import { stringify } from "yaml";
import type { Answers, PackageOrigin } from "./answers.ts";
import type { Application, DatabaseNames, Environment } from "./application.ts";

/** A file of the project, by its path below the project's folder. */
export interface ProjectFile {
  readonly path: string;
  readonly text: string;
}

/** What the files are made from. */
export interface ProjectOptions {
  readonly application: Application;
  readonly answers: Answers;
  readonly origin: PackageOrigin;
  /** Folder of the project. */
  readonly into: string;
}

/** Peers of the package that the project's own lock file shall hold, as `package.json` of the package asks for them. */
const DEPENDENCIES = { "@pulumi/pulumi": "^3.227.0" } as const;

/** Types of Node and the compiler, for an editor and `npx tsc`; Node runs the program itself. */
const DEV_DEPENDENCIES = { "@types/node": "^24.0.0", typescript: "^5.9.0 || ^6.0.0" } as const;

/** Name of the Pulumi project, which is the namespace of its settings. */
export function projectName({ service }: Application): string {
  return `${service}-backup`.replace(/[^\w.-]/g, "-");
}

/** The files of the project but for those of its stacks, by their names. */
const FILES: Readonly<Record<string, (options: ProjectOptions) => string>> = {
  "Pulumi.yaml": ({ application }) => `name: ${projectName(application)}
description: PostgreSQL backups of ${application.service}
runtime: nodejs
options:
  # Every pulumi up first looks at the bucket, the container and the files, and puts back what has drifted.
  refresh: always
`,
  "package.json": ({ application, origin }) =>
    json({
      name: projectName(application).toLowerCase(),
      private: true,
      type: "module",
      main: "index.ts",
      engines: { node: ">=22.18" },
      dependencies: { ...DEPENDENCIES, "kamal-postgres-backup": origin.dependency },
      devDependencies: DEV_DEPENDENCIES,
    }),
  "tsconfig.json": () =>
    json({
      compilerOptions: {
        module: "nodenext",
        target: "es2023",
        strict: true,
        noEmit: true,
        skipLibCheck: true,
        types: ["node"],
      },
      include: ["index.ts"],
    }),
  "index.ts": programText,
  ".gitignore": () => "node_modules/\n",
};

function stackFile({ name }: Environment): string {
  return `Pulumi.${name}.yaml`;
}

/** Names of all that is written, for whoever must not overwrite it. */
export function fileNames({ environments }: Application): string[] {
  return [...Object.keys(FILES), ...environments.map(stackFile)];
}

/** The files of the project. The program is the user's own from then on: nothing here writes them a second time. */
export function projectFiles(options: ProjectOptions): ProjectFile[] {
  return [
    ...Object.entries(FILES).map(([path, textOf]) => ({ path, text: textOf(options) })),
    ...options.application.environments.map((environment) => ({
      path: stackFile(environment),
      text: stackText(environment, options),
    })),
  ];
}

/** Secrets of an environment by their names in the configuration; of those that are not known, only the names. */
export function secretsOf(
  environment: Environment,
  { bucket }: Answers,
): Readonly<Record<string, string | undefined>> {
  const { keys } = bucket;
  return {
    ...(bucket.kind !== "aws" && {
      accessKeyId: keys?.accessKeyId,
      secretAccessKey: keys?.secretAccessKey,
    }),
    ...(needsPassword(environment) && { databasePassword: environment.managed?.password }),
  };
}

/** A password that Kamal's secrets do not have. */
function needsPassword({ managed, hasPassword }: Environment): boolean {
  return managed !== undefined || !hasPassword;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** What differs between the environments, and what a colleague would look for there. */
function stackText(environment: Environment, { application, answers }: ProjectOptions): string {
  const { name, destination, managed } = environment;
  const { bucket } = answers;
  const databases = answers.databases[name] ?? environment.databases;
  const settings: Record<string, unknown> = {
    destination,
    database: databases === "all" ? "all" : databases.join(","),
    ...(bucket.kind === "aws" ? {} : { bucket: bucket.names[name] }),
    host: environment.givesHost ? environment.host : undefined,
    databaseMajor: environment.givesMajor ? environment.major : undefined,
    ...(managed && {
      databaseHost: managed.host,
      databasePort: managed.port,
      databaseUser: managed.user,
      databaseSslMode: managed.sslMode,
    }),
  };
  const entries = Object.entries(settings).filter(([, value]) => value !== undefined);
  const namespace = projectName(application);
  return stringify({
    config: {
      ...(bucket.kind === "aws" && { "aws:region": bucket.region }),
      ...Object.fromEntries(entries.map(([key, value]) => [`${namespace}:${key}`, value])),
    },
  });
}

/** The program, of which each line says something about this application. */
function programText(options: ProjectOptions): string {
  const { application, answers } = options;
  const classes = [
    ...(answers.bucket.kind === "aws" ? ["AwsBackupBucket"] : []),
    ...(answers.recipient === undefined ? [] : ["Encryption"]),
    "PostgresBackup",
    ...(needsRetention(answers) ? ["Retention"] : []),
    ...(answers.bucket.kind === "made" ? ["S3CompatibleBucket"] : []),
    ...("daily" in answers.schedule ? ["Schedule"] : []),
    ...(application.environments.some(({ managed }) => managed?.sslMode) ? ["type SslMode"] : []),
  ];
  const fields = [
    kamalField(options),
    databaseField(options),
    ...postgresFields(application.environments),
    ...bucketField(options),
    ...(answers.bucket.kind === "aws" ? [`prefix: config.get("prefix"),`] : []),
    `signing: { keys: config.getSecret("signingKeys") },`,
    ...(answers.bucket.containerDeletes ? [`keep: { days: ${answers.days} },`] : []),
    "daily" in answers.schedule
      ? `schedule: Schedule.daily(${text(answers.schedule.daily)}),`
      : `schedule: ${text(answers.schedule.expression)},`,
    ...(answers.recipient === undefined
      ? []
      : [`encryption: Encryption.recipient(${text(answers.recipient)}),`]),
    ...(application.buildOnHost ? [`build: "host",`] : []),
  ];
  return `import * as pulumi from "@pulumi/pulumi";
import { ${classes.join(", ")} } from "kamal-postgres-backup";

// What differs between environments stands in Pulumi.<environment>.yaml.${recoverySettings(answers)}
const config = new pulumi.Config();

const backup = new PostgresBackup(${text(application.backup)}, {
${fields.map((field) => indented(field)).join("\n")}
});

${outputsLine(application)}
`;
}

/** What is set on one day only, and why it is read all the same. */
function recoverySettings({ bucket }: Answers): string {
  const names =
    bucket.kind === "aws" ? "importBucket, prefix and signingKeys are" : "signingKeys is";
  return `\n// ${names} set only where a stack was lost, as the page on recovery says.`;
}

/** Kamal looks secrets up among the outputs, so that they must be there under their own names. */
function outputsLine({ secretsInGit }: Application): string {
  return secretsInGit
    ? "export default { backup: backup.outputs, ...backup.secretOutputs };"
    : "export const outputs = backup.outputs;";
}

function kamalField({ application, into }: ProjectOptions): string {
  const { accessory, environments, secretsInGit, runsSecretCommands } = application;
  const destinations = environments.filter(({ destination }) => destination !== undefined);
  const entries = [
    `config: ${text(relative(into, application.config))}`,
    ...(destinations.length === environments.length
      ? [`destination: config.require("destination")`]
      : destinations.length > 0
        ? [`destination: config.get("destination")`]
        : []),
    ...(accessory === undefined ? [] : [`databaseAccessory: ${text(accessory)}`]),
    ...(secretsInGit ? [`secrets: "outputs"`] : []),
    ...(runsSecretCommands ? ["runSecretCommands: true"] : []),
  ];
  return `kamal: { ${entries.join(", ")} },`;
}

function databaseField({ application, answers }: ProjectOptions): string {
  const all = application.environments.map(
    ({ name, databases }) => answers.databases[name] ?? databases,
  );
  const isList = all.some((names: DatabaseNames) => names !== "all" && names.length > 1);
  return `database: config.require("database")${isList ? `.split(",")` : ""},`;
}

function postgresFields(environments: readonly Environment[]): string[] {
  const some = (test: (environment: Environment) => unknown) => environments.some(test);
  const every = (test: (environment: Environment) => unknown) => environments.every(test);
  const read = (key: string, test: (environment: Environment) => unknown, type = "") => {
    if (!some(test)) return [];
    return [`config.${every(test) ? "require" : "get"}${type}("${key}")`];
  };
  const settings = [
    ...read("databaseHost", ({ managed }) => managed).map((value) => `host: ${value}`),
    ...read("databasePort", ({ managed }) => managed?.port, "Number").map(
      (value) => `port: ${value}`,
    ),
    ...read("databaseUser", ({ managed }) => managed).map((value) => `user: ${value}`),
    ...read("databaseMajor", ({ givesMajor }) => givesMajor, "Number").map(
      (value) => `major: ${value}`,
    ),
    ...read("databasePassword", needsPassword, "Secret").map((value) => `password: ${value}`),
    ...read("databaseSslMode", ({ managed }) => managed?.sslMode).map(
      (value) => `sslMode: ${value.replace("(", "<SslMode>(")}`,
    ),
  ];
  const isOneHost = every(({ givesHost }) => givesHost);
  return [
    ...(settings.length > 0 ? [`postgres: { ${settings.join(", ")} },`] : []),
    ...(some(({ givesHost }) => givesHost)
      ? [
          isOneHost
            ? `hosts: [config.require("host")],`
            : `...(config.get("host") ? { hosts: [config.require("host")] } : {}),`,
        ]
      : []),
  ];
}

/** Where the bucket's own rules delete what is too old. */
function needsRetention({ bucket }: Answers): boolean {
  return !bucket.containerDeletes;
}

function bucketField({ application, answers }: ProjectOptions): string[] {
  const { bucket, days } = answers;
  const retention = `retention: Retention.days(${days})`;
  if (bucket.kind === "aws") {
    return [
      `bucket: new AwsBackupBucket(${text(`${application.service}-backups`)}, {`,
      `  ${retention},`,
      `  import: config.get("importBucket"),`,
      `  prefix: config.get("prefix"),`,
      "}),",
    ];
  }
  const address = [
    `name: config.require("bucket"),`,
    ...(bucket.endpoint === undefined ? [] : [`endpoint: ${text(bucket.endpoint)},`]),
    `region: ${text(bucket.region)},`,
    ...(bucket.allowInsecure ? ["allowInsecure: true,"] : []),
  ];
  const keys = [
    `accessKeyId: config.requireSecret("accessKeyId"),`,
    `secretAccessKey: config.requireSecret("secretAccessKey"),`,
  ];
  if (bucket.kind === "existing") {
    const rules = needsRetention(answers)
      ? [`// What the bucket's own rules do; nothing here sets them.`, `${retention},`]
      : [];
    return ["bucket: {", ...[...address, ...keys, ...rules].map((line) => `  ${line}`), "},"];
  }
  return [
    `bucket: new S3CompatibleBucket(${text(`${application.service}-backups`)}, {`,
    ...address.map((line) => `  ${line}`),
    `  ${retention},`,
    "  administrator: {",
    ...keys.map((line) => `    ${line}`),
    "  },",
    "}),",
  ];
}

function indented(line: string): string {
  return `  ${line}`;
}

/** A text of the program. */
function text(value: string): string {
  return JSON.stringify(value);
}

/** What the project's folder gets besides: the package itself, where it is no published version. */
export function tarballName({ tarball }: PackageOrigin): string | undefined {
  return tarball === undefined ? undefined : basename(tarball);
}
