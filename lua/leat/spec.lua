-- The kit for an application's specs: `leat test` runs them, docs/testing.md tells how they are written.

local served = require "leat.spec.served"

local M = {}

-- busted's own functions; nil where there is no busted.
local function hooks()
  local ok, busted = pcall(require, "busted")
  return ok and type(busted) == "table" and busted or nil
end

--- A server of that application: started before the first `it` of the block, stopped after the last. Before each `it`
--- all clients are gone and the data is what the schema has put there.
--- options: app (a path), schema (a path, or SQL), env (variables of the configuration),
--- own_postgres (true: a cluster of its own, which server:postgres may stop).
function M.serve(options)
  local server = served.new(options)
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
