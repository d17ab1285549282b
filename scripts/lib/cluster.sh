# A private Postgres cluster: its own data folder, its own socket, no TCP. Never the system's.
# shellcheck shell=bash

# cluster_bindir: of another installation than the newest of Debian's.
cluster_bindir=
pg_bindir() {
  local dir best=''
  if [ -n "$cluster_bindir" ]; then
    printf '%s' "$cluster_bindir"
    return
  fi
  for dir in /usr/lib/postgresql/*/bin; do
    [ -x "$dir/initdb" ] && best=$dir
  done
  printf '%s' "$best"
}

# Nothing of the caller's may choose another server.
unset PGHOST PGHOSTADDR PGPORT PGDATABASE PGUSER PGOPTIONS PGSERVICE PGDATA

# Postgres refuses to run as root. A cluster that an ordinary user made stays that user's.
cluster_user=postgres
as_postgres() {
  if [ "$(id -u)" -eq 0 ]; then
    (cd / && runuser -u "$cluster_user" -- "$@")
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

# cluster_place DIR: sets cluster_data and cluster_socket. Both lie in DIR, unless the user that runs Postgres
# cannot get there (a clone in /root), pg_ctl cannot (its shell would read " $ ` and \ in the path), or the path does
# not suit a socket (107 bytes, no comma).
cluster_place() {
  local dir=$1 owner elsewhere
  cluster_data=$dir/pg
  cluster_socket=$dir/run
  mkdir -p "$dir" || die "cannot make the folder $dir"
  if [ "$(id -u)" -eq 0 ] && [ -e "$cluster_data/PG_VERSION" ]; then
    owner=$(stat -L -c %U "$cluster_data/PG_VERSION")
    [ "$owner" = root ] || cluster_user=$owner
  fi
  if ! as_postgres test -x "$dir"; then
    chmod a+x "$dir"
  fi
  if ! as_postgres test -x "$dir" || [[ $dir == *[\"\$\`\\]* ]]; then
    # A link to a folder of its own: who removes DIR has a new cluster next time.
    if [ ! -e "$cluster_data/" ]; then
      elsewhere=$(mktemp -d /var/tmp/leat-XXXXXX) || die "cannot make a folder in /var/tmp"
      chmod 711 "$elsewhere"
      mkdir "$elsewhere/pg"
      ln -sfn "$elsewhere/pg" "$cluster_data"
    fi
    cluster_data=$(readlink -f "$cluster_data")
    cluster_socket=$(dirname "$cluster_data")/run
  fi
  if [ ${#cluster_socket} -gt 85 ] || [[ $cluster_socket == *[!A-Za-z0-9._/\ -]* ]]; then
    cluster_socket=/tmp/leat-$(id -u)-$(short_hash "$cluster_data")
  fi
  mkdir -p "$cluster_data" "$cluster_socket" || die "cannot make the folder $cluster_data"
  # Everybody may have made one in /tmp, or a link to what root is not to give away.
  owner=$(stat -c %U "$cluster_socket")
  if [ -L "$cluster_socket" ] || { [ ! -O "$cluster_socket" ] && [ "$owner" != "$cluster_user" ]; }; then
    die "$cluster_socket is a link, or belongs to another user ($owner)"
  fi
  if [ "$(id -u)" -eq 0 ]; then
    chown "$cluster_user" "$cluster_data" "$cluster_socket"
  fi
  if [ ! -O "$cluster_data" ] && [ "$(id -u)" -ne 0 ]; then
    die "$cluster_data belongs to another user"
  fi
  chmod 700 "$cluster_data" "$cluster_socket" # trusting connections: nobody else's
}

cluster_make() {
  as_postgres test -s "$cluster_data/PG_VERSION" && return
  as_postgres "$(pg_bindir)/initdb" -D "$cluster_data" -U postgres -A trust -E UTF8 \
    --locale=C.UTF-8 --no-sync --no-instructions
}

# What is in its data folder goes; the folder stays.
cluster_wipe() {
  as_postgres find "$cluster_data/" -mindepth 1 -delete
}

# Whether its postmaster runs: not some process that has the number of one that was killed.
cluster_running() {
  local pid
  pid=$(as_postgres head -n 1 "$cluster_data/postmaster.pid" 2>/dev/null) || return
  [ -n "$pid" ] && [ "$(as_postgres readlink "/proc/$pid/cwd" 2>/dev/null)" -ef "$cluster_data" ]
}

# cluster_start [SETTING=VALUE...]: one that runs already, left over from a killed start, is used as it is.
cluster_start() {
  local options setting
  if cluster_running; then
    return
  fi
  as_postgres rm -f "$cluster_data/postmaster.pid"
  options="-c listen_addresses='' -c unix_socket_directories='$cluster_socket' -c unix_socket_permissions=0700"
  for setting in "$@"; do
    options+=" -c $setting"
  done
  as_postgres "$(pg_bindir)/pg_ctl" -D "$cluster_data" -w -t 60 -l "$cluster_socket/postgres.log" \
    -o "$options" start || {
    as_postgres tail -n 5 "$cluster_socket/postgres.log" 2>/dev/null
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
