# The suite `package` of scripts/test: the Debian packages in a bare Debian that boots in a folder, installed, run by its
# systemd, upgraded and removed; and the image for containers.
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

# --- a Debian that has booted ---

# Boots the folder: systemd is process 1 of namespaces of its own, the network included. So the units run as they are.
# booted is the process's number outside.
boot_debian() {
  local i
  unshare --pid --fork --kill-child --mount --uts --ipc --net --cgroup bash "$root/scripts/lib/boot_folder" "$work/debian" \
    "$cluster_socket" >"$work/boot.log" 2>&1 &
  unshared=$!
  for ((i = 0; i < 150; i++)); do
    booted=$(pgrep -P "$unshared")
    [ -z "$booted" ] || case $(in_booted systemctl is-system-running 2>/dev/null) in
      running | degraded) return ;;
    esac
    kill -0 "$unshared" || break
    sleep 0.2
  done
  cat "$work/boot.log"
  return 1
}

halt_debian() {
  [ -z "${booted:-}" ] || kill -KILL "$booted" 2>/dev/null
  [ -z "${unshared:-}" ] || wait "$unshared" 2>/dev/null
  booted='' unshared=''
}

in_booted() {
  nsenter --target "$booted" --mount --pid --uts --ipc --net --cgroup --root --wd /usr/bin/env -i \
    PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

# A program of this machine in the other one's network.
in_its_network() {
  nsenter --target "$booted" --net "$@"
}

# Ready once the history of the database is confirmed.
gets_ready() {
  local i
  for ((i = 0; i < 100; i++)); do
    in_booted leat show ready >/dev/null 2>&1 && return
    sleep 0.1
  done
  in_booted leat show ready
}

service_runs() {
  printf 'LEAT_DATABASE_URL=%s\nLEAT_DRAIN_MS=1000\n' "$debian_url" >"$work/debian/etc/leat/environment" &&
    in_booted systemctl enable --quiet --now leat && gets_ready && page_answers
}

page_answers() {
  in_its_network curl -fsS http://127.0.0.1:8080/healthz >/dev/null &&
    [[ $(in_its_network curl -fsS http://127.0.0.1:8080/) == *'<title>'* ]]
}

main_pid() {
  in_booted systemctl show --property=MainPID --value leat
}

# has_status NAME VALUE: a line of /proc/PID/status of the service.
has_status() {
  [ "$(in_booted sed -n "s/^$1:[[:space:]]*\([^[:space:]]*\).*/\1/p" "/proc/$(main_pid)/status")" = "$2" ]
}

# No root, no new privileges, system calls filtered, by the unit and by itself; and it cannot write what is not its own.
service_is_confined() {
  has_status NoNewPrivs 1 && has_status Seccomp 2 && ! has_status Uid 0 &&
    in_booted journalctl --quiet --unit=leat --grep='confined landlock=[1-9][0-9]* seccomp=yes' >/dev/null &&
    ! in_booted nsenter --target "$(main_pid)" --mount --setuid "$(in_booted stat -c %u "/proc/$(main_pid)")" \
      touch /etc/leat/touched 2>/dev/null
}

reloads() {
  in_booted systemctl reload leat &&
    until in_booted journalctl --quiet --unit=leat --grep='scripts reloaded' >/dev/null; do sleep 0.1; done
}

# under_load NAME COMMAND...: clients follow a topic and connections come in while the command runs. Each client has every
# event at the end. With NAME sockets no connection was refused, either.
under_load() {
  local name=$1 clients
  shift
  rm -f "$work/upgraded" "$work/upgraded.live"
  in_its_network node "$root/spec/package/upgrade.js" ws://127.0.0.1:8080/ws "$debian_url_here" "$work/upgraded" "$name" &
  clients=$!
  until [ -e "$work/upgraded.live" ]; do
    kill -0 "$clients" || return
    sleep 0.1
  done
  "$@" || return
  : >"$work/upgraded"
  wait "$clients"
}

# The new package's scripts restart the service.
upgrade_in_booted() {
  local before
  before=$(main_pid)
  rm -rf "$work/debian/var/tmp/packages" && cp -r "$1" "$work/debian/var/tmp/packages" &&
    in_booted sh -c 'apt-get install -y -qq --no-install-recommends --allow-downgrades /var/tmp/packages/leat_*.deb /var/tmp/packages/leat-common_*.deb' &&
    [ "$(main_pid)" != "$before" ] && gets_ready
}

service_restarts() {
  in_booted systemctl show --property=NRestarts --value leat
}

# As after a reboot, if Postgres takes longer. systemd's own limit would be five starts in ten seconds.
comes_up_after_postgres() {
  local i code
  cluster_stop && in_booted systemctl restart --no-block leat
  for ((i = 0; i < 300 && $(service_restarts) < 6; i++)); do sleep 0.2; done
  [ "$(service_restarts)" -ge 6 ]
  code=$?
  cluster_start "${cluster_settings[@]}" >/dev/null && open_cluster_socket && [ "$code" = 0 ] && gets_ready && page_answers
}

# The block of the documentation.
sockets_are_held() {
  local block
  # shellcheck disable=SC2016 # the fence of a block
  block=$(sed -n '/^```sh systemd/,/^```$/{/^```/d; /systemctl edit/d; p}' "$root"/docs/*.md "$root"/docs/*/*.md 2>/dev/null)
  in_booted sh -euc "$block" && in_booted systemctl is-active --quiet leat.socket leat &&
    in_booted journalctl --quiet --unit=leat --grep='sockets of the service manager n=1' >/dev/null
}

restart_twice() {
  in_booted systemctl restart leat && gets_ready && in_booted systemctl restart leat && gets_ready
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

# The service and its socket end with the package.
removal_leaves_only_the_configuration() {
  in_booted apt-get remove -y -qq leat leat-common || return
  ! in_booted systemctl is-active --quiet leat && ! in_booted systemctl is-active --quiet leat.socket &&
    [ ! -e "$work/debian/usr/bin/leat" ] && [ ! -e "$work/debian/usr/share/leat" ] &&
    [ ! -e "$work/debian/usr/include/leat.h" ] && [ -e "$work/debian/etc/leat/leat.lua" ] &&
    rm "$work/debian/etc/leat/environment" && in_booted dpkg --purge leat && [ ! -e "$work/debian/etc/leat" ]
}

# Other users reach the cluster, too.
open_cluster_socket() {
  chmod 777 "$cluster_socket"/.s.PGSQL.*[0-9]
}

# Postgres is reached through the cluster's socket, which is mounted.
prepare_debian() {
  umount -q "$work/debian/srv/postgres" || true
  rm -rf "$work/debian"
  debootstrap --variant=minbase --include=ca-certificates bookworm "$work/debian" "$(debian_mirror)" &&
    rm -rf "$work/debian"/var/cache/apt/archives/*.deb && keep_base &&
    mkdir -p "$work/debian/srv/postgres" && mount --bind "$cluster_socket" "$work/debian/srv/postgres" &&
    chmod 755 "$cluster_socket" && open_cluster_socket && cluster_database leat_package &&
    in_debian apt-get install -y -qq --no-install-recommends systemd dbus
}

# --- the container ---

buildah_here() {
  BUILDAH_ISOLATION=chroot buildah --root "$work/containers/store" --runroot "$work/containers/run" "$@"
}

# What is mounted in there would keep the folder.
remove_containers() {
  buildah_here rm --all >/dev/null
  buildah_here rmi --all --force >/dev/null
  umount -q "$work/containers/store/overlay"
  rm -rf "$work/containers"
}

# The bare folder is the image that others are built on: no registry is asked.
keep_base() {
  local container mounted
  command -v buildah >/dev/null || return 0
  [ ! -e "$work/containers" ] || remove_containers
  container=$(buildah_here from scratch) && mounted=$(buildah_here mount "$container") &&
    cp -ax "$work/debian/." "$mounted/" && rm -rf "$mounted"/var/lib/apt/lists/* && base_size=$(du -sm "$mounted" | cut -f1) &&
    buildah_here commit --quiet --rm "$container" localhost/debian:bare
}

# Postgres is in no container, but where it is mounted.
image_is_built() {
  buildah_here build --format docker --pull-never --layers=false --build-arg BASE=localhost/debian:bare \
    --file "$root/packaging/Containerfile" --tag localhost/leat:test "$root" &&
    container=$(buildah_here from --pull-never --volume "$cluster_socket:/srv/postgres" localhost/leat:test) &&
    buildah_here config --env LEAT_DATABASE_URL="$debian_url" --env LEAT_LISTEN=127.0.0.1:0 "$container"
}

image_adds_little() {
  local mounted size
  mounted=$(buildah_here mount "$container") && size=$(du -sm "$mounted" | cut -f1) &&
    printf '# the image adds %d MB to %d MB\n' $((size - base_size)) "$base_size" && [ $((size - base_size)) -lt 60 ]
}

image_says_how_it_is_run() {
  buildah_here inspect --type image localhost/leat:test >"$work/image.json" &&
    grep -q '"User": "10001:10001"' "$work/image.json" && grep -q '"StopSignal": "SIGTERM"' "$work/image.json" &&
    grep -A6 '"Healthcheck"' "$work/image.json" | tr -d ' \n' | grep -q '"CMD","leat","show","ready"'
}

# Its own command, as its own user; then its health check, which fails when the server has gone.
container_serves() {
  local i
  buildah_here run "$container" -- leat serve &
  local server=$!
  for ((i = 0; i < 100; i++)); do
    buildah_here run "$container" -- leat show ready >/dev/null 2>&1 && break
    sleep 0.1
  done
  local summary address pid
  summary=$(buildah_here run "$container" -- leat show summary --json)
  address=$(sed -n 's/.*"address":"\([^"]*\)".*/\1/p' <<<"$summary")
  pid=$(sed -n 's/.*"pid":\([0-9]*\),.*/\1/p' <<<"$summary") # that of this machine: a container of buildah's is a chroot
  [[ $(curl -fsS "http://$address/") == *'<title>'* ]] && [ "$(stat -c %u "/proc/$pid")" = 10001 ]
  local code=$?
  kill -TERM "${pid:-$server}"
  wait "$server" && [ "$code" = 0 ] && ! buildah_here run "$container" -- leat show ready 2>/dev/null
}

check_container() {
  if ! command -v buildah >/dev/null; then
    printf '# SKIP: the container needs buildah\n'
    return
  fi
  ! command -v hadolint >/dev/null || check "hadolint finds nothing" hadolint "$root/packaging/Containerfile"
  check "the image is built" image_is_built
  check "it adds less than 60 MB" image_adds_little
  check "it says how it is run" image_says_how_it_is_run
  check "its container serves, and its health check tells" container_serves
  remove_containers
}

# This suite runs only if it is named, because it downloads a Debian.
suite_package() {
  local old new
  if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null; then
    printf '# SKIP: needs root and debootstrap\n'
    return
  fi
  cd "$root" || return
  debian_url='postgresql://postgres@/leat_package?host=/srv/postgres'
  old=$(make_packages 0.1.0) && new=$(make_packages 0.1.1) || return
  check "lintian finds nothing" lintian --allow-root --fail-on error,warning "$old"/*.deb
  check "a bare Debian" prepare_debian
  trap 'halt_debian; umount -q "$work/debian/srv/postgres"; stop_step' EXIT
  debian_url_here=$(cluster_url leat_package)
  check "the package is installed" install_in_debian "$old" leat leat-common
  check "leat version" in_debian leat version
  check "the manual pages are there" test -s "$work/debian/usr/share/man/man1/leat.1.gz"
  check "the console's page is there" test -s "$work/debian/usr/share/leat/web/console/index.html"
  check "bash completes" test -s "$work/debian/usr/share/bash-completion/completions/leat"
  check "leat migrate" in_debian leat migrate --database "$debian_url"
  check "the example's tables" psql -qX -v ON_ERROR_STOP=1 -d "$debian_url_here" -f lua/apps/chat/schema.sql
  check "it boots" boot_debian
  check "the service runs, and serves the example" service_runs
  check "it has no rights" service_is_confined
  check "it reloads" reloads
  check "it comes up once Postgres does" comes_up_after_postgres
  check "an upgrade under load loses nothing" under_load port upgrade_in_booted "$new"
  check "systemd holds its socket" sockets_are_held
  check "restarts refuse nobody and lose nothing" under_load sockets restart_twice
  check "going back to the version before refuses nobody, either" under_load sockets upgrade_in_booted "$old"
  check "removal leaves only the configuration, and a purge nothing" removal_leaves_only_the_configuration
  halt_debian
  check "the library is installed" install_in_debian "$new" leat-common libleat0 libleat-dev lua-leat gcc libc6-dev pkg-config cmake make \
    lua5.4
  check "a program is built with it" builds_in_debian leat
  check "a static one, too" builds_in_debian leat-static
  check "CMake finds it" cmake_finds_it_in_debian
  check "Lua finds it" lua_requires_it_in_debian
  check "its manual page is there" test -s "$work/debian/usr/share/man/man3/leat.h.3.gz"
  check_container
}
