-- A watch that stops firing while the server runs: an operator is told.

local fixtures = require "spec.support.fixtures"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"

describe("a watch whose triggers were switched", function()
  local s

  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema, env = { LEAT_COMPARE_INTERVAL_MS = 200 },
      log = { "schema leat has a problem" } }
    s.session:run "select leat.watch('notes', 'room:{room_id}')"
  end)
  lazy_teardown(function() s:close() end)

  local function await_problems(is_so)
    loop.eventually(function() return is_so(metrics.value(s.server, "leat_schema_problems")) end, nil,
      "problems to be counted")
  end

  for name, statement in pairs {
    ["off"] = "alter table notes disable trigger all",
    ["to fire for local changes only"] = "alter table notes enable trigger all",
  } do
    it(name .. " is told of, until it is mended", function()
      await_problems(function(n) return n == 0 end)
      local first = #s.server.log + 1

      s.session:run(statement)

      await_problems(function(n) return n > 0 end)
      local line = s.server:await_log("schema leat has a problem (.*)", first)
      assert.truthy(line:find("notes", 1, true))
      assert.truthy(line:find("leat.watch", 1, true))
      s.session:run "select leat.watch('notes', 'room:{room_id}')"
      await_problems(function(n) return n == 0 end)
      s.server:await_log("schema leat has no problems any more", first)
    end)
  end
end)
