/** What is known from round to round: which backups there are, what they hold, how long a run takes. */

import type { Outcome } from "./agent.ts";
import type { Ended, Left, Live, Stored } from "./judge.ts";
import { DATABASES, ENCRYPTIONS, type Encryption, type Round } from "./rounds.ts";
import type { Debris, StoredBackup } from "./service.ts";
import { folderOf, type Place, type SoakWorld } from "./world.ts";

/** Longest time for any command; what takes longer has no end. */
export const LIMIT_MS = 240_000;
/** Backups of each database and folder that stay when the buckets are thinned out. */
const KEPT = 2;
/** How much the newest time of a kind of run counts. */
const NEWEST = 0.3;

/** A row count of each table, as a manifest writes it. */
type Rows = ReadonlyMap<string, number>;

export class Course {
  readonly world: SoakWorld;
  readonly #known: Record<Place, Set<string>> = { first: new Set(), copy: new Set() };
  /** Marker of each backup in the first place, by folder and database; the newest comes last. */
  readonly #markers = new Map<string, { stamp: string; marker: string }[]>();
  readonly #usual = new Map<string, number>();
  readonly #rows = new Map<string, Rows>();
  readonly #states = new Map<string, string>();

  constructor(world: SoakWorld) {
    this.world = world;
  }

  /** Takes a backup of everything in each way, so that there is something to restore and the times are known. */
  async prime(log: (line: string) => void): Promise<void> {
    const { server } = this.world;
    for (const database of DATABASES) {
      const content = await server.content(database);
      if (content === undefined) throw new Error(`${database} has no content`);
      this.#states.set(database, content.state);
      this.#rows.set(database, await this.#countRows(database));
    }
    for (const encryption of ENCRYPTIONS) await this.refill(encryption, log);
  }

  /** Backups of one kind of encryption: at the beginning, and when a service was made anew. */
  async refill(encryption: Encryption, log: (line: string) => void): Promise<void> {
    const env = this.world.environment(encryption, { databases: DATABASES, copy: true });
    const outcome = await this.world.agent.run(["backup"], env, encryption, LIMIT_MS);
    if (outcome.code !== 0) {
      throw new Error(
        `the first backup: exit ${outcome.code} ${outcome.sentence} ${outcome.stderr}`,
      );
    }
    await this.collect(encryption);
    log(
      `a backup of both databases, ${encryption}, took ${(outcome.elapsedMs / 1000).toFixed(1)} s`,
    );
    this.took("backup both copied", outcome.elapsedMs);
  }

  /** Forgets what was in the places whose service was made anew, and fills them. */
  async renew(places: readonly Place[], log: (line: string) => void): Promise<void> {
    if (places.length === 0) return;
    for (const place of places) this.#known[place].clear();
    if (places.includes("first")) this.#markers.clear();
    for (const encryption of ENCRYPTIONS) await this.refill(encryption, log);
  }

