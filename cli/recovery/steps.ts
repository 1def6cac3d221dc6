import { shellQuote } from "../../common/ssh/command.ts";
import type { Left } from "./left.ts";
import { type StockValues, stockCommands } from "./stockTools.ts";

/** What is known of the backup, from the stack or from the block in deploy.yml. */
export interface Facts {
  /** The server to restore onto, and the one that the backup was of. */
  readonly host: string;
  readonly oldHost: string;
  readonly sshPort: number;
  /** Who logs in there. */
  readonly sshUser: string;
  /** Name of the container with the agent. */
  readonly container: string;
  /** Key of the database under `accessories`; undefined: it is none of the application's. */
  readonly databaseAccessory: string | undefined;
  /** Path of the application's deploy.yml. */
  readonly config: string;
  readonly destination: string | undefined;
  /** Name of the stack to make again. */
  readonly stack: string;
  readonly bucket: string;
  readonly prefix: string;
  /** The bucket is on AWS, where the program may have made it. */
  readonly onAws: boolean;
  /** The databases that the backup has, where it has several, so that each is named. */
  readonly databases: readonly string[];
  /** Backup to restore: `latest` or a time. */
  readonly wanted: string;
  /** File with the age identity; undefined: none was given. */
  readonly identity: string | undefined;
  /** A command of this program, for the same stack. */
  readonly command: (words: string) => string;
  readonly stock: StockValues;
}

/** What `recover` can run by itself. */
export type Action = "up" | "restore" | "backup" | "verify";

/** One step of a recovery. */
export interface Step {
  /** What it does, a sentence. */
  readonly what: string;
  /** As they are typed, one after the other. */
  readonly commands: readonly string[];
  /** They are one script, whose here-document ends only at the beginning of a line. @default false */
  readonly script?: true;
  /** What `recover` runs; absent: the reader types the commands. */
  readonly action?: Action;
  /** What to look at, a sentence each. */
  readonly notes?: readonly string[];
}

/** The steps by what is left, in order. */
export function stepsFor(left: Left, facts: Facts): Step[] {
  switch (left) {
    case "all":
      return [restore(facts)];
    case "stack":
      return [...newServer(facts), UP, ...fill(facts), ...check(facts), application(facts)];
    case "server":
      return [...newStack(facts, true), UP, ...check(facts), ...oldKeys(facts)];
    case "project":
      return [
        ...newServer(facts),
        ...newStack(facts, false),
        UP,
        ...fill(facts),
        ...check(facts),
        ...oldKeys(facts),
        application(facts),
      ];
    case "bucket":
      return [stockTools(facts)];
  }
}

function newServer(facts: Facts): Step[] {
  const { host, oldHost, sshPort, databaseAccessory, config } = facts;
  const name = sshPort === 22 ? host : `[${host}]:${sshPort}`;
  const port = sshPort === 22 ? "" : ` -p ${sshPort}`;
  const moved: Step = {
    what: `Write ${host} in the place of ${oldHost}.`,
    commands: [`grep -n ${shellQuote(oldHost)} ${shellQuote(config)}`],
    notes: ["If the program or its stack names hosts, write the new address there too."],
  };
  const known: Step = {
    what: `Take the new server's key into known_hosts.`,
    commands: [
      `ssh-keygen -R ${shellQuote(name)}`,
      `ssh-keyscan -t ed25519${port} ${shellQuote(host)} | tee -a ~/.ssh/known_hosts | ssh-keygen -lf -`,
    ],
    notes: [
      "Compare the fingerprint with the one that your provider shows. If they differ, stop.",
      "If the program or its stack gives hostKeys, put the new key there too.",
    ],
  };
  const database: Step = {
    what: "Install Docker on the server, and start the empty database.",
    commands: [
      kamal(facts, "server bootstrap"),
      ...(databaseAccessory === undefined
        ? []
        : [kamal(facts, `accessory boot ${shellQuote(databaseAccessory)}`)]),
    ],
    notes: [
      "Run this in the application's folder.",
      ...(databaseAccessory === undefined
        ? ["The database is no accessory of the application: start its server by hand."]
        : []),
    ],
  };
  return [...(host === oldHost ? [] : [moved]), known, database];
}

function kamal({ destination }: Facts, words: string): string {
  return `kamal ${words}${destination === undefined ? "" : ` -d ${shellQuote(destination)}`}`;
}

