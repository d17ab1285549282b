# What scripts/test needs: a command, and the packages of Debian that have it.
# shellcheck shell=bash

need_for_test() {
  need_for_build
  need '' lua-busted lua-luv lua-sql-postgres lua-cjson lua-zlib lua-dbi-postgresql libcmocka-dev
  need luacheck lua-check
  need clang clang
  need mold mold
  need clang-format clang-format
  need shellcheck shellcheck
  need spin spin # and gcc, of need_for_build, for the program that it makes
  [ -n "$(compgen -G '/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a')" ] ||
    need '' libclang-rt-dev
  need pkill procps
  need pgbouncer pgbouncer
  need promtool prometheus
  need openssl openssl
  need readelf binutils
  need c++ g++
  need make make # CMake's own choice, for those who build with the installed library
  need curl curl
  need node nodejs
  need npm npm
  need chromium chromium
  ! apt-cache show chromium-headless-shell >/dev/null 2>&1 || need chromium-headless-shell chromium-headless-shell
}
