-- Somebody runs the migrations of a newer version while this server runs. It goes on if the schema says that it may.
-- Otherwise it delivers nothing more, says so, and goes on where it was once the schema goes with it.

local fixtures = require "spec.support.fixtures"
local follower = require "spec.support.follower"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"

describe("a running server whose schema is upgraded", function()
  local s, f

  before_each(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema,
      env = { LEAT_WORKERS = 1, LEAT_COMPARE_INTERVAL_MS = 200 },
      log = { "schema too new", "listener lost", "connection lost" } }
    f = follower.new("room:1"):on(s:connect { token = "alice" })
    f:await(function() return f.snapshots == 1 end)
  end)
  after_each(function() s:close() end)

  local function migrate(oldest_server)
    s.session:run(("insert into leat_internal.migration values (9000, '9000_future.sql', default, %d)")
      :format(oldest_server))
  end

  -- As if a version that fits had been put in its place.
  local function make_it_fit()
    s.session:run "update leat_internal.migration set oldest_server = 1 where version = 9000"
  end

  local function await_readiness(status, line)
    local answer
    loop.eventually(function()
      answer = http.request(s.server, "/readyz?verbose")
      return answer.status == status and answer.body:find(line)
    end, 15000, function() return ("status %d and %s: %s"):format(status, line, answer.body) end)
  end

  local function assert_refuses()
    await_readiness(503, "\nschema: version 9000 is newer than this leat, which knows %d+: use the newer leat\n")
    assert.equal(1, metrics.value(s.server, "leat_schema_too_new"))
    s.server:await_log "ERROR hub schema too new, nothing is delivered version=9000 known=%d+"
  end

  it("goes on if the schema is for it, too", function()
    migrate(1)
    local asked = s.session:value "select now()"
    loop.eventually(function()
      return s.session:value(("select count(*) from pg_stat_activity where application_name = 'leat repair'"
        .. " and query_start > %s::timestamptz and query like '%%problems()%%'"):format(s.session:quote(asked))) ~= "0"
    end, 15000, "a look at the schema")

    s.session:run "select leat.publish('room:1', '1')"

    f:await(function() return f.events == 1 end)
    assert.equal(0, metrics.value(s.server, "leat_schema_too_new"))
  end)

  for name, happens in pairs {
    ["after a while"] = function() end,
    ["when its listener comes back"] = function()
      s.session:run [[select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'leat listener']]
    end,
  } do
    it("finds out " .. name .. " that it needs a newer one, and delivers nothing", function()
      migrate(9000)
      happens()
      assert_refuses()

      s.session:run "select leat.publish('room:1', '1')"
      local late = s:connect { token = "alice" }
      late:send { op = "subscribe", id = 1, topic = "room:2", timeout_ms = 2000 }
      assert.equal("unavailable", late:recv().code)
      assert.equal(0, f:catch_up().events)

      make_it_fit()
      await_readiness(200, "schema: ok")
      f:await(function() return f.events == 1 end)
      assert.same({ 1, 0 }, { f.snapshots, metrics.value(s.server, "leat_schema_too_new") })
      s.server:await_log "schema goes with this server again"
    end)
  end
end)
