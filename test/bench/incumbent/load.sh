#!/bin/sh
# The way back: download to a file, decrypt to a second file, restore from it into the database $PGDATABASE.
# Reports the time of each step in seconds, as one JSON object.
set -eu
now() { date +%s.%N; }
began=$(now)
aws --endpoint-url "$S3_ENDPOINT" s3 cp --no-progress "s3://$S3_BUCKET/theirs.dump.gpg" db.dump.gpg >&2
loaded=$(now)
gpg --decrypt --batch --quiet --passphrase "$PASSPHRASE" db.dump.gpg >db.dump
rm db.dump.gpg
decrypted=$(now)
pg_restore --clean --if-exists --dbname="$PGDATABASE" db.dump
ended=$(now)
rm db.dump
echo "{\"began\":$began,\"downloaded\":$loaded,\"decrypted\":$decrypted,\"restored\":$ended}"
