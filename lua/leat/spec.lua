-- The kit for an application's specs: `leat test` runs them, docs/testing.md tells how they are written.

local served = require "leat.spec.served"

local M = {}

-- busted's own functions; nil where there is no busted.
local function hooks()
  local ok, busted = pcall(require, "busted")
  return ok and type(busted) == "table" and busted or nil
end

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- A path as the spec has it: from the working directory, from the spec's folder, or from the folder above.
local function find(path, folder)
  for _, candidate in ipairs { path, folder .. "/" .. path, folder .. "/../" .. path } do
    if exists(candidate) then return candidate end
  end
  error(("%s is neither in the working directory nor near the spec"):format(path), 3)
end

--- A server of that application: started before the first `it` of the block, stopped after the last. Before each `it`
--- all clients are gone and the data is what the schema has put there.
--- options: app (a path; also from the spec's folder or the one above), schema and data (likewise, or SQL),
--- program (a command in place of `leat serve`, which has Leat inside),
--- env (variables of the configuration),
--- own_postgres (true: a cluster of its own, which server:postgres may stop).
function M.serve(options)
  local folder = debug.getinfo(2, "S").source:match("^@(.*)/[^/]*$") or "."
  local found = {}
  for key, value in pairs(options) do found[key] = value end
  if found.app then found.app = find(found.app, folder) end
  for _, name in ipairs { "schema", "data" } do
    local given = found[name]
    if given and not given:find("[%s;]") then found[name] = find(given, folder) end
  end
  local server = served.new(found)
  local busted = hooks()
  if not busted then return server:start() end
  busted.setup(function() server:start() end)
  busted.before_each(function() server:reset() end)
  busted.teardown(function() server:stop() end)
  busted.subscribe({ "test", "end" }, function(_, _, status)
    if status ~= "success" and status ~= "pending" then server:show_wires() end
    return nil, true
  end)
  return server
end

return M
