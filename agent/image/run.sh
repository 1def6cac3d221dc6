#!/bin/sh
# Process 1 of the container: waits, runs the backup when it is due, waits again. One after the other, so that two
# never overlap. A run that is due while someone's backup by hand is under way waits for that one, which counts as the run
# if it is good and not older than the due time; else the run makes its own. A run that was due while there was no
# container is made up for, once. Without SCHEDULE: one backup, then the end, with its exit code.
set -u
state=${AGENT_STATE_DIR:-/dev/shm}
# How long one wait lasts; after each the clock is read again, since it may have been set or the machine suspended.
step=60
# Seconds until "agent wal" is started again when it has ended.
again=10
child=
# What keeps "agent wal" running, where point-in-time recovery is switched on.
keeper=
# Seconds that one run may take; "agent next" says how many.
limit=21600

# Every running agent in the container, also those that `docker exec` has started.
programs() {
  grep -lsa 'agent[.]cjs' /proc/[0-9]*/cmdline | cut -d / -f 3
}

# Process 1 has no default action for signals, and Docker signals nobody else. Each program aborts its upload, within a
# limit of its own; then the container ends.
stop() {
  trap '' TERM INT
  # First, since it would start it again.
  [ -z "$keeper" ] || kill -s TERM "$keeper" 2>/dev/null
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
  [ -z "$keeper" ] || wait "$keeper"
  exit "$2"
}
trap 'stop TERM 143' TERM
trap 'stop INT 130' INT

note() {
  echo "$1 $2" >"$state/agent.scheduler.new" && mv "$state/agent.scheduler.new" "$state/agent.scheduler"
}

# run_backup [OPTION...]
run_backup() {
  note running "$(date +%s) $limit"
  # It ends by itself at its limit; this is for one that cannot.
  timeout --kill-after=30 $((limit + 90)) agent backup "$@" &
  child=$!
  wait "$child"
  code=$?
  child=
  if [ "$code" -eq 124 ]; then
    echo "failed $(date +%s) the backup did not end within $limit s and was stopped" >"$state/agent.result"
    echo "error: the backup did not end within $limit s and was stopped" >&2
  fi
  # Killed from outside, e.g. for lack of memory, or not even started: it could not leave its result itself.
  if [ "$code" -gt 125 ]; then
    echo "failed $(date +%s) the backup ended with code $code" >"$state/agent.result"
    echo "error: the backup ended with code $code (137: killed, perhaps for lack of memory)" >&2
    timeout 60 agent notify --killed "the backup ended with code $code (137: killed, perhaps for lack of memory)" &
    child=$!
    wait "$child"
    child=
  fi
  return "$code"
}

# wait_until EPOCH
wait_until() {
  while left=$(($1 - $(date +%s))) && [ "$left" -gt 0 ]; do
    [ "$left" -lt "$step" ] || left=$step
    sleep "$left" &
    child=$!
    wait "$child"
    child=
  done
}

# plan [--after EPOCH]: sets `due`, when the schedule says, and `start`, which is later by a random delay.
plan() {
  next=$(agent next "$@") || exit 1
  read -r due start most <<NEXT
$next
NEXT
  limit=${most:-$limit}
  echo "next backup $(utc "$start")"
}

# Stores the WAL as it comes, and begins again whatever ends it: a killed one goes on where it was.
keep_wal() {
  trap 'trap "" TERM; kill -s TERM "$wal" 2>/dev/null; wait "$wal"; exit' TERM
  while :; do
    agent wal &
    wal=$!
    wait "$wal"
    echo "error: agent wal ended with code $? (137: killed, perhaps for lack of memory) and is started again" >&2
    sleep "$again" &
    wal=$!
    wait "$wal"
  done
}

utc() {
  date -u -d "@$1" '+%Y-%m-%dT%H:%M:%SZ'
}

# `**None**` is how the old image's ancestors write an empty value.
case ${SCHEDULE:-} in
  '' | '**None**')
    run_backup
    exit $?
    ;;
esac

# What a restore has left that was killed with an earlier container: the whole database in clear, before it had no name.
if [ $$ -eq 1 ]; then
  rm -rf /scratch/restore-*
fi
if [ -n "${RESTORE_SCRATCH_DIR:-}" ]; then
  rm -rf "$RESTORE_SCRATCH_DIR"/restore-*
fi

echo "SCHEDULE \"$SCHEDULE\""
plan
note waiting "$start"
if [ -n "${POINT_IN_TIME_KEEP_DAYS:-}" ]; then
  date +%s >"$state/agent.wal"
  keep_wal &
  keeper=$!
fi
# In the background, since a signal is heeded only while the shell waits.
timeout 60 agent missed >"$state/agent.missed" &
child=$!
wait "$child" || echo "whether a run was missed is not known; the schedule goes on" >&2
child=
read -r late <"$state/agent.missed" || late=
if [ -n "$late" ] && [ "$late" -lt "$start" ]; then
  note waiting "$late"
  wait_until "$late"
  run_backup --scheduled --catch-up || echo "the schedule goes on after the failed backup" >&2
  plan
fi
while :; do
  note waiting "$start"
  wait_until "$start"
  run_backup --scheduled || echo "the schedule goes on after the failed backup" >&2
  plan --after "$due"
done
