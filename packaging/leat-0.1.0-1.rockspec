-- The Lua module leat.host, for a Leat that is installed: in this folder's parent,
--
--   luarocks --lua-version 5.4 make packaging/leat-0.1.0-1.rockspec LEAT_DIR=/usr/local
--
-- compiles it against the leat.h and libleat of LEAT_DIR. Debian's package needs none of this: it has the module.
rockspec_format = "3.0"
package = "leat"
version = "0.1.0-1"
description = {
  summary = "The realtime subscription server Leat inside a Lua program",
  detailed = "Topics whose truth is in Postgres: one snapshot, then every event, exactly once. Runs on luv, or by dispatch.",
  license = "MIT",
}
source = { url = "file://leat-0.1.0.tar.gz" } -- `luarocks make` builds what is here
dependencies = { "lua >= 5.4, < 5.5", "lua-cjson >= 2.1" }
external_dependencies = { LEAT = { header = "leat.h", library = "leat" } }
build = {
  type = "builtin",
  modules = {
    ["leat.host"] = "csrc/host/host.lua",
    ["leat.host_core"] = {
      sources = { "csrc/host/host_core.c" },
      libraries = { "leat" },
      incdirs = { "$(LEAT_INCDIR)" },
      libdirs = { "$(LEAT_LIBDIR)" },
    },
  },
}
