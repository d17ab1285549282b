# The suite `wycheproof` of scripts/test: the test vectors of Project Wycheproof for the algorithms of tokens.
# shellcheck shell=bash
# shellcheck disable=SC2154 # root and work are those of scripts/test

# wycheproof_vectors DIR: puts the sources of the crate into DIR. The manifest is copied, because cargo writes beside it.
wycheproof_vectors() {
  local dir=$1
  rm -rf "$dir" && mkdir -p "$dir" && cp "$root/spec/wycheproof/Cargo.toml" "$dir/" && : >"$dir/empty.rs" || return
  (cd "$dir" && cargo vendor --quiet --versioned-dirs sources) >"$dir/cargo.log" 2>&1
}

# Runs only if named: it needs cargo and its registry, for a crate of 3 MB.
suite_wycheproof() {
  local dir=$work/wycheproof found
  build dev wycheproof_verify
  export LEAT_WYCHEPROOF_VERIFY=$root/build/dev/spec/wycheproof/wycheproof_verify
  [ ! -d "$HOME/.cargo/bin" ] || PATH=$PATH:$HOME/.cargo/bin
  if ! command -v cargo >/dev/null; then
    export LEAT_WYCHEPROOF_REASON="there is no cargo"
  elif wycheproof_vectors "$dir"; then
    found=("$dir"/sources/wycheproof-*/src/data)
    export LEAT_WYCHEPROOF=${found[0]}
  else
    export LEAT_WYCHEPROOF_REASON="the crate could not be had, see $dir/cargo.log"
  fi
  cd "$root" || return
  busted --lua=lua5.4 --output=TAP --pattern=_spec%.lua$ spec/wycheproof
}
