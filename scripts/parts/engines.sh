# The two engines that are built from source where they cannot be downloaded: Pulumi, and SeaweedFS (the S3 service).

kpb_pulumi=3.274.1
kpb_seaweedfs=7506e5f91cd6
kpb_seaweedfs_image=chrislusf/seaweedfs:4.53

# Drivers of SeaweedFS for databases and clouds that the sandbox has not: a sixth of its compilation. Each registers itself
# when it is imported by name `_`, and nothing else refers to it, so the import can go.
kpb_seaweedfs_drivers='filer/(arangodb|cassandra2?|elastic/v7|etcd|hbase|mongodb|mysql2?|postgres2?|redis[23]?|sqlite|tarantool|tikv|ydb)|credential/postgres|kms/[a-z]+|notification/[a-z_]+|replication/sink/(azure|b2|gcs)sink|storage/backend/rclone_backend|worker/tasks/iceberg'

# without_imports MODULE PATTERN FOLDER: copies a module into FOLDER, without those imports by name `_`, and prints the file for
# `go build -modfile` that has it in the module's place
without_imports() {
  local module="$1" pattern="$2" to="$3" root
  pattern='^[[:space:]]*(import )?_ "[^"]*/weed/('"$pattern"')"'
  rm -rf "$to"
  mkdir -p "$to"
  go mod download "$module" || return 1
  root=$(go list -m -f '{{.Dir}}' "$module") || return 1
  cp -R "$root" "$to/module" && chmod -R u+w "$to/module" || return 1
  grep -rlE --include='*.go' "$pattern" "$to/module/weed" | while read -r file; do
    sed -E "\\#$pattern#d" "$file" >"$file.new" && mv "$file.new" "$file" || return 1
  done
  cp go.mod go.sum "$to" && go mod edit -replace="$module=$to/module" "$to/go.mod" || return 1
  echo "$to/go.mod"
}

# build_engine NAME FOLDER PACKAGE PROGRAM [GO BUILD FLAGS...]: from sandbox/engines/NAME, whose go.mod and go.sum stay as they are
build_engine() {
  local name="$1" folder="$2" package="$3" program="$4" log="$kpb_cache/$1.log"
  shift 4
  if ! command -v go >/dev/null; then
    missing "$name" "$name cannot be downloaded here, and building it needs Go: install Go >= $(sed -n 's/^go //p' "sandbox/engines/$name/go.mod"), or put '$program' on PATH."
    return 1
  fi
  printf '%-28s %s\n' "$name" "building from source, some minutes, once"
  mkdir -p "$folder"
  if ! (cd "sandbox/engines/$name" &&
    GOFLAGS=-mod=readonly CGO_ENABLED=0 go build "$@" -o "$folder/$program.new" "$package") >"$log" 2>&1; then
    missing "$name" "Building $name failed ($log): $(tail -n 1 "$log")"
    return 1
  fi
  mv "$folder/$program.new" "$folder/$program"
}

download_pulumi() {
  local folder="$1" os arch
  os=$(uname -s | tr '[:upper:]' '[:lower:]')
  arch=$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')
  rm -rf "$folder.new"
  mkdir -p "$folder.new"
  curl --fail --silent --location --connect-timeout 5 --max-time 300 \
    "https://get.pulumi.com/releases/sdk/pulumi-v$kpb_pulumi-$os-$arch.tar.gz" |
    tar -xz -C "$folder.new" --strip-components 1 2>/dev/null && [ -x "$folder.new/pulumi" ] || {
    rm -rf "$folder.new"
    return 1
  }
  rm -rf "$folder"
  mv "$folder.new" "$folder"
}

part_pulumi() {
  local start folder="$kpb_cache/pulumi-$kpb_pulumi" version
  start=$(now)
  if [ -x "$folder/pulumi" ]; then
    report "pulumi $kpb_pulumi" "cached" "$start"
    return
  fi
  if command -v pulumi >/dev/null; then
    version=$(pulumi version 2>/dev/null | tr -d v)
    if at_least 3.227 "$version"; then
      report "pulumi $version" "here" "$start"
      return
    fi
  fi
  if download_pulumi "$folder"; then
    report "pulumi $kpb_pulumi" "downloaded" "$start"
    return
  fi
  build_engine pulumi "$folder" github.com/pulumi/pulumi/pkg/v3/cmd/pulumi pulumi \
    -ldflags "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v$kpb_pulumi" || return 1
  report "pulumi $kpb_pulumi" "built" "$start"
}

part_seaweedfs() {
  local start folder="$kpb_cache/seaweedfs-$kpb_seaweedfs"
  start=$(now)
  if [ -x "$folder/weed" ]; then
    report "seaweedfs $kpb_seaweedfs" "cached" "$start"
    return
  fi
  if command -v weed >/dev/null; then
    report seaweedfs "here" "$start"
    return
  fi
  # With Docker Hub in reach the sandbox pulls the published image, and nothing need be built.
  if curl --silent --output /dev/null --connect-timeout 3 --max-time 6 https://registry-1.docker.io/v2/; then
    report seaweedfs "left to the image $kpb_seaweedfs_image" "$start"
    return
  fi
  local module=
  if command -v go >/dev/null; then
    # Whole where this fails: that takes longer, and no more.
    module=$(cd sandbox/engines/seaweedfs && GOFLAGS=-mod=readonly without_imports \
      github.com/seaweedfs/seaweedfs "$kpb_seaweedfs_drivers" "$folder.module" 2>"$kpb_cache/seaweedfs.log") || module=
  fi
  build_engine seaweedfs "$folder" github.com/seaweedfs/seaweedfs/weed weed -ldflags "-s -w" \
    ${module:+-modfile="$module"} || return 1
  rm -rf "$folder.module"
  report "seaweedfs $kpb_seaweedfs" "built" "$start"
}
