# What comes from the system's package manager, in one call. Only programs are installed: no service is left running.

# part, the program that proves it, its Debian package, and whether the sandbox can do without it
kpb_system_parts='
git              git              git                required
ssh-client       ssh-keygen       openssh-client     required
ssh-server       sshd             openssh-server     required
python-venv      python-venv      python3-venv       required
debootstrap      debootstrap      debootstrap        optional
docker-registry  docker-registry  docker-registry    optional
zstd             zstd             zstd               optional
psql             psql             postgresql-client  optional
age              age              age                optional
'

has_program() {
  case "$1" in
    python-venv) kamal_found || python3 -c 'import ensurepip' 2>/dev/null ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

# Prints "root", "sudo" or nothing: how packages may be installed here. Anything that needs sudo asks first.
may_install() {
  command -v apt-get >/dev/null || return 0
  if [ "$(id -u)" = 0 ]; then
    echo root
  elif command -v sudo >/dev/null && [ -t 0 ] && [ -t 2 ]; then
    local answer
    read -r -p "Install with sudo apt-get: $*? [y/N] " answer </dev/tty
    [ "$answer" != y ] || echo sudo
  fi
}

# Packages whose maintainer scripts start a service are told not to; a file made for that stays only while apt runs.
install_packages() {
  local how="$1" policy=/usr/sbin/policy-rc.d made=no sudo=
  shift
  [ "$how" = root ] || sudo=sudo
  if [ ! -e $policy ]; then
    made=yes
    printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
    $sudo chmod 755 $policy
  fi
  local result=0
  {
    $sudo apt-get update &&
      $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
  } </dev/null >"$kpb_cache/apt.log" 2>&1 9>&- || result=$?
  [ $made = no ] || $sudo rm -f $policy
  # With systemd a package enables its service for the next start of the machine, also when it may not start now.
  if [ $result = 0 ] && [ -d /run/systemd/system ]; then
    for package in "$@"; do
      case "$package" in
        openssh-server) $sudo systemctl disable --quiet ssh ssh.socket 2>>"$kpb_cache/apt.log" || true ;;
        docker-registry) $sudo systemctl disable --quiet docker-registry 2>>"$kpb_cache/apt.log" || true ;;
      esac
    done
  fi
  return $result
}

part_system() {
  local start how packages="" required="" part program package need
  start=$(now)
  while read -r part program package need; do
    [ -n "$part" ] || continue
    if ! has_program "$program"; then
      packages="$packages $package"
      [ "$need" = optional ] || required="$required $package"
    fi
  done <<<"$kpb_system_parts"
  if ! engine_answers && ! command -v dockerd >/dev/null && [ "$(uname -s)" = Linux ]; then
    packages="$packages docker.io iptables"
  fi
  if [ -z "$packages" ]; then
    report "system packages" "here" "$start"
    return
  fi
  # shellcheck disable=SC2086 # words on purpose
  how=$(may_install $packages)
  if [ -n "$how" ]; then
    # shellcheck disable=SC2086
    install_packages "$how" $packages || {
      missing "system packages" "apt-get could not install$packages ($kpb_cache/apt.log): install them by hand."
      return 1
    }
    report "system packages" "installed:$packages" "$start"
  elif [ -n "$required" ]; then
    missing "system packages" "Install these with your package manager:$required."
    return 1
  else
    report "system packages" "here, without:$packages" "$start"
  fi
}
