import {
  FAULT_NAMES,
  FAULTS,
  type FaultName,
  faultOf,
  STAGES,
  type Stage,
  type Subject,
} from "./faults.ts";

export const ENCRYPTIONS = ["plain", "age", "passphrase"] as const;
export type Encryption = (typeof ENCRYPTIONS)[number];

/** When the fault comes: at a part of the time that such a run takes, or some time after a stage has begun. */
export type Moment =
  | { readonly share: number }
  | { readonly stage: Stage; readonly delayMs: number };

/** One round: a run, and what breaks in it. */
export interface Round {
  readonly number: number;
  readonly subject: Subject;
  readonly encryption: Encryption;
  /** Of a backup: both, or the first alone. A restore is always of one. */
  readonly databases: readonly string[];
  /** The backup goes into a second bucket, too. */
  readonly copy: boolean;
  /** The restore unpacks into a folder first. */
  readonly scratch: boolean;
  readonly fault: FaultName;
  readonly moment: Moment;
  /** How long the fault lasts, milliseconds. */
  readonly lastsMs: number;
  /** Which of several targets is hit, from 0 to 1. */
  readonly pick: number;
  /** The newest backup is verified after the round. */
  readonly verify: boolean;
}

export const DATABASES = ["shop", "shop_queue"] as const;

/** Beyond the end of the run, so that its last moment is hit too. */
const LATEST_SHARE = 1.05;
/** The swap is in a restore's last third, and is what must not go wrong. */
const LAST_THIRD = 0.67;
const RESTORES_IN_LAST_THIRD = 0.45;
const BY_STAGE = 0.4;
const LONGEST_DELAY_MS = 250;

/**
 * Draws one round. The same seed, number and choice of faults draw the same round, whatever was drawn before it.
 * @param only the faults to draw from; absent: all
 */
export function drawRound(
  seed: number,
  number: number,
  only: readonly FaultName[] = FAULT_NAMES,
): Round {
  const random = randomOf(seed, number);
  const between = (least: number, most: number) => least + random() * (most - least);
  const oneOf = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const fault = weighted(only, random());
  const { subjects, lasts, latest, needsCopy } = faultOf(fault);
  const subject = oneOf(subjects);
  const encryption = oneOf(ENCRYPTIONS);
  const both = random() < 0.5;
  const copied = random() < 0.5;
  const scratch = random() < 0.2;
  const drawn = momentOf(subject, random, between, oneOf);
  const moment = latest === undefined ? drawn : { share: between(0, latest) };
  return {
    number,
    subject,
    encryption,
    databases:
      subject === "backup" ? (both ? DATABASES : ["shop"]) : [both ? "shop" : "shop_queue"],
    copy: subject === "backup" && (copied || needsCopy === true),
    scratch: subject === "restore" && scratch,
    fault,
    moment,
    lastsMs: lasts === undefined ? 0 : Math.round(between(...lasts)),
    pick: random(),
    verify: random() < 1 / 3,
  };
}

function momentOf(
  subject: Subject,
  random: () => number,
  between: (least: number, most: number) => number,
  oneOf: <T>(list: readonly T[]) => T,
): Moment {
  if (random() < BY_STAGE) {
    return { stage: oneOf(STAGES[subject]), delayMs: Math.round(between(0, LONGEST_DELAY_MS)) };
  }
  if (subject === "backup") return { share: between(0, LATEST_SHARE) };
  return random() < RESTORES_IN_LAST_THIRD
    ? { share: between(LAST_THIRD, LATEST_SHARE) }
    : { share: between(0, LAST_THIRD) };
}

function weighted(names: readonly FaultName[], at: number): FaultName {
  const total = names.reduce((sum, name) => sum + FAULTS[name].weight, 0);
  let left = at * total;
  for (const name of names) {
    left -= FAULTS[name].weight;
    if (left < 0) return name;
  }
  return names.at(-1) as FaultName;
}

/** mulberry32 (public domain, Tommy Ettinger): 32 bits of state are plenty for a dozen numbers a round. */
function randomOf(seed: number, number: number): () => number {
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b)) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
