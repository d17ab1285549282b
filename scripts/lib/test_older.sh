# The server of the schema before this one, for the spec of an upgrade.
# shellcheck shell=bash
# shellcheck disable=SC2154 # root and work are those of scripts/test

# older_commit: the newest commit that lacks a migration, while those that it has are as they are now: one that is not
# released yet may have been changed. Fails where the history is not at hand.
older_commit() {
  local commit
  for commit in $(git -C "$root" log --format=%H -- config/schema 2>/dev/null); do
    commit=$(git -C "$root" rev-parse --verify --quiet "$commit^") || return
    git -C "$root" diff --quiet --diff-filter=A "$commit" HEAD -- config/schema && continue
    git -C "$root" diff --quiet --diff-filter=a "$commit" HEAD -- config/schema || continue
    printf '%s' "$commit"
    return
  done
  return 1
}

# build_older: builds that commit's server, once, and exports its path. Without the history the variable stays unset, and
# the spec says so.
build_older() {
  local commit dir=$work/older
  commit=$(older_commit) || return 0
  if [ "$(cat "$dir/commit" 2>/dev/null)" != "$commit" ]; then
    rm -rf "$dir" && mkdir -p "$dir/source" || return
    git -C "$root" archive "$commit" | tar -x -C "$dir/source" || return
    # Not optimised: that compiles faster.
    step "configuring the older server" "$work/configure-older.log" \
      cmake -S "$dir/source" -B "$dir/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O0
    step "building the older server" "$work/build-older.log" \
      cmake --build "$dir/build" --target leat
    printf '%s' "$commit" >"$dir/commit"
  fi
  export LEAT_OLDER_BIN=$dir/build/csrc/app/leat
}
