/** Major versions of PostgreSQL whose client the agent's image can have. */
export const POSTGRES_MAJORS = { oldest: 14, newest: 18 } as const;

/** Image names that are a PostgreSQL server, whoever publishes them. */
const SERVER = /^(?:postgres|postgresql|postgis|timescaledb|timescaledb-ha|pgvector|paradedb)$/;
/** Images that count versions of their own in the tag. */
const OWN_VERSIONS = /^(?:timescaledb|timescaledb-ha|pgvector|paradedb)$/;
/** Names in which a tag that begins with a number may well mean PostgreSQL's. */
const NAMED_AFTER_SERVER = /(?:^|[-_.])(?:postgres|postgresql|pgsql|pg)(?:[-_.]|$)/;

/** Whether the image is known as a PostgreSQL server by its name. */
export function isPostgresImage(image: string): boolean {
  return SERVER.test(imageName(image));
}

/**
 * Major version of the server by the tag of its image: 17 of `postgres:17.6-alpine`, `pgvector:pg17`, `timescaledb:2.17.2-pg17`.
 * @returns undefined when the tag does not tell
 */
export function postgresMajor(image: string): number | undefined {
  const tag = /:([\w.-]+)(?:@.*)?$/.exec(image)?.[1] ?? "";
  const marked = /(?:^|[-_.])(?:pg|postgres(?:ql)?[-_.]?)(\d{1,2})(?!\d)/.exec(tag)?.[1];
  if (marked !== undefined) return Number(marked);
  const name = imageName(image);
  const leading = /^(\d{1,2})(?:$|[.-])/.exec(tag)?.[1];
  if (leading === undefined || OWN_VERSIONS.test(name)) return undefined;
  const major = Number(leading);
  if (SERVER.test(name)) return major;
  // Version 3 of somebody's own image is no version of PostgreSQL.
  return NAMED_AFTER_SERVER.test(name) && isSupportedMajor(major) ? major : undefined;
}

/** Whether the agent has a client for servers of this major version. */
export function isSupportedMajor(major: number): boolean {
  return (
    Number.isInteger(major) && major >= POSTGRES_MAJORS.oldest && major <= POSTGRES_MAJORS.newest
  );
}

/** Last word of the repository, without tag and digest. */
function imageName(image: string): string {
  const repository = image.replace(/@.*$/, "").replace(/:[^/]*$/, "");
  return repository.slice(repository.lastIndexOf("/") + 1);
}
