# What scripts/test and scripts/fuzz share: the fuzz targets, and how one of them is run.
# shellcheck shell=bash

# The names of all targets, without fuzz_.
fuzz_targets() {
  find "${root:?}/spec/fuzz" -maxdepth 1 -name 'fuzz_*.c' -printf '%f\n' | sed 's/^fuzz_//; s/\.c$//' | sort
}

# fuzz_run TARGET PREFIX FOLDER ARGUMENT...: runs a target that is built. What it reaches goes to FOLDER, and an input
# that fails to a file whose name begins with PREFIX. It begins with the seeds of the repository.
fuzz_run() {
  local name=$1 prefix=$2 folder=$3 dictionary=$root/spec/fuzz/dictionary/$1.dict
  local options=(-timeout=10 -rss_limit_mb=2048 -artifact_prefix="$prefix")
  shift 3
  [ ! -e "$dictionary" ] || options+=(-dict="$dictionary")
  "$root/build/fuzz/spec/fuzz/fuzz_$name" "${options[@]}" "$@" "$folder" "$root/spec/fuzz/corpus/$name"
}
