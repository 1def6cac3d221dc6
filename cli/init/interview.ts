import { parseRecipient } from "../../common/age/keys.ts";
import { Problem } from "../../common/problem.ts";
import { parseScheduleOf, Schedule } from "../../common/schedule/schedule.ts";
import { matchHost, other } from "../../storage/address/providers.ts";
import { isWholeDays } from "../../storage/planning/retention.ts";
import { proveRetention, rulesOf } from "../../storage/planning/retentionProof.ts";
import { checkAddress, checkBucket, describeFinding } from "../doctor/bucketCheck.ts";
import type { Answers, BucketAnswer } from "./answers.ts";
import type { Application, DatabaseNames } from "./application.ts";
import { BUCKET_PLACES, type BucketPlace, bucketPlace, readTypedBucket } from "./bucketPlaces.ts";
import { type RecoveryKey, recoveryKey } from "./keyFiles.ts";
import type { Questions } from "./questions.ts";

/** What was typed in the place of an answer. */
export interface TypedAnswers {
  readonly provider?: string;
  readonly bucket?: string;
  readonly endpoint?: string;
  readonly region?: string;
  readonly allowInsecure?: boolean;
  /** The bucket is made by `pulumi up`, with the keys that are given. */
  readonly makeBucket?: boolean;
  readonly schedule?: string;
  readonly days?: string;
  /** false: backups are not encrypted. */
  readonly encryption?: boolean;
  /** Public key of one's own. */
  readonly recipient?: string;
  readonly database?: string;
}

/** What the questions are asked about. */
export interface Subject {
  readonly application: Application;
  readonly typed: TypedAnswers;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where a recovery key is kept, and whether it may be written. */
  readonly keyFile: string;
  readonly writes: boolean;
}

/** The answers, and the key that was made for them. */
export interface Interview {
  readonly answers: Answers;
  /** Absent: backups are not encrypted, or for a key of one's own. */
  readonly key?: RecoveryKey;
}

/**
 * Asks what the files do not say: where, which bucket, how often and how long, whether encrypted, which databases.
 * @throws Problem for an answer that cannot work; nothing is left then
 */
export async function interview(questions: Questions, subject: Subject): Promise<Interview> {
  const bucket = await askBucket(questions, subject);
  const { schedule, days } = await askSchedule(questions, subject.typed);
  const databases = await askDatabases(questions, subject);
  const { recipient, key } = await askEncryption(questions, subject);
  return {
    answers: { bucket, schedule, days, databases, recipient },
    ...(key && { key }),
  };
}

async function askBucket(questions: Questions, subject: Subject): Promise<BucketAnswer> {
  const { typed } = subject;
  const place =
    typed.provider === undefined
      ? (BUCKET_PLACES[
          await questions.choose("Where should backups go?", BUCKET_PLACES)
        ] as BucketPlace)
      : bucketPlace(typed.provider);
  if (place.makesItself) return newBucketOnAws(questions, subject, place);
  // Half a key would be missing again at each try.
  keysOf(subject.env);
  for (let tries = 1; ; tries += 1) {
    try {
      return await bucketAt(questions, subject, place);
    } catch (error) {
      // What was typed as an option, or is not asked, would be wrong again.
      const again = questions.asks && typed.bucket === undefined && tries < 3;
      if (!(error instanceof Problem) || !again) throw error;
      questions.say(`  ${error.message}`);
    }
  }
}

async function newBucketOnAws(
  questions: Questions,
  { typed, env }: Subject,
  { regions }: BucketPlace,
): Promise<BucketAnswer> {
  if (typed.bucket !== undefined) {
    throw new Problem(
      `--bucket ${typed.bucket}: a new bucket on AWS gets its name at pulumi up. For one that exists: --provider aws-existing.`,
    );
  }
  const usual = env["AWS_REGION"] ?? env["AWS_DEFAULT_REGION"] ?? regions[0];
  const region =
    typed.region === undefined
      ? await questions.text("AWS region", usual, regionOf)
      : regionOf(typed.region);
  checkAddress({ region, bucket: "backups" });
  await warnOfUnknownRegion(questions, region);
  return { kind: "aws", region, names: {}, containerDeletes: false };
}

function regionOf(text: string): string {
  if (/^[a-z0-9][a-z0-9-]*$/.test(text)) return text;
  throw new Problem(`"${text}" is no region. Give its code, for instance eu-west-3.`);
}

/** A region may be newer than this version, so one that is not known is taken as it was typed. */
async function warnOfUnknownRegion(questions: Questions, region: string): Promise<void> {
  // Loaded when it is needed: help and most commands do without the SDK. Its list has no us-east-1, which S3 never names.
  const { BucketLocationConstraint } = await import("@aws-sdk/client-s3");
  const known = ["us-east-1", ...Object.values(BucketLocationConstraint)];
  if (known.some((name) => name === region)) return;
  const near = known.filter((name) => name.startsWith(`${region.split("-")[0]}-`)).toSorted();
  const list = near.length === 0 ? "" : ` There are ${near.join(", ")}.`;
  questions.say(
    `  ${region} is no region of AWS that this version knows.${list} If it does not exist, pulumi up will fail: change aws:region in the stack's file.`,
  );
}

