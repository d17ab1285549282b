# The suite `package` of scripts/test: the Debian packages in a bare Debian folder, installed, run, upgraded and removed.
# shellcheck shell=bash
# shellcheck disable=SC2154 # root and work are those of scripts/test

# The mirror that this machine's own packages come from.
debian_mirror() {
  sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\{0,1\}\(http[^ ]*\).*/\2/p' \
    /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep '/debian/*$' | head -n 1
}

# make_packages VERSION: prints the folder in which they are.
make_packages() {
  local folder=$work/packages-$1
  rm -rf "$folder"
  cmake --preset package >/dev/null && cmake --build --preset package -j"$(nproc)" >/dev/null &&
    (cd "$root/build/package" && cpack -D CPACK_PACKAGE_VERSION="$1" -B "$folder" >/dev/null) &&
    rm -rf "$folder/_CPack_Packages" && printf '%s' "$folder"
}

in_debian() {
  chroot "$work/debian" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    DATABASE_URL="$debian_url" "$@"
}

# install_in_debian FOLDER PACKAGE...: each is a file of the folder, or a package of Debian.
install_in_debian() {
  local folder=$1 name
  local -a names=()
  shift
  rm -rf "$work/debian/tmp/packages"
  cp -r "$folder" "$work/debian/tmp/packages"
  for name in "$@"; do
    set -- "$folder/$name"_*.deb
    [ -e "$1" ] && name=/tmp/packages/${1##*/}
    names+=("$name")
  done
  in_debian apt-get install -y -qq --no-install-recommends "${names[@]}"
}

# The service's own command, as a user without rights; it writes its address to a file. Postgres is reached through the
# cluster's socket, which is mounted.
serve_in_debian() {
  rm -f "$work/debian/tmp/address"
  chroot --userspec=nobody:nogroup "$work/debian" /usr/bin/env -i "LEAT_DATABASE_URL=$debian_url" LEAT_DRAIN_MS=1000 \
    "LEAT_LISTEN=${1:-127.0.0.1:0}" /usr/bin/leat serve --address-file /tmp/address &
  debian_server=$!
  local i
  for ((i = 0; i < 200; i++)); do
    [ -s "$work/debian/tmp/address" ] && return
    kill -0 "$debian_server" || return
    sleep 0.1
  done
  return 1
}

stop_in_debian() {
  kill "$debian_server" && wait "$debian_server"
}

page_answers() {
  local address
  address=$(cat "$work/debian/tmp/address")
  curl -fsS "http://$address/healthz" >/dev/null && [[ $(curl -fsS "http://$address/") == *'<title>'* ]]
}

# Clients follow a topic while the package is upgraded and the service is started anew; each has every event at the end.
upgrade_loses_nothing() {
  local address
  address=$(cat "$work/debian/tmp/address")
  node "$root/spec/package/upgrade.js" "ws://$address/ws" "$debian_url_here" "$work/upgraded" &
  local clients=$!
  until [ -e "$work/upgraded.live" ]; do
    kill -0 "$clients" || return
    sleep 0.1
  done
  install_in_debian "$1" leat leat-common && stop_in_debian && serve_in_debian "$address" || return
  : >"$work/upgraded"
  wait "$clients"
}

# builds_in_debian PACKAGE: the smallest program, shared (leat) or static (leat-static). It says "ready".
builds_in_debian() {
  cp "$root/spec/embed/small.c" "$work/debian/tmp/small.c"
  # shellcheck disable=SC2016 # for the shell in there
  in_debian sh -c 'cc -Wall -Wextra -Werror -o /tmp/small /tmp/small.c $(pkg-config --cflags --libs "$1") &&
    [ "$(/tmp/small "$2")" = ready ]' sh "$1" "local leat = require 'leat' return leat.app()"
}

