#!/bin/sh
# Run once while the image is built: the PostgreSQL client of one major, zstd, gpg for the old image's backups (two
# megabytes; without its agent and key server programs), and the user that the agent runs as.
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

useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin agent
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log
