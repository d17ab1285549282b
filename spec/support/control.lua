-- The operator's socket of a server under test: a path of its own, and requests to it through the binary and through
-- a plain socket.

local json = require "cjson"
local env = require "spec.support.env"
local process = require "spec.support.process"

local M = {}

--- A path that is short enough for a socket, in a folder of its own.
function M.path()
  local name = os.tmpname()
  os.remove(name)
  assert(os.execute("mkdir -m 755 " .. name))
  return name .. "/control"
end

function M.remove(path)
  assert(os.execute("rm -rf " .. path:match("^(.*)/")))
end

--- Runs `leat WORDS... --control PATH`. Returns exit code, standard output, standard error.
function M.run(path, ...)
  local args = { ... }
  args[#args + 1], args[#args + 2] = "--control", path
  local code, out, err = process.run(env.binary(), { args = args })
  assert(not err:find("Sanitizer", 1, true), err)
  return code, out, err
end

--- The answer of `leat show WORDS...` as a table.
function M.show(path, ...)
  local args = { "show", ... }
  args[#args + 1] = "--json"
  local code, out, err = M.run(path, table.unpack(args))
  assert(code == 0, err)
  return json.decode(out)
end

return M
