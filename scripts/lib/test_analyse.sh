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

# Not with the thread sanitizer: their Lua recursion is deeper than the 65,536 frames that it can keep.
beyond_tsan='^(script_sandbox|script_load)$'
# Not under valgrind: it computes doubles of 80 bits with 64 (so 0.1 is written with more digits), lacks openat2 (so
# http_file follows no symbolic link), keeps file descriptors for itself (so net_listener waits for ever for their end),
# and is too slow for what script_sandbox measures.
beyond_valgrind='^(wire_json_write|script_lua_json|script_lua_row|http_file|script_sandbox|net_listener)$'
# What crosses threads: the hub and its workers, certificates, keys and files that other threads read, starts and ends.
threaded_specs=(catch_up concurrency drain embed_storm gzip handshake jwks reload revocation tls tls_flows tls_reload)

# The unit tests with the thread sanitizer and under valgrind, and the specs of several threads with the thread sanitizer.
# Programs that embed the library have both.
# Unit tests run one at a time: some look at the queries of the whole cluster.
suite_sanitizers() {
  build tsan
  build valgrind
  cd "$root" || return
  # A second signal ends the server at once: it does not wait for its workers.
  export TSAN_OPTIONS=halt_on_error=0:exitcode=66:report_thread_leaks=0
  check "unit tests with the thread sanitizer" \
    ctest --test-dir build/tsan --output-on-failure --timeout 300 -E "$beyond_tsan"
  check "unit tests under valgrind" \
    ctest --test-dir build/valgrind --output-on-failure --timeout 600 -E "$beyond_valgrind"
  local specs=("${threaded_specs[@]/#/spec/integration/}")
  specs=("${specs[@]/%/_spec.lua}")
  LEAT_BIN=$root/build/tsan/csrc/app/leat busted --lua=lua5.4 --output=TAP --pattern=_spec%.lua$ \
    "${specs[@]}"
  LEAT_BIN=$root/build/valgrind/csrc/app/leat EMBED_ROUNDS=6 \
    EMBED_UNDER='valgrind -q --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=99' \
    busted --lua=lua5.4 --output=TAP spec/integration/embed_storm_spec.lua
}
