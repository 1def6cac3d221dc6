# A Docker engine that answers. A docker client on PATH proves nothing.

engine_answers() { command -v docker >/dev/null && docker info >/dev/null 2>&1; }

# dockerd refuses to start while its pid file names any living process, also one that got the number later.
drop_stale_pid_file() {
  local file="$1" name="$2" pid
  [ -f "$file" ] || return 0
  pid=$(cat "$file")
  if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != "$name" ]; then
    echo "removing the stale $file of process $pid" >>"$kpb_cache/dockerd.log"
    rm -f "$file"
  fi
}

part_docker() {
  local start deadline log="$kpb_cache/dockerd.log"
  start=$(now)
  if engine_answers; then
    report "docker engine" "$(docker info --format '{{.ServerVersion}}') here" "$start"
    return
  fi
  if ! command -v dockerd >/dev/null; then
    missing "docker engine" "No Docker engine answers: start Docker Desktop, or install Docker Engine, and try again."
    return 1
  fi
  if [ "$(id -u)" != 0 ]; then
    missing "docker engine" "No Docker engine answers 'docker info' as $(id -un): start it (sudo systemctl start docker) and add yourself to the group docker."
    return 1
  fi
  if [ -d /run/systemd/system ]; then
    systemctl start docker 9>&- >>"$log" 2>&1 || true
  else
    drop_stale_pid_file /var/run/docker.pid dockerd
    drop_stale_pid_file /var/run/docker/containerd/containerd.pid containerd
    # Without the set-up's lock, which it would hold for as long as it lives.
    setsid nohup dockerd </dev/null >>"$log" 2>&1 9>&- &
  fi
  deadline=$(($(now) + 400))
  until engine_answers; do
    if [ "$(now)" -gt $deadline ]; then
      missing "docker engine" "dockerd did not answer in 40 s; see $log: $(tail -n 1 "$log")"
      return 1
    fi
    sleep 0.2
  done
  report "docker engine" "$(docker info --format '{{.ServerVersion}}') started" "$start"
}
