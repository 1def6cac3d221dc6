#!/bin/sh
# The steps that the common image takes, with its tools and options: dump to a file, encrypt to a second file, upload.
# Reports what lay on the disk, as one JSON object.
set -eu
pg_dump --format=custom >db.dump
plain=$(stat -c %s db.dump)
gpg --symmetric --batch --passphrase "$PASSPHRASE" db.dump
stored=$(stat -c %s db.dump.gpg)
rm db.dump
aws --endpoint-url "$S3_ENDPOINT" s3 cp --no-progress db.dump.gpg "s3://$S3_BUCKET/theirs.dump.gpg" >&2
rm db.dump.gpg
echo "{\"plainBytes\":$plain,\"storedBytes\":$stored,\"diskBytes\":$((plain + stored))}"