cmake_finds_it_in_debian() {
  printf 'cmake_minimum_required(VERSION 3.13)\nproject(small C)\nfind_package(leat 0.1 REQUIRED)\n%s\n%s\n' \
    'add_executable(small small.c)' 'target_link_libraries(small PRIVATE leat::leat)' >"$work/debian/tmp/CMakeLists.txt"
  # shellcheck disable=SC2016 # for the shell in there
  in_debian sh -c 'cmake -S /tmp -B /tmp/built >/dev/null && cmake --build /tmp/built >/dev/null &&
    [ "$(/tmp/built/small "$1")" = ready ]' sh "local leat = require 'leat' return leat.app()"
}

lua_requires_it_in_debian() {
  in_debian lua5.4 -e 'local server = assert(require("leat.host").start { database = os.getenv "DATABASE_URL",
    listen = "none", app_source = "local leat = require [[leat]] return leat.app()" }) server:stop()'
}

removal_leaves_only_the_configuration() {
  in_debian apt-get remove -y -qq leat leat-common || return
  [ ! -e "$work/debian/usr/bin/leat" ] && [ ! -e "$work/debian/usr/share/leat" ] &&
    [ ! -e "$work/debian/usr/include/leat.h" ] && [ -e "$work/debian/etc/leat/leat.lua" ] &&
    in_debian dpkg --purge leat && [ ! -e "$work/debian/etc/leat" ]
}

prepare_debian() {
  umount -q "$work/debian/run/postgres" || true
  rm -rf "$work/debian"
  debootstrap --variant=minbase --include=ca-certificates bookworm "$work/debian" "$(debian_mirror)" &&
    printf '#!/bin/sh\nexit 101\n' >"$work/debian/usr/sbin/policy-rc.d" && chmod 755 "$work/debian/usr/sbin/policy-rc.d" &&
    mkdir -p "$work/debian/run/postgres" && mount --bind "$cluster_socket" "$work/debian/run/postgres" &&
    chmod 755 "$cluster_socket" && chmod 777 "$cluster_socket"/.s.PGSQL.*[0-9] && cluster_database leat_package
}

# This suite runs only if it is named, because it downloads a Debian.
suite_package() {
  local old new
  if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null; then
    printf '# SKIP: needs root and debootstrap\n'
    return
  fi
  cd "$root" || return
  debian_url='postgresql://postgres@/leat_package?host=/run/postgres'
  old=$(make_packages 0.1.0) && new=$(make_packages 0.1.1) || return
  check "lintian finds nothing" lintian --allow-root --fail-on error,warning "$old"/*.deb
  check "a bare Debian" prepare_debian
  trap 'umount -q "$work/debian/run/postgres"; kill "$debian_server" 2>/dev/null; stop_step' EXIT
  debian_url_here=$(cluster_url leat_package)
  check "the package is installed" install_in_debian "$old" leat leat-common
  check "leat version" in_debian leat version
  check "the manual pages are there" test -s "$work/debian/usr/share/man/man1/leat.1.gz"
  check "bash completes" test -s "$work/debian/usr/share/bash-completion/completions/leat"
  check "leat migrate" in_debian leat migrate --database "$debian_url"
  check "the example's tables" psql -qX -v ON_ERROR_STOP=1 -d "$debian_url_here" -f lua/apps/chat/schema.sql
  check "the service starts without rights" serve_in_debian
  check "it serves the example" page_answers
  check "an upgrade under load loses nothing" upgrade_loses_nothing "$new"
  check "the service stops" stop_in_debian
  check "the library is installed" install_in_debian "$new" libleat0 libleat-dev lua-leat gcc libc6-dev pkg-config cmake make \
    lua5.4
  check "a program is built with it" builds_in_debian leat
  check "a static one, too" builds_in_debian leat-static
  check "CMake finds it" cmake_finds_it_in_debian
  check "Lua finds it" lua_requires_it_in_debian
  check "its manual page is there" test -s "$work/debian/usr/share/man/man3/leat.h.3.gz"
  check "removal leaves only the configuration, and a purge nothing" removal_leaves_only_the_configuration
}
