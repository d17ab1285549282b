-- Behind PgBouncer, as it is after an installation: session mode needs nothing, transaction mode a listen_url.

local fixtures = require "spec.support.fixtures"
local loop = require "spec.support.loop"
local pgbouncer = require "spec.support.pgbouncer"
local stage = require "spec.support.stage"

if not pgbouncer.program() then
  describe("PgBouncer", function()
    pending("is not installed")
  end)
  return
end

local APP = fixtures.app:gsub("return app%s*$", [[
app:method("formats", function(ctx)
  return ctx.db:one("select '\\x41'::bytea as b, interval '1 day' as i, date '2001-02-03' as d")
end)
app:method("reset", function(ctx)
  ctx.db:exec("discard all")
  return ctx.db:one("select '\\x41'::bytea as b, interval '1 day' as i, date '2001-02-03' as d")
end)
app:method("slow", function(ctx)
  ctx:with_timeout(100).db:one("select pg_sleep(30)")
end)
return app
]])

describe("PgBouncer", function()
  local s, bouncer
  after_each(function()
    s:close()
    bouncer:stop()
  end)

  local function open(mode, variables, pool)
    s = stage.open { app = APP, schema = fixtures.schema, log = { "query", "deadline", "handler" }, env = function(db)
      bouncer = pgbouncer.start(db.url, mode, pool)
      local all = { LEAT_DATABASE_URL = bouncer.url }
      for name, value in pairs(variables(db)) do all[name] = value end
      return all
    end }
  end

  local function call(client, method)
    client:send { op = "call", id = 9, method = method }
    return client:recv()
  end

  -- Clients that read, write and listen at the same time, so that server connections are shared.
  local function exercise(rounds)
    local alice, bob = s:connect { token = "alice" }, s:connect { token = "bob" }
    alice:subscribe("room:1")
    bob:subscribe("room:1")
    for i = 1, rounds do
      alice:send { op = "publish", id = i, topic = "room:1", data = { body = "n" .. i } }
      bob:send { op = "call", id = i, method = "formats" }
    end
    local seen, acknowledged, answers = {}, 0, 0
    loop.eventually(function()
      for message in function() return alice:waiting() > 0 and alice:recv() or nil end do
        if message.op == "event" then seen[#seen + 1] = message.data.body end
        if message.op == "ok" then acknowledged = acknowledged + 1 end
        assert.not_equal("error", message.op, message.message)
      end
      for message in function() return bob:waiting() > 0 and bob:recv() or nil end do
        if message.op == "ok" then
          assert.same({ b = "\\x41", i = "1 day", d = "2001-02-03" }, message.data)
          answers = answers + 1
        end
        assert.not_equal("error", message.op, message.message)
      end
      return #seen == rounds and acknowledged == rounds and answers == rounds
    end, 60000, "all events and answers")
    for i = 1, rounds do assert.equal("n" .. i, seen[i]) end
    return alice
  end

  it("in session mode needs no setting, and the server listens through it", function()
    open("session", function() return {} end)
    loop.eventually(function() return s:metrics().leat_listener_connected == 1 end, nil, "a listener")

    local client = exercise(20)

    assert.same({ b = "\\x41", i = "1 day", d = "2001-02-03" }, call(client, "reset").data)
    assert.equal("deadline_exceeded", call(client, "slow").code)
    assert.same({ b = "\\x41", i = "1 day", d = "2001-02-03" }, call(client, "formats").data)
  end)

  it("in transaction mode serves the handlers, beside a listen_url and without prepared statements", function()
    open("transaction", function(db) return { LEAT_LISTEN_URL = db.url, LEAT_MAX_STATEMENTS = 0 } end, 3)
    loop.eventually(function() return s:metrics().leat_listener_connected == 1 end, nil, "a listener")

    local client = exercise(50)

    assert.equal("deadline_exceeded", call(client, "slow").code)
    assert.same({ b = "\\x41", i = "1 day", d = "2001-02-03" }, call(client, "formats").data)
    loop.eventually(function()
      return s.session:value("select count(*) from pg_stat_activity where query like '%pg_sleep(30)%'"
        .. " and state = 'active' and pid <> pg_backend_pid()") == "0"
    end, nil, "the slow query to be cancelled through the pooler")
  end)
end)
