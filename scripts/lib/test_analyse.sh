# The suites `analyse` and `sanitizers` of scripts/test, which run only if named: they take many minutes.
# shellcheck shell=bash
# shellcheck disable=SC2154 # root, work and here are those of scripts/test

need_for_analyse() {
  need clang-tidy clang-tidy
  need cppcheck cppcheck
}

# Every place where gcc's analyser says something is in the log; it must be none.
gcc_has_nothing_to_say() {
  cmake --build "$root/build/analyse" --target leat --clean-first 2>&1 | tee "$work/gcc-analyser.log"
  ! grep -q -- '-Wanalyzer' "$work/gcc-analyser.log"
}

# Three static analysers over csrc. .clang-tidy and cmake/cppcheck.txt name what is left out, with the reasons;
# an exception at one place stands there, with its reason.
suite_analyse() {
  local list=$root/build/analyse/clang
  cmake -S "$root" --preset analyse || return
  mkdir -p "$list"
  sed 's/ -fanalyzer//g' "$root/build/analyse/compile_commands.json" >"$list/compile_commands.json"
  cd "$root" || return
  check "gcc -fanalyzer has nothing to say" gcc_has_nothing_to_say
  check "cppcheck has nothing to say" cppcheck -q -j "$(nproc)" --project="$list/compile_commands.json" \
    --file-filter="*/csrc/*" --enable=warning,portability,performance --inline-suppr --std=c11 \
    --suppressions-list="$root/cmake/cppcheck.txt" --error-exitcode=1
  check "clang-tidy has nothing to say" tidy "$list"
}

tidy() {
  find csrc -name '*.c' | sort | xargs -P "$(nproc)" -n 4 clang-tidy -p "$1" --quiet
}

# The unit tests and the specs once more: with the thread sanitizer, and the unit tests under valgrind.
suite_sanitizers() {
  build tsan
  build valgrind
  cd "$root" || return
  check "unit tests with the thread sanitizer" ctest --test-dir build/tsan --output-on-failure --timeout 300
  check "unit tests under valgrind" ctest --test-dir build/valgrind --output-on-failure --timeout 600
  TSAN_OPTIONS=halt_on_error=0:exitcode=66 LEAT_BIN=$root/build/tsan/csrc/app/leat \
    busted --lua=lua5.4 --output=TAP --pattern=_spec%.lua$ spec/integration
}
