# A private Postgres cluster: its own data folder, its own socket, no TCP. Never the system's.
# shellcheck shell=bash

pg_bindir() {
  local dir best=''
  for dir in /usr/lib/postgresql/*/bin; do
    [ -x "$dir/initdb" ] && best=$dir
  done
  printf '%s' "$best"
}

# Postgres refuses to run as root.
as_postgres() {
  if [ "$(id -u)" -eq 0 ]; then
    (cd / && runuser -u postgres -- "$@")
  else
    "$@"
  fi
}

url_escape() {
  local LC_ALL=C text=$1 out='' c i
  for ((i = 0; i < ${#text}; i++)); do
    c=${text:i:1}
    case $c in
      [A-Za-z0-9._~/-]) out+=$c ;;
      *) out+=$(printf '%%%02X' "'$c") ;;
    esac
  done
  printf '%s' "$out"
}

short_hash() {
  printf '%s' "$1" | cksum | cut -d' ' -f1
}

# cluster_place DIR: sets cluster_data and cluster_socket. Both lie in DIR, unless the user that runs
# Postgres cannot get there (a clone in /root), or the path is too long for a socket (107 bytes).
cluster_place() {
  local dir=$1 hash
  hash=$(short_hash "$dir")
  cluster_data=$dir/pg
  cluster_socket=$dir/run
  mkdir -p "$dir" || die "cannot make the folder $dir"
  if ! as_postgres test -x "$dir"; then
    cluster_data=/var/tmp/leat-$hash/pg
    cluster_socket=/var/tmp/leat-$hash/run
  fi
  if [ ${#cluster_socket} -gt 85 ]; then
    cluster_socket=/tmp/leat-$hash
  fi
  mkdir -p "$cluster_data" "$cluster_socket" || die "cannot make the folder $cluster_data"
  if [ "$(id -u)" -eq 0 ]; then
    chown postgres "$cluster_data" "$cluster_socket"
    chmod 755 "$(dirname "$cluster_data")"
  fi
  [ -w "$cluster_data" ] || die "$cluster_data belongs to another user"
  chmod 700 "$cluster_data"
  chmod 755 "$cluster_socket"
}

cluster_make() {
  as_postgres test -s "$cluster_data/PG_VERSION" && return
  as_postgres "$(pg_bindir)/initdb" -D "$cluster_data" -U postgres -A trust -E UTF8 \
    --locale=C.UTF-8 --no-sync --no-instructions
}

cluster_running() {
  as_postgres "$(pg_bindir)/pg_ctl" -D "$cluster_data" status >/dev/null 2>&1
}

# cluster_start [SETTING=VALUE...]: one that runs already, left over from a killed start, is used as it is.
cluster_start() {
  local options setting
  cluster_running && return
  options="-c listen_addresses='' -c unix_socket_directories='$cluster_socket'"
  for setting in "$@"; do
    options+=" -c $setting"
  done
  as_postgres "$(pg_bindir)/pg_ctl" -D "$cluster_data" -w -t 60 -l "$cluster_socket/postgres.log" \
    -o "$options" start || {
    tail -n 5 "$cluster_socket/postgres.log" 2>/dev/null
    return 1
  }
}

cluster_stop() {
  cluster_running || return 0
  as_postgres "$(pg_bindir)/pg_ctl" -D "$cluster_data" -w -m fast stop >/dev/null 2>&1
}

# cluster_url DATABASE: as its superuser.
cluster_url() {
  printf 'postgresql://postgres@/%s?host=%s' "$1" "$(url_escape "$cluster_socket")"
}

cluster_psql() {
  psql -XAtq -v ON_ERROR_STOP=1 -d "$1" "${@:2}"
}

# cluster_database NAME: makes it if it is not there.
cluster_database() {
  local there
  there=$(cluster_psql "$(cluster_url postgres)" -c \
    "select 1 from pg_database where datname = '$1'") || return
  [ -n "$there" ] || cluster_psql "$(cluster_url postgres)" -c "create database $1"
}