/** @param hasServer the container still runs, and has the signing keys */
function newStack(facts: Facts, hasServer: boolean): Step[] {
  const { stack, bucket, prefix, onAws, sshUser, host, sshPort, container } = facts;
  const set = (words: string) => `pulumi config set ${words}`;
  const signing = set("--secret signingKeys");
  const port = sshPort === 22 ? "" : `-p ${sshPort} `;
  const login = shellQuote(`${sshUser}@${host}`);
  return [
    {
      what: "Make the stack again.",
      commands: [`pulumi stack init ${shellQuote(stack)}`],
      notes: ["Run this in the folder of the Pulumi project, as it is in git."],
    },
    onAws
      ? {
          what: "Let the stack take the bucket that is there, and not make a new one.",
          commands: [
            set(`importBucket ${shellQuote(bucket)}`),
            set(`prefix ${shellQuote(prefix)}`),
          ],
          notes: [
            "Keep importBucket in the stack from now on.",
            "If the bucket is given with its key, set the secrets accessKeyId and secretAccessKey instead.",
            "The program that init writes reads both. In another, give import and prefix to AwsBackupBucket in index.ts.",
          ],
        }
      : {
          what: "Give the stack the key of the bucket. Pulumi asks for each value.",
          commands: [set("--secret accessKeyId"), set("--secret secretAccessKey")],
          notes: [
            "The key that the container had stands in Kamal's secrets, as DB_BACKUP_S3_ACCESS_KEY_ID and DB_BACKUP_S3_SECRET_ACCESS_KEY.",
          ],
        },
    {
      what: "Give the stack the signing keys, so that the backups there count.",
      commands: [
        hasServer
          ? `ssh ${port}${login} docker exec ${shellQuote(container)} printenv SIGNING_KEYS | ${signing}`
          : `${signing} < signing-keys.txt`,
      ],
      notes: [
        'The program that init writes reads them. Another one needs signing: { keys: config.requireSecret("signingKeys") } in PostgresBackup.',
        ...(hasServer
          ? []
          : [
              "They also stand in Kamal's secrets on a machine that ran pulumi up, as DB_BACKUP_SIGNING_KEYS.",
            ]),
        "Without them, run pulumi config set firstBackup false before pulumi up, and restore a backup by its time and with --accept-origin.",
      ],
    },
  ];
}

const UP: Step = { what: "Boot the backup's container.", commands: ["pulumi up"], action: "up" };

function restore(facts: Facts, options = ""): Step {
  const { wanted, host } = facts;
  return {
    what: `Restore on ${host}. The database that is there is kept under another name.`,
    commands: forEach(facts, `restore ${wanted}${options}`),
    action: "restore",
  };
}

/** The command for each database. */
function forEach({ command, databases, identity }: Facts, words: string): string[] {
  const whole = identity === undefined ? words : `${words} --identity ${shellQuote(identity)}`;
  return databases.length === 0
    ? [command(whole)]
    : databases.map((name) => command(`${whole} --database ${shellQuote(name)}`));
}

/** The same on a server that has nothing of the old one. */
function fill(facts: Facts): Step[] {
  return [
    {
      ...restore(facts, " --globals"),
      notes: [
        "It makes the roles of the backup, and lists those that need a password.",
        "In psql, \\password NAME gives a role its password.",
      ],
    },
  ];
}

function check(facts: Facts): Step[] {
  return [
    { what: "Take a backup.", commands: [facts.command("backup")], action: "backup" },
    { what: "Read it to its end.", commands: forEach(facts, "verify latest"), action: "verify" },
  ];
}

/** The keys of the lost stack are in no state any more, and still work. */
function oldKeys({ onAws }: Facts): Step[] {
  return [
    {
      what: "Delete the keys of the lost stack.",
      commands: [],
      notes: [
        onAws
          ? "They belong to IAM users that the lost stack has made. The new ones have the same names with another ending."
          : "Make a new key at the provider, give it to the stack, run pulumi up, and delete the old one.",
      ],
    },
  ];
}

function application(facts: Facts): Step {
  return {
    what: "Bring back what no backup has, and deploy the application.",
    commands: [kamal(facts, "setup")],
    notes: [
      "Passwords of roles, config/master.key, Kamal's secrets, and the application's own files are in no backup.",
    ],
  };
}

function stockTools({ stock }: Facts): Step {
  return {
    what: "Restore with stock tools alone, in bash, in an empty folder.",
    commands: stockCommands(stock).trimEnd().split("\n"),
    script: true,
    notes: [
      "It takes aws, jq, age, zstd, and PostgreSQL's programs of the backup's major version or a later one.",
    ],
  };
}