  /** The backups that have come since the last call, each held against its objects and the database. */
  async collect(encryption: Encryption): Promise<Stored[]> {
    const found: Stored[] = [];
    for (const place of ["first", "copy"] as const) {
      const known = this.#known[place];
      for (const backup of await this.world.places[place].newBackups(known)) {
        known.add(backup.key);
        const { database, suspect, takenAt } = backup.manifest;
        found.push({
          place,
          database,
          suspect: suspect !== null,
          faults: [...backup.faults, ...this.#rowFaults(backup)],
        });
        if (place === "first" && suspect === null) {
          const marker = (await this.world.server.content(database))?.marker ?? "";
          this.#markersOf(encryption, database).push({ stamp: takenAt, marker });
        }
      }
    }
    return found;
  }

  /** The marker that the newest backup of a database holds. */
  newestMarker(encryption: Encryption, database: string): string {
    const all = this.#markersOf(encryption, database);
    return all.toSorted((a, b) => (a.stamp < b.stamp ? -1 : 1)).at(-1)?.marker ?? "";
  }

  /** Wholly the one, wholly the other, or neither. @param name under which it is looked for, where that is another one */
  async liveIs(
    database: string,
    markers: { readonly old: string; readonly new: string },
    name: string = database,
  ): Promise<Live> {
    const content = await this.world.server.content(name);
    if (content === undefined || content.state !== this.#states.get(database)) return "neither";
    if (content.marker === markers.old) return "old";
    return content.marker === markers.new ? "new" : "neither";
  }

  /** How long a run of this kind takes, by those before it. */
  usualMs(round: Round): number {
    const fallback = round.subject === "backup" ? "backup both copied" : "restore shop";
    return this.#usual.get(kindOf(round)) ?? this.#usual.get(fallback) ?? 3_000;
  }

  took(kind: string, elapsedMs: number): void {
    const before = this.#usual.get(kind);
    this.#usual.set(
      kind,
      before === undefined ? elapsedMs : before * (1 - NEWEST) + elapsedMs * NEWEST,
    );
  }

  tookRound(round: Round, { code, elapsedMs }: Outcome): void {
    if (code === 0) this.took(kindOf(round), elapsedMs);
  }

  async debris(): Promise<Record<Place, Debris>> {
    const { first, copy } = this.world.places;
    const [inFirst, inCopy] = await Promise.all([first.debris(), copy.debris()]);
    return { first: inFirst, copy: inCopy };
  }

  /** What lies about now and did not before. */
  async left(before: Record<Place, Debris>): Promise<Left> {
    const { server, agent } = this.world;
    const now = await this.debris();
    const fresh = (what: keyof Debris) =>
      (["first", "copy"] as const).flatMap((place) => {
        const old = new Set(before[place][what]);
        return now[place][what].filter((name) => !old.has(name));
      });
    const [databases, scratch, locks] = await Promise.all([
      server.others(),
      agent.scratchFiles(),
      server.heldLocks(),
    ]);
    return {
      orphans: fresh("orphans"),
      uploads: fresh("uploads"),
      databases: databases.filter((name) => !isKept(name)),
      scratch,
      locks,
    };
  }

  /** After a round that left something: the next one is judged by what it does itself. */
  async clean(): Promise<void> {
    const { server, agent } = this.world;
    await server.endLockHolders();
    for (const name of await server.others()) await server.drop(name);
    await agent.emptyScratch();
  }

  async thinOut(): Promise<void> {
    await Promise.all(Object.values(this.world.places).map((place) => place.thinOut(KEPT)));
  }

  #markersOf(encryption: Encryption, database: string) {
    const key = `${folderOf(encryption)} ${database}`;
    const found = this.#markers.get(key) ?? [];
    this.#markers.set(key, found);
    return found;
  }

  #rowFaults({ manifest }: StoredBackup): string[] {
    const expected = this.#rows.get(manifest.database) ?? new Map<string, number>();
    const faults = manifest.tables
      .filter(({ exact, name, rows }) => exact && expected.get(name) !== rows)
      .map(({ name, rows }) => `${name}: ${rows} rows instead of ${expected.get(name)}`);
    if (manifest.tables.length !== expected.size) faults.push(`${manifest.tables.length} tables`);
    // What a restore needs beside the dump; the soak's role may read it.
    if (manifest.globals === null) faults.push("no roles beside the dump");
    return faults;
  }

  async #countRows(database: string): Promise<Rows> {
    const { server } = this.world;
    const tables = await server.query<{ name: string }>(
      database,
      "select relname as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace",
    );
    const counts = tables.map(
      ({ name }) => `select '${name}' as name, count(*)::int as rows from ${name}`,
    );
    const rows = await server.query<{ name: string; rows: number }>(
      database,
      counts.join(" union all "),
    );
    return new Map(rows.map((each) => [each.name, each.rows]));
  }
}

/** A database that a restore or an undo has put aside whole: those stay until an operator drops them. */
export const isKept = (name: string) => /_(?:before|undone)_\d{8}T\d{6}$/.test(name);

export const endedOf = ({ code, sentence, stderr }: Outcome): Ended => ({
  code,
  // Without an event: what the last line of standard error says, as where the arguments are wrong.
  sentence: sentence || (stderr.trim().split("\n").at(-1) ?? ""),
});

function kindOf({ subject, databases, copy, scratch }: Round): string {
  if (subject === "restore") return `restore ${databases[0]}${scratch ? " scratch" : ""}`;
  return `backup ${databases.length === 1 ? "one" : "both"}${copy ? " copied" : ""}`;
}
