# Node >= 22.18 (it runs TypeScript as it is) and the npm packages.

kpb_node=24.21.0

node_version() { node --version 2>/dev/null | tr -d v; }

part_node() {
  local start arch folder="$kpb_cache/node-$kpb_node"
  start=$(now)
  if at_least 22.18 "$(node_version)"; then
    report "node $(node_version)" "here" "$start"
    return
  fi
  case "$(uname -m)" in
    x86_64) arch=x64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) arch=unknown ;;
  esac
  if [ "$(uname -s)" != Linux ] || [ $arch = unknown ] || ! command -v npm >/dev/null; then
    missing node "Install Node $kpb_node or any Node >= 22.18 from https://nodejs.org and put it on PATH."
    return 1
  fi
  # The package of the architecture is what npm's `node` package fetches in an install script; asked for by its own
  # name it needs no script, so npm's approval of scripts does not matter.
  rm -rf "$folder.new"
  if ! npm install --prefix "$folder.new" --ignore-scripts --no-save "node-linux-$arch@$kpb_node" \
    >"$kpb_cache/node.log" 2>&1; then
    missing node "Node >= 22.18 is missing and npm could not fetch it ($kpb_cache/node.log): install Node $kpb_node."
    return 1
  fi
  rm -rf "$folder"
  mv "$folder.new" "$folder"
  report "node $kpb_node" "installed with npm" "$start"
}

# True when node_modules holds exactly what package-lock.json says. npm writes its own record last, so an interrupted
# installation does not look finished.
npm_is_current() {
  [ -f node_modules/.package-lock.json ] && node -e '
    const read = (file) => JSON.parse(require("fs").readFileSync(file, "utf8")).packages;
    const wanted = read("package-lock.json");
    const found = read("node_modules/.package-lock.json");
    for (const [name, entry] of Object.entries(wanted)) {
      if (name === "" || entry.link || (entry.optional && !found[name])) continue;
      if (found[name]?.version !== entry.version) process.exit(1);
    }
    for (const name of Object.keys(found)) if (!wanted[name]) process.exit(1);
  '
}

part_npm() {
  local start
  start=$(now)
  if npm_is_current; then
    report "npm packages" "here" "$start"
    return
  fi
  if ! npm ci --ignore-scripts >"$kpb_cache/npm.log" 2>&1; then
    missing "npm packages" "npm ci failed ($kpb_cache/npm.log): $(grep -m 1 'npm error' "$kpb_cache/npm.log" || true)"
    return 1
  fi
  report "npm packages" "installed" "$start"
}
