# The suite `bare` of scripts/test: scripts/dev on a machine that has nothing but Debian's smallest system, in a folder.
# shellcheck shell=bash
# shellcheck disable=SC2154 # root and work are those of scripts/test

# A user `ann`, who may use sudo, has these sources.
prepare_bare() {
  rm -rf "$work/bare"
  debootstrap --variant=minbase --include=sudo bookworm "$work/bare" "$(debian_mirror)" >"$work/debootstrap.log" &&
    cp /etc/resolv.conf /etc/hosts "$work/bare/etc/" && chroot "$work/bare" useradd --create-home ann &&
    printf 'ann ALL=(ALL) NOPASSWD: ALL\n' >"$work/bare/etc/sudoers.d/ann" && mkdir "$work/bare/home/ann/leat" &&
    tar -C "$root" --exclude=./build --exclude=./.dev --exclude=./.git --exclude=node_modules -c . |
    tar -C "$work/bare/home/ann/leat" -x &&
    chroot "$work/bare" chown -R ann: /home/ann
}

# What a newcomer does: starts scripts/dev, waits for `ready`, looks at the page, stops it. There is no curl.
# shellcheck disable=SC2016 # for the shell in there
visit='cd /home/ann/leat || exit
  coproc dev { exec scripts/dev --listen 127.0.0.1:0 2>&1; }
  pid=$dev_PID
  while read -r -t 900 -u "${dev[0]}" line; do
    printf "# %s\n" "$line"
    [[ $line != "ready http://"* ]] || break
  done
  address=${line#ready http://}
  exec 3<>"/dev/tcp/${address%:*}/${address##*:}" && printf "GET / HTTP/1.0\r\n\r\n" >&3 && page=$(cat <&3)
  kill "$pid" && wait "$pid" && [[ $page == *"<title>"* ]]'

# serves_in_bare USER: with processes and mounts of its own, so that nothing is left.
serves_in_bare() {
  # shellcheck disable=SC2016 # for the shell in there
  unshare --mount --pid --fork --kill-child bash -c 'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" &&
    exec chroot "$1" setpriv --reuid="$2" --regid="$2" --init-groups env -i PATH="$PATH" HOME="/home/$2" bash -c "$3"' \
    bash "$work/bare" "$1" "$visit"
}

# This suite runs only if it is named, because it downloads a Debian and a compiler.
suite_bare() {
  if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null; then
    printf '# SKIP: needs root and debootstrap\n'
    return
  fi
  check "a bare Debian" prepare_bare
  check "scripts/dev installs what it needs with sudo, and serves" serves_in_bare ann
  check "a second time, too" serves_in_bare ann
  check "and as root" serves_in_bare root
  rm -rf "$work/bare"
}
