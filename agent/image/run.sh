#!/bin/sh
# Process 1 of the container: waits, runs the backup when it is due, waits again. One after the other, so that two
# never overlap. Without SCHEDULE: one backup, then the end, with its exit code.
set -u
state=${AGENT_STATE_DIR:-/dev/shm}
# How long one wait lasts; after each the clock is read again, since it may have been set or the machine suspended.
step=60
child=

# Every running program of ours in the container, also those that `docker exec` has started.
programs() {
  grep -lsa 'agent[.]mjs' /proc/[0-9]*/cmdline | cut -d / -f 3
}

# Process 1 has no default action for signals, and Docker tells nobody else. Each program aborts its upload, within a
# limit of its own; then the container ends.
stop() {
  trap '' TERM INT
  if [ -n "$child" ]; then
    kill -s "$1" "$child" 2>/dev/null
  fi
  if [ $$ -eq 1 ]; then
    for pid in $(programs); do
      [ "$pid" = "$child" ] || kill -s "$1" "$pid" 2>/dev/null
    done
    while [ -n "$(programs)" ]; do sleep 0.2; done
  fi
  [ -z "$child" ] || wait "$child"
  exit "$2"
}
trap 'stop TERM 143' TERM
trap 'stop INT 130' INT

note() {
  echo "$1 $2" >"$state/agent.scheduler.new" && mv "$state/agent.scheduler.new" "$state/agent.scheduler"
}

run_backup() {
  note running "$(date +%s)"
  agent backup &
  child=$!
  wait "$child"
  code=$?
  child=
  # Killed from outside, e.g. for lack of memory, or not even started: it could not leave its result itself.
  if [ "$code" -gt 125 ]; then
    echo "failed $(date +%s) the backup ended with code $code" >"$state/agent.result"
    echo "error: the backup ended with code $code (137: killed, perhaps for lack of memory)" >&2
  fi
  return "$code"
}

if [ -z "${SCHEDULE:-}" ]; then
  run_backup
  exit $?
fi

due=$(agent next) || exit 1
echo "SCHEDULE \"$SCHEDULE\": next backup $(date -u -d "@$due" '+%Y-%m-%dT%H:%M:%SZ')"
while :; do
  note waiting "$due"
  while left=$((due - $(date +%s))) && [ "$left" -gt 0 ]; do
    [ "$left" -lt "$step" ] || left=$step
    sleep "$left" &
    child=$!
    wait "$child"
    child=
  done
  run_backup || echo "the schedule goes on after the failed backup" >&2
  due=$(agent next --after "$due") || exit 1
  echo "next backup $(date -u -d "@$due" '+%Y-%m-%dT%H:%M:%SZ')"
done
