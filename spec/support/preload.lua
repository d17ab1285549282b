-- Loaded once, before busted gives each file modules of its own: C libraries do not like to be loaded twice.

local uv = require "luv"
require "cjson"
require "luasql.postgres"

-- Longer than the kit's own limit: specs run side by side here, with sanitizers. Only one that fails waits for so long.
require("leat.spec.loop").LIMIT_MS = 30000

-- Programs of specs (spec.serve, program) find leat.host in the build tree. Stock Lua knows nothing of sanitizers with
-- which the library may be built.
local build = (os.getenv "LEAT_BIN" or ""):match "^(.*)/csrc/app/leat$"
local library = build and io.open(build .. "/csrc/host/leat/host_core.so", "rb")
if library then
  local text = library:read "a"
  library:close()
  local asan, ubsan = text:match "libasan%.so%.%d+", text:match "libubsan%.so%.%d+"
  local variables = {
    LUA_PATH = build .. "/csrc/host/?.lua;;",
    LUA_CPATH = build .. "/csrc/host/?.so;;",
    LD_PRELOAD = asan and ubsan and asan .. ":" .. ubsan,
    ASAN_OPTIONS = asan and "detect_leaks=0",
  }
  for name, value in pairs(variables) do uv.os_setenv("LEAT_TEST_PROGRAM_" .. name, value) end
end
