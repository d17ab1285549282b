-- What `cmake --install` of the build under test makes, in a folder of its own, and commands that run there: as a
-- program's author meets it.
local env = require "spec.support.env"
local loop = require "spec.support.loop"
local process = require "spec.support.process"

local M = {}

local LIMIT_MS = 120000
local BUILD = env.binary():match("^(.*)/csrc/app/leat$")

--- Installs the tree below a new folder. `variables` is the environment of run.
function M.install(variables)
  local folder = os.tmpname()
  os.remove(folder)
  folder = folder .. "_embed"
  assert(os.execute("mkdir " .. folder))
  local tree = setmetatable({ folder = folder, variables = variables }, { __index = M })
  tree:place(folder .. "/tree")
  tree:run("cmake --install " .. BUILD .. " --prefix " .. folder .. "/tree", 0)
  return tree
end

--- The tree lies at this path from now on.
function M:place(prefix)
  self.prefix = prefix
  self.variables.PKG_CONFIG_PATH = prefix .. "/lib/pkgconfig"
  self.variables.LD_LIBRARY_PATH = prefix .. "/lib"
end

--- Runs a shell command in the folder, and fails unless it ends with the code `expected`, if that is given.
function M:run(command, expected, limit_ms)
  local p = process.spawn("/bin/sh", { args = { "-c", command }, env = self.variables, cwd = self.folder })
  loop.eventually(function() return not p:running() end, limit_ms or LIMIT_MS, command)
  if expected then assert(p.code == expected, command .. "\n" .. p:output()) end
  return p
end

function M:remove()
  os.execute("rm -rf " .. self.folder)
end

return M
