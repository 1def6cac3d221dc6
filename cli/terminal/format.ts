import { formatBytes } from "../../common/format.ts";

/** Numbers and times as an operator reads them. Pure. */

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** Bytes a second over a time: `38 MB/s`; empty where the time is too short to measure. */
export function formatRate(bytes: number, elapsedMs: number): string {
  return elapsedMs < 100 ? "" : `${formatBytes((bytes / elapsedMs) * second)}/s`;
}

/** `18,204,117` */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** `1 table`, `31 tables` */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** How long something took: `0.3 s`, `11 s`, `2 min 5 s`, `3 h 12 min`. */
export function formatDuration(ms: number): string {
  if (ms < 9.95 * second) return `${(ms / second).toFixed(1)} s`;
  const whole = Math.round(ms / second) * second;
  if (whole < minute) return `${whole / second} s`;
  if (whole < hour) return `${Math.floor(whole / minute)} min ${(whole % minute) / second} s`;
  return `${Math.floor(whole / hour)} h ${Math.floor((whole % hour) / minute)} min`;
}

/** How long the rest takes at the rate so far: `28 s`; empty where the time is too short to tell. */
export function formatLeft(done: number, total: number, elapsedMs: number): string {
  if (elapsedMs < second || done <= 0) return "";
  const left = Math.max(0, (elapsedMs / done) * (total - done));
  return left < minute ? `${Math.ceil(left / second)} s` : formatDuration(left);
}

/** How old something is, rounded down: `45 s`, `12 min`, `31 h`, `4 d`. Hours up to three days, as an RPO is given in hours. */
export function formatAge(ms: number): string {
  const age = Math.max(0, ms);
  if (age < minute) return `${Math.floor(age / second)} s`;
  if (age < hour) return `${Math.floor(age / minute)} min`;
  if (age < 3 * day) return `${Math.floor(age / hour)} h`;
  return `${Math.floor(age / day)} d`;
}

/** `2026-11-24T03:15:02` as `2026-11-24 03:15:02`. */
export function formatStamp(stamp: string): string {
  return stamp.replace("T", " ");
}

/** Instant of a stamp, which is always UTC. */
export function stampTime(stamp: string): number {
  return Date.parse(`${stamp}Z`);
}

/** Day that is `days` after a stamp: `2026-12-24`; empty where there is no such day, as after `2026-13-45T99:99:99`. */
export function dayAfter(stamp: string, days: number): string {
  const date = new Date(stampTime(stamp) + days * day);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString().split("T", 1).join("");
}

/** Age of a stamp in hours. */
export function ageHours(stamp: string, now: number): number {
  return (now - stampTime(stamp)) / hour;
}

const FILE_FAULTS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "a part of the path is no folder",
  EISDIR: "it is a folder",
  EACCES: "its permissions do not allow it",
};

/** Why a file cannot be read, as a clause: `there is no such file`. */
export function fileFault(error: unknown): string {
  const { code = "unknown error" } = error as NodeJS.ErrnoException;
  return FILE_FAULTS[code] ?? code;
}

/** Why a file cannot be written, as a clause: `there is no such folder`. */
export function writeFault(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" ? "there is no such folder" : fileFault(error);
}