async function bucketAt(
  questions: Questions,
  subject: Subject,
  place: BucketPlace,
): Promise<BucketAnswer> {
  const { typed, application, env } = subject;
  if (!questions.asks && typed.bucket === undefined) {
    throw new Problem("Give the bucket with --bucket: its name, or its address in the console.");
  }
  const usual = `${application.service}-backups`.toLowerCase().replaceAll("_", "-");
  const named = readTypedBucket(
    typed.bucket ??
      (await questions.text("Bucket: its name, or its address in the console", usual, String)),
  );
  const given = typed.endpoint ?? named.endpoint ?? (await askEndpoint(questions, typed, place));
  const service =
    given !== undefined && URL.canParse(given) ? matchHost(new URL(given).hostname) : undefined;
  const region =
    typed.region ??
    named.region ??
    service?.region ??
    service?.provider.fixedRegion ??
    (await askRegion(questions, place));
  const endpoint = given ?? place.endpoint?.(region);
  if (endpoint === undefined) await warnOfUnknownRegion(questions, region);
  const address = {
    ...(endpoint !== undefined && { endpoint }),
    region,
    bucket: named.bucket,
    allowInsecure: typed.allowInsecure ?? false,
  };
  checkAddress(address);
  const keys = keysOf(env) ?? (questions.asks ? await askKeys(questions) : undefined);
  const [first] = application.environments;
  const finding = keys && (await checkBucket({ ...address, prefix: first.prefix }, keys));
  const isMade = await decideToMake(questions, typed, finding);
  if (finding !== undefined && !isMade) questions.say(`  ${describeFinding(finding)}`);
  return {
    kind: isMade ? "made" : "existing",
    region,
    ...(endpoint !== undefined && { endpoint }),
    ...(typed.allowInsecure === true && { allowInsecure: true as const }),
    names: Object.fromEntries(
      application.environments.map(({ name }, index) => [
        name,
        isMade && index > 0 ? `${named.bucket}-${name}` : named.bucket,
      ]),
    ),
    ...(keys && { keys }),
    containerDeletes: finding?.state === "good" && finding.excess.includes("delete"),
  };
}

/** Where it follows from the region, it is not asked for; nor at AWS. */
async function askEndpoint(
  questions: Questions,
  { allowInsecure = false }: TypedAnswers,
  { example }: BucketPlace,
): Promise<string | undefined> {
  if (example === undefined) return undefined;
  if (!questions.asks)
    throw new Problem(`Give the service's address with --endpoint, such as ${example}.`);
  return questions.text(`Endpoint, such as ${example}`, undefined, (text) => {
    if (!/^https?:\/\//.test(text) || !URL.canParse(text)) {
      throw new Problem(`"${text}" is no address. Type it with https:// in front.`);
    }
    if (text.startsWith("http:") && !allowInsecure) {
      throw new Problem(
        `"${text}" is plain http: whoever is on the way reads the keys. Type https://, or begin again with --allow-insecure.`,
      );
    }
    return text.replace(/\/+$/, "");
  });
}

/** Where no service's address is typed, the region decides which bucket is meant: it is never guessed in silence. */
async function askRegion(questions: Questions, { example, regions }: BucketPlace): Promise<string> {
  const [usual = "us-east-1"] = regions;
  if (!questions.asks && example === undefined) {
    throw new Problem(`Give the bucket's region with --region, such as ${usual}.`);
  }
  const choices = regions.length > 1 ? ` (${regions.join(", ")} ...)` : "";
  return questions.text(`Region${choices}`, usual, regionOf);
}

/** @throws Problem where one half is missing */
function keysOf(env: Subject["env"]): BucketAnswer["keys"] {
  const accessKeyId = env["S3_ACCESS_KEY_ID"];
  const secretAccessKey = env["S3_SECRET_ACCESS_KEY"];
  if (accessKeyId && secretAccessKey) return { accessKeyId, secretAccessKey };
  if (!accessKeyId && !secretAccessKey) return undefined;
  const [there, missing] = accessKeyId
    ? ["S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"]
    : ["S3_SECRET_ACCESS_KEY", "S3_ACCESS_KEY_ID"];
  throw new Problem(`${there} is set, and ${missing} is not. Set both, or neither.`);
}

async function askKeys(questions: Questions): Promise<NonNullable<BucketAnswer["keys"]>> {
  return {
    accessKeyId: await questions.text("Access key id", undefined, (text) => {
      if (/^\S+$/.test(text)) return text;
      throw new Problem("A key has no blanks. Copy it once more.");
    }),
    secretAccessKey: await questions.hidden("Secret key"),
  };
}

