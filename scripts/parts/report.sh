# Lines for people: one a part, with its time; one sentence when a part cannot be had.

now() {
  # EPOCHREALTIME (bash >= 5) has a comma in some locales; macOS has bash 3 without it.
  local t="${EPOCHREALTIME:-$(date +%s).000000}"
  t="${t/,/.}"
  echo "$((${t%.*} * 10 + 10#${t#*.} / 100000))"
}

# report PART HOW STARTED: "node 24.21.0            cached       0.0 s"
report() {
  local tenths=$(($(now) - $3))
  printf '%-28s %-34s %5d.%d s\n' "$1" "$2" $((tenths / 10)) $((tenths % 10))
}

# missing PART SENTENCE: what to install by hand
missing() {
  printf '%-28s %s\n' "$1" "$2" >&2
  return 1
}

# at_least WANTED FOUND: compares dotted versions
at_least() {
  [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}
