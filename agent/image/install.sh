#!/bin/sh
# Run once while the image is built: the PostgreSQL client of one major, zstd, gpg for the old image's backups (two
# megabytes; without its agent and key server programs), and the user that the agent runs as, with a folder to unpack in.
set -eu
major=$1
export DEBIAN_FRONTEND=noninteractive

apt-get update -qq
apt-get install -y -qq --no-install-recommends ca-certificates gpg zstd

# Debian's own package when its suite has this major, else the PostgreSQL project's.
if ! apt-cache show "postgresql-client-$major" >/dev/null 2>&1; then
  . /etc/os-release
  apt-get install -y -qq --no-install-recommends curl
  key=/usr/share/keyrings/postgresql.asc
  curl --fail --silent --show-error --location --proto '=https' --output "$key" \
    https://www.postgresql.org/media/keys/ACCC4CF8.asc
  echo "deb [signed-by=$key] https://apt.postgresql.org/pub/repos/apt $VERSION_CODENAME-pgdg main" \
    >/etc/apt/sources.list.d/postgresql.list
  apt-get update -qq
fi
apt-get install -y -qq --no-install-recommends "postgresql-client-$major"

# A number that never changes, so that a folder of the host can be given to it: chown 10001:10001. Above what Debian hands
# out to services (100 to 999) and to the first users (from 1000), below what it keeps for itself (from 60000).
groupadd --gid 10001 agent
useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin agent
# A named volume that is mounted here takes over owner and mode.
install --directory --owner=agent --group=agent --mode=700 /scratch
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log