/** @throws Problem where the bucket is not there and nobody wants it made, or it is there although it should be made */
async function decideToMake(
  questions: Questions,
  { makeBucket = false, bucket = "the bucket" }: TypedAnswers,
  finding: Awaited<ReturnType<typeof checkBucket>> | undefined,
): Promise<boolean> {
  if (makeBucket && finding === undefined) {
    throw new Problem(
      "--make-bucket needs the keys that make it. Set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY.",
    );
  }
  if (makeBucket && finding?.state === "good") {
    throw new Problem(`--make-bucket: ${bucket} is there already. Leave the option out.`);
  }
  if (makeBucket) return true;
  if (finding?.state !== "none") return false;
  if (questions.asks) {
    questions.say(`  ${finding.reason}`);
    if (await questions.yes("Shall pulumi up make the bucket, with this key?")) return true;
  }
  throw new Problem(`${finding.reason} Or have it made: --make-bucket.`);
}

async function askSchedule(
  questions: Questions,
  typed: TypedAnswers,
): Promise<Pick<Answers, "schedule" | "days">> {
  const schedule =
    typed.schedule === undefined
      ? await questions.text(
          "How often? A time of day (UTC), or a schedule such as @every 6h",
          "03:15",
          readSchedule,
        )
      : readSchedule(typed.schedule);
  const days = await (typed.days === undefined
    ? questions.text("For how many days is a backup kept?", "30", (text) =>
        readDays(text, schedule),
      )
    : readDays(typed.days, schedule));
  return { schedule, days };
}

/** @throws Problem */
function readSchedule(text: string): Answers["schedule"] {
  if (/^\d{1,2}:\d{2}$/.test(text)) {
    const [hour, minute] = text.split(":").map(Number) as [number, number];
    if (hour > 23 || minute > 59) {
      throw new Problem(`"${text}" is no time of day. Give one from 00:00 to 23:59 (UTC).`);
    }
    return { daily: text };
  }
  return { expression: parseScheduleOf("schedule", text).toString() };
}

/** @throws Problem where nothing would be left at times, as at preview */
function readDays(text: string, schedule: Answers["schedule"]): number {
  const days = Number(text);
  if (!isWholeDays(days)) {
    throw new Problem(`"${text}" is no number of days. Give a whole number, for instance 30.`);
  }
  const rhythm =
    "daily" in schedule ? Schedule.daily(schedule.daily) : Schedule.parse(schedule.expression);
  proveRetention({
    schedule: rhythm.toString(),
    noncurrentDays: 0,
    provider: other.name,
    rules: rulesOf(
      { longestGapHours: rhythm.longestGapHours(), perDay: rhythm.runsPerDay() },
      days,
    ),
  });
  return days;
}

async function askDatabases(
  questions: Questions,
  { application, typed }: Subject,
): Promise<Answers["databases"]> {
  const { environments } = application;
  const found = Object.fromEntries(environments.map(({ name, databases }) => [name, databases]));
  const usual = [...new Set(environments.map(({ databases }) => shown(databases)))].join(" / ");
  const question =
    environments.length === 1
      ? "Which databases? Names with commas between them, or all"
      : "Which databases? Enter for those of each environment";
  const read = (text: string): Answers["databases"] =>
    text === usual
      ? found
      : Object.fromEntries(environments.map(({ name }) => [name, readNames(text)]));
  const chosen =
    typed.database === undefined
      ? await questions.text(question, usual, read)
      : read(typed.database);
  // One program reads them all in one way.
  const all = Object.values(chosen);
  const isMixed = all.includes("all") && all.some((names) => names !== "all" && names.length > 1);
  return isMixed ? Object.fromEntries(Object.keys(chosen).map((name) => [name, "all"])) : chosen;
}

function shown(databases: DatabaseNames): string {
  return databases === "all" ? "all" : databases.join(",");
}

function readNames(text: string): DatabaseNames {
  if (text === "all") return "all";
  const [first = "", ...others] = text.split(",").map((name) => name.trim());
  if ([first, ...others].every((name) => name !== "")) return [first, ...others];
  throw new Problem(`"${text}" names no database. Give names with commas between them, or all.`);
}

async function askEncryption(
  questions: Questions,
  { typed, keyFile, writes }: Subject,
): Promise<{ readonly recipient: string | undefined; readonly key?: RecoveryKey }> {
  if (typed.recipient !== undefined) {
    if (typed.encryption === false) {
      throw new Problem("--recipient and --no-encryption contradict each other. Keep one of them.");
    }
    parseRecipient(typed.recipient);
    return { recipient: typed.recipient };
  }
  const wanted =
    typed.encryption !== false &&
    (await questions.yes("Encrypt, so that the server cannot read its own backups?"));
  if (!wanted) return { recipient: undefined };
  const key = recoveryKey(keyFile, writes);
  try {
    if (key.isNew && questions.asks) await confirmKept(questions, key);
    return { recipient: key.recipient, key };
  } catch (error) {
    key.takeBack();
    throw error;
  }
}

/** Nobody can restore without it, so somebody must have looked at it. */
async function confirmKept(questions: Questions, { path, identity }: RecoveryKey): Promise<void> {
  questions.say(`  Your recovery key (age) was written to ${path}.`);
  questions.say(
    "  Keep it in two places that are not the server. Without it no backup can be read.",
  );
  await questions.text("Type the key's last five characters", undefined, (typed) => {
    if (typed.toUpperCase() === identity.slice(-5)) return;
    throw new Problem(`These are not the last five of ${path}.`);
  });
}
