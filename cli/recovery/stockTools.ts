import { shellQuote } from "../../common/ssh/command.ts";

/** What the commands need to know. A value that is not known is one to be filled in. */
export interface StockValues {
  readonly region: string;
  /** Service address, AWS's own too. */
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly bucket: string;
  /** Folder in the bucket, with that of the tier where the backups have tiers. */
  readonly prefix: string;
  readonly database: string;
  /** Time of the backup: `2026-11-24T03:15:02`. */
  readonly stamp: string;
  /** File with the age identity. */
  readonly identity: string;
  /** The new server, as psql reaches it, and its superuser. */
  readonly host: string;
  readonly port: string;
  readonly user: string;
}

/** Values as docs/recovery.md shows them. */
export const EXAMPLE: StockValues = {
  region: "eu-west-3",
  endpoint: "https://s3.eu-west-3.amazonaws.com",
  accessKeyId: "AKIAEXAMPLE",
  bucket: "shop-backups-4f2a",
  prefix: "shop/production",
  database: "shop_production",
  stamp: "2026-11-24T03:15:02",
  identity: "identity.txt",
  host: "127.0.0.1",
  port: "5432",
  user: "postgres",
};

/**
 * Restores a backup with stock tools alone, in bash: aws, jq, sha256sum, age, zstd and PostgreSQL's own programs. No secret
 * stands on a command line. docs/recovery.md shows the same block, and the tests run it.
 */
export function stockCommands(values: StockValues): string {
  const { region, endpoint, accessKeyId, bucket, prefix, database, stamp, identity } = values;
  return `# Where the backups are.
export AWS_DEFAULT_REGION=${shellQuote(region)}
export AWS_ENDPOINT_URL=${shellQuote(endpoint)}
export AWS_ACCESS_KEY_ID=${shellQuote(accessKeyId)}
read -rsp 'Secret access key: ' AWS_SECRET_ACCESS_KEY && export AWS_SECRET_ACCESS_KEY
FOLDER=${shellQuote(`s3://${bucket}/${prefix}`)}
DATABASE=${shellQuote(database)}
IDENTITY=${shellQuote(identity)}

# The new server, and its superuser.
export PGHOST=${shellQuote(values.host)} PGPORT=${shellQuote(values.port)} PGUSER=${shellQuote(values.user)}
read -rsp "Password of $PGUSER: " PGPASSWORD && export PGPASSWORD

# Look what there is. Take the newest time with a manifest, or one before the accident.
aws s3 ls "$FOLDER/"
BACKUP="\${DATABASE}_${stamp}"

# Download it, and check it against the checksums in its manifest.
aws s3 cp --recursive --no-progress "$FOLDER/" . --exclude '*' --include "$BACKUP.*"
jq -r '.object, .globals | values | "\\(.sha256)  \\(.key | split("/") | last)"' \\
  "$BACKUP.manifest.json" | sha256sum --check

# Decrypt and unpack it, by the ending of its name.
unpack() {
  case "$1" in *.age) age --decrypt --identity "$IDENTITY" "$1" ;; *) cat "$1" ;; esac |
    case "$1" in *.zst | *.zst.age) zstd --decompress ;; *) cat ;; esac
}
unpack "$(ls "$BACKUP".globals.sql.zst*)" > roles.sql
unpack "$(ls "$BACKUP".pgdump* "$BACKUP".dump.zst* 2> /dev/null)" > archive

# Make the roles first. "already exists" does no harm here.
psql --no-psqlrc --quiet --output /dev/null --dbname postgres < roles.sql

# Make a database with the backup's owner, encoding and locale, and fill it.
jq -r '.properties | "--owner=\\(.owner)", "--encoding=\\(.encoding)",
    "--lc-collate=\\(.collate)", "--lc-ctype=\\(.ctype)",
    if .localeProvider == "libc" then empty
    else "--locale-provider=\\(.localeProvider)", "--\\(.localeProvider)-locale=\\(.locale)" end' \\
  "$BACKUP.manifest.json" | tr '\\n' '\\0' | xargs -0 createdb --template template0 "\${DATABASE}_restored"
pg_restore --exit-on-error --dbname "\${DATABASE}_restored" < archive

# Compare the rows of each table with the manifest. A table that differs has a line of its own.
jq -r 'def quoted(c): c + gsub(c; c + c) + c;
    (.tables[] | select(.exact and .counted != false)
      | "\\(.schema | quoted("\\"")).\\(.name | quoted("\\""))" as $table
      | "SELECT \\($table | quoted("\\u0027")) || \\u0027: \\u0027 || count(*) || \\u0027 rows instead of \\(.rows)\\u0027
         FROM ONLY \\($table) HAVING count(*) <> \\(.rows);"),
    "SELECT \\u0027compared \\(.tables | length) tables\\u0027;"' \\
  "$BACKUP.manifest.json" | psql --no-psqlrc --quiet --no-align --tuples-only --dbname "\${DATABASE}_restored"

# Give it the live name. A database that has this name is kept, as DATABASE_before.
psql --no-psqlrc --quiet --dbname postgres --set live="$DATABASE" --set restored="\${DATABASE}_restored" << 'END'
SELECT format('ALTER DATABASE %I RENAME TO %I', datname, datname || '_before')
  FROM pg_database WHERE datname = :'live' \\gexec
ALTER DATABASE :"restored" RENAME TO :"live";
END

# Bring back its settings, grants and comment. "already exists" does no harm here.
pg_restore --create --list < archive |
  grep -E '^[0-9]+; [0-9]+ [0-9]+ (DATABASE PROPERTIES|(ACL|COMMENT) - DATABASE) ' > properties.list
pg_restore --create --use-list properties.list --file - < archive |
  psql --no-psqlrc --quiet --output /dev/null --dbname postgres
vacuumdb --quiet --analyze-only --dbname "$DATABASE"

# See which roles may log in and have no password yet. In psql, \\password NAME gives them one.
psql --no-psqlrc --no-align --tuples-only --dbname postgres --command \\
  'SELECT rolname FROM pg_authid WHERE rolcanlogin AND rolpassword IS NULL'
rm archive roles.sql properties.list
`;
}
