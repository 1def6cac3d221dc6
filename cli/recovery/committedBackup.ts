import { Problem } from "../../common/problem.ts";
import { readKamalConfig } from "../../kamal/configuration/config.ts";
import { destinationFile } from "../../kamal/kamalCommand.ts";
import { placeOfAccessory } from "../../kamal/markedBlock.ts";
import { readDeployFile } from "../session/deployFile.ts";

/** What the block in deploy.yml says of a backup, for the day on which the stack is lost. */
export interface CommittedBackup {
  /** The file that has the block. */
  readonly file: string;
  /** Name of the container on the host. */
  readonly container: string;
  readonly host: string;
  readonly sshUser: string;
  readonly sshPort: number;
  /** Key of the database under `accessories`; undefined: it is none of the application's. */
  readonly databaseAccessory: string | undefined;
  /** Exact names; none with every database of the server. */
  readonly databases: readonly string[];
  readonly bucket: string;
  readonly prefix: string;
  readonly region: string;
  /** Absent on AWS. */
  readonly endpoint: string | undefined;
  /** Backups are encrypted for an age key, so that a restore needs its private half. */
  readonly needsIdentity: boolean;
  /** The superuser, or whoever else the container connects as. */
  readonly user: string;
}

/** Where the application's files lie. */
export interface ApplicationPlace {
  /** Path of its deploy.yml. */
  readonly config: string;
  readonly destination?: string | undefined;
  /** Which backup, where the file has several. */
  readonly name?: string | undefined;
}

/**
 * Reads the block that `pulumi up` has written.
 * @throws Problem when the file cannot be read, or has no such block, or several
 */
export function readCommitted({ config, destination, name }: ApplicationPlace): CommittedBackup {
  const base = { path: config, text: readDeployFile(config) };
  const path = destination === undefined ? undefined : destinationFile(config, destination);
  const other = path === undefined ? undefined : { path, text: readDeployFile(path) };
  const kamal = readKamalConfig({
    base,
    ...(other && { destination: { ...other, name: destination as string } }),
    env: process.env,
  });
  const files = other === undefined ? [base] : [other, base];
  const found = Object.values(kamal.accessories).flatMap((accessory) => {
    const file = files.find(
      ({ text }) => placeOfAccessory(text, accessory.name).backup !== undefined,
    );
    const backup = file && placeOfAccessory(file.text, accessory.name).backup;
    return file && (name === undefined || name === backup) ? [{ accessory, file, backup }] : [];
  });
  const [first, second] = found;
  if (first === undefined) {
    throw new Problem(
      `${config} has no block of ${name === undefined ? "a backup" : `the backup ${name}`}. Give the application's deploy.yml with --config, and its destination with --destination.`,
    );
  }
  if (second !== undefined) {
    const names = found.map(({ backup }) => backup).join(", ");
    throw new Problem(`${config} has several backups: ${names}. Choose one with --name.`);
  }
  const { accessory, file } = first;
  const { clear } = accessory.env;
  const server = Object.values(kamal.accessories).find(
    ({ service }) => service === clear["POSTGRES_HOST"],
  );
  const [host = ""] = accessory.hosts;
  const { user: sshUser = "root", port: sshPort = 22 } = kamal.ssh;
  return {
    file: file.path,
    container: accessory.service,
    host,
    sshUser,
    sshPort,
    databaseAccessory: server?.name,
    databases: (clear["POSTGRES_DATABASE"] ?? "").split(",").filter(Boolean),
    bucket: clear["S3_BUCKET"] ?? "",
    prefix: clear["S3_PREFIX"] ?? "backup",
    region: clear["S3_REGION"] ?? "us-west-1",
    endpoint: clear["S3_ENDPOINT"],
    needsIdentity: clear["AGE_RECIPIENTS"] !== undefined,
    user: clear["POSTGRES_USER"] ?? "postgres",
  };
}
