# What scripts/dev, scripts/test and scripts/bench share: messages, steps, packages, the build.
# shellcheck shell=bash

umask go-w # nobody else is to put anything among what is built and run
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
step_pid=
step_is_quick=
work=${TMPDIR:-/tmp} # for logs; each script names its own

say() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die() {
  say "$*"
  exit 1
}

# step WHAT LOG COMMAND...: runs a command in the background and waits for it, so that a signal ends the wait at once.
# The output goes to the file LOG. It is printed if the command fails.
step() {
  local what=$1 log=$2
  shift 2
  mkdir -p "$(dirname "$log")"
  # The command has a process group of its own, which stop_step ends. A quick step stays in the terminal's group, because
  # sudo may ask for a password.
  [ -n "$step_is_quick" ] || set -m
  "$@" >"$log" 2>&1 </dev/null 9>&- & # 9: the lock of scripts/dev is not for servers to inherit
  step_pid=$!
  set +m
  if wait "$step_pid"; then
    step_pid=
    return
  fi
  step_pid=
  tail -n 40 "$log" >&2
  die "$what failed (all of it: $log)"
}

# quick_step WHAT LOG COMMAND...: as step, for a short command that must not be stopped in the middle (an installation, a
# server's start). stop_step waits for its end.
quick_step() {
  step_is_quick=1
  step "$@"
  step_is_quick=
}

# Ends the step that runs, if there is one. For the end of a script.
stop_step() {
  [ -n "$step_pid" ] || return
  [ -n "$step_is_quick" ] || kill -- "-$step_pid" 2>/dev/null
  wait "$step_pid" 2>/dev/null
  step_pid=
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    say "packages are missing and there is no sudo: run as root: $*"
    return 1
  fi
}

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# first_known NAME|NAME...: prints the first name that is a package of this Debian, else the last one.
first_known() {
  local name
  for name in ${1//|/ }; do
    if [ "$name" = "${1##*|}" ] || apt-cache show "$name" >/dev/null 2>&1; then
      break
    fi
  done
  printf '%s\n' "$name"
}

# install_packages NAME...: NAME|NAME stands for the first that there is.
install_packages() {
  local name names code switch=/etc/postgresql-common/createcluster.d/leat.conf policy=/usr/sbin/policy-rc.d
  # Debian's postgresql makes and starts a cluster of its own unless it is told not to.
  if is_installed postgresql-common; then
    switch=
  else
    as_root mkdir -p "$(dirname "$switch")" || return
    printf 'create_main_cluster = off\n' | as_root tee "$switch" >/dev/null || return
  fi
  # Nor is a service of any other package to start.
  if [ -e "$policy" ]; then
    policy=
  else
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && as_root chmod 755 "$policy" || return
  fi
  as_root apt-get update -qq &&
    mapfile -t names < <(for name in "$@"; do first_known "$name"; done) &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      -o DPkg::Lock::Timeout=300 "${names[@]}"
  code=$?
  [ -z "$switch" ] || as_root rm -f "$switch"
  [ -z "$policy" ] || as_root rm -f "$policy"
  return "$code"
}

# need COMMAND-OR-EMPTY PACKAGE...: collects the packages that are missing. If the command is there already, no package is
# needed.
missing=()
need() {
  local command=$1 package
  shift
  if [ -n "$command" ] && command -v "$command" >/dev/null; then
    return
  fi
  for package in "$@"; do
    is_installed "$package" || missing+=("$package")
  done
}

install_missing() {
  [ ${#missing[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || die "needs Debian's packages: ${missing[*]}"
  say "installing ${missing[*]}"
  # sudo may have to ask for a password: in the foreground, with the terminal.
  [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null || sudo -v || die "cannot install packages"
  quick_step "installing packages" "$work/install.log" install_packages "${missing[@]}"
  missing=()
}

need_for_build() {
  need '' libuv1-dev libpq-dev liblua5.4-dev libssl-dev libcurl4-openssl-dev zlib1g-dev libnanopb-dev nanopb libc6-dev lua-cjson
  need cc gcc
  need cmake cmake
  need ninja ninja-build
  need pkg-config pkg-config
  need lua5.4 lua5.4
  need psql postgresql-client
  [ -n "$(pg_bindir)" ] || need '' postgresql
  [ -e /usr/share/llhttp/llhttp.c ] || is_installed libllhttp-dev || need '' 'libllhttp-dev|node-llhttp'
}

# build PRESET [TARGET...]: one build of a preset at a time; another one waits.
build() {
  local preset=$1 lock
  shift
  mkdir -p "$root/build"
  exec {lock}>"$root/build/$preset.lock"
  flock "$lock"
  step "configuring the build" "$work/configure-$preset.log" \
    cmake -S "$root" --preset "$preset"
  if [ $# -gt 0 ]; then
    step "the build" "$work/build-$preset.log" \
      cmake --build "$root/build/$preset" --target "$@"
  else
    step "the build" "$work/build-$preset.log" cmake --build "$root/build/$preset"
  fi
  exec {lock}>&-
}

# npm_ci DIR: npm trusts the certificates that Debian trusts: some networks have an authority of their own.
npm_ci() {
  NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt} \
    npm ci --prefix "$1" --loglevel=error --no-audit --no-fund --prefer-offline --fetch-retries=1
}
