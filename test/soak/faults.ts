/** What is broken on purpose, as data: the drawing of rounds, the world and the table at the end all read it. */

/** What a round runs while something breaks. */
export type Subject = "backup" | "restore";

export interface Fault {
  /** As the table at the end says it. */
  readonly title: string;
  readonly subjects: readonly Subject[];
  /** How often it is drawn, beside the others. */
  readonly weight: number;
  /** How long it lasts before it is mended, in milliseconds; absent: it is over at once. */
  readonly lasts?: readonly [least: number, most: number];
  /** Its target lives only in the first part of a run: the latest moment, as a part of the run's time. */
  readonly latest?: number;
  /** Only rounds that write a copy can meet it. */
  readonly needsCopy?: true;
  /**
   * The agent goes on and its services are well, or it was asked to end: whatever it began in the bucket it has to take away
   * itself. After a kill, or where a service was away, it cannot; then the bucket's own rule does.
   */
  readonly cleansUp: boolean;
}

const BOTH = ["backup", "restore"] as const;

export const FAULTS = {
  "agent-kill": { title: "SIGKILL to the agent", subjects: BOTH, weight: 4, cleansUp: false },
  "agent-term": { title: "SIGTERM to the agent", subjects: BOTH, weight: 4, cleansUp: true },
  "container-kill": {
    title: "agent's container killed",
    subjects: BOTH,
    weight: 2,
    cleansUp: false,
  },
  "container-stop": {
    title: "agent's container stopped",
    subjects: BOTH,
    weight: 2,
    cleansUp: true,
  },
  "pg_dump-kill": {
    title: "SIGKILL to pg_dump",
    subjects: ["backup"],
    weight: 2,
    latest: 0.6,
    cleansUp: true,
  },
  "pg_restore-kill": {
    title: "SIGKILL to pg_restore",
    subjects: ["restore"],
    weight: 2,
    latest: 0.6,
    cleansUp: true,
  },
  "zstd-kill": {
    title: "SIGKILL to zstd",
    subjects: ["backup"],
    weight: 1,
    latest: 0.25,
    cleansUp: true,
  },
  "pg_dumpall-kill": {
    title: "SIGKILL to pg_dumpall",
    subjects: ["backup"],
    weight: 1,
    latest: 0.25,
    cleansUp: true,
  },
  "backend-end": {
    title: "pg_terminate_backend on one of ours",
    subjects: BOTH,
    weight: 3,
    cleansUp: true,
  },
  "server-crash": {
    title: "SIGKILL to a server process",
    subjects: BOTH,
    weight: 2,
    cleansUp: true,
  },
  "server-restart": {
    title: "database's container restarted at once",
    subjects: BOTH,
    weight: 1.5,
    cleansUp: true,
  },
  "server-pause": {
    title: "database paused",
    subjects: BOTH,
    weight: 1,
    lasts: [500, 5_000],
    cleansUp: true,
  },
  "network-cut": {
    title: "agent's network cut and mended",
    subjects: BOTH,
    weight: 2,
    lasts: [300, 4_000],
    cleansUp: false,
  },
  "host-lost": {
    title: "packets dropped, then the container killed",
    subjects: BOTH,
    weight: 0.4,
    cleansUp: false,
  },
  "store-kill": {
    title: "S3 service killed and started",
    subjects: BOTH,
    weight: 1.5,
    lasts: [0, 3_000],
    cleansUp: false,
  },
  "store-pause": {
    title: "S3 service paused",
    subjects: BOTH,
    weight: 2,
    lasts: [500, 5_000],
    cleansUp: false,
  },
  "copy-kill": {
    title: "the copy's service killed and started",
    subjects: ["backup"],
    weight: 1,
    lasts: [0, 3_000],
    needsCopy: true,
    cleansUp: false,
  },
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULTS;

export const FAULT_NAMES = Object.keys(FAULTS) as FaultName[];

export const faultOf = (name: FaultName): Fault => FAULTS[name];

/** The kills of a program that the agent has started: its name, and a word of its command line as a regular expression. */
export const PROGRAMS: Partial<
  Record<FaultName, { readonly name: string; readonly word: string }>
> = {
  "pg_dump-kill": { name: "pg_dump", word: "--snapshot" },
  "pg_restore-kill": { name: "pg_restore", word: "--dbname" },
  "zstd-kill": { name: "zstd", word: "zstd" },
  "pg_dumpall-kill": { name: "pg_dumpall", word: "--globals-only" },
};

/** Where a run stands, as its own events or the server's list of sessions tell. */
export const STAGES = {
  backup: ["dump", "upload", "globals", "stored"],
  restore: ["create", "load", "compare", "swap"],
} as const satisfies Record<Subject, readonly string[]>;

export type Stage = (typeof STAGES)[Subject][number];
