# The suite `model` of scripts/test: spin searches the models of docs/model. docs/model/checks.txt lists the searches.
# shellcheck shell=bash
# shellcheck disable=SC2154 # root and work are those of scripts/test

# model_run MODEL NAME LEVEL -DNAME[=VALUE]...: searches docs/model/MODEL.pml with these bounds and breakages. LEVEL is
# gcc's optimisation. The folder build/test/model/NAME keeps the output and a counter-example's trail. Succeeds if the
# search ran.
model_run() {
  local model=$1 dir=$work/model/$2 level=$3
  shift 3
  rm -rf "$dir"
  mkdir -p "$dir" && cd "$dir" || return
  {
    cp "$root/docs/model/$model.pml" . &&
      spin -a "$@" "$model.pml" &&
      gcc "$level" -w -DSAFETY -DNOREDUCE -DMEMLIM=1024 -o pan pan.c &&
      timeout 300 ./pan -m10000 -w22
  } >search.log 2>&1
}

# model_holds MODEL NAME OPTION...: the whole state space was searched, and no assertion failed. A search that was cut
# short says so.
model_holds() (
  model_run "$1" "$2" -O1 "${@:3}" || exit
  grep -E 'states, stored$' search.log
  grep -q 'errors: 0$' search.log &&
    ! grep -qiE 'not completed|max search depth|out of memory|hash array' search.log
)

# model_breaks PART MODEL NAME OPTION...: an assertion fails, and its text contains PART. Most of these searches end at
# once, so the program is not optimised.
model_breaks() (
  model_run "$2" "$3" -O0 "${@:4}" || exit
  grep -E 'assertion violated' search.log
  grep -q 'errors: 1$' search.log && grep -qF "$1" <(grep 'assertion violated' search.log)
)

trim() {
  local text
  read -r text <<<"$1"
  printf '%s' "$text"
}

# model_check LINE: one line of checks.txt.
model_check() {
  local model must name options what
  IFS='|' read -r model must name options what <<<"$1"
  model=$(trim "$model") must=$(trim "$must") name=$(trim "$name") what=$(trim "$what")
  read -ra options <<<"$options"
  if [ "$must" = holds ]; then
    check "$what" model_holds "$model" "$name" "${options[@]}"
  else
    check "$what" model_breaks "$must" "$model" "$name" "${options[@]}"
  fi
}

# As many searches at a time as there are processors. Their results are printed in the order of the list.
suite_model() {
  local lines=() i
  mkdir -p "$work/model"
  rm -f "$work/model"/*.result
  mapfile -t lines < <(grep -v -e '^#' -e '^$' "$root/docs/model/checks.txt")
  for i in "${!lines[@]}"; do
    while [ "$(jobs -pr | wc -l)" -ge "$(nproc)" ]; do
      wait -n
    done
    model_check "${lines[i]}" >"$work/model/$i.result" &
  done
  wait
  for i in "${!lines[@]}"; do
    cat "$work/model/$i.result"
  done
}
