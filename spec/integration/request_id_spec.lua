-- The id of a request follows it: through the lines of the log, and, if asked for, into its SQL.

local control = require "spec.support.control"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local pg = require "spec.support.pg"
local stage = require "spec.support.stage"

local APP = [[
local leat = require "leat"
local app = leat.app()

app:topic("place:{id:int}", {
  subscribe = function(ctx, args)
    ctx.log:info("asked", { id = args.id })
    if args.id == 13 then error("no such place") end
    if args.id == 14 then return leat.deny("forbidden") end
    return leat.subscribe_authorized(ctx, {}, { snapshot = function(db) return db:one("select 1 as n") end })
  end,
})
app:method("wait", function(ctx)
  return ctx.db:one("select pg_advisory_lock(4711)::text as got -- a comment of the application")
end)
app:method("prepared", function(ctx)
  return ctx.db:one("select count(*)::int as n from pg_prepared_statements where statement like '%as mine'")
end)
app:method("mine", function(ctx, params) return ctx.db:one("select $1::int + 1 as mine", params.n) end)
app:route("GET /hello", function(ctx, request)
  ctx.log:warn("hello")
  return { status = 200, body = "hi" }
end)
return app
]]

local TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
local TRACEPARENT = { traceparent = "00-" .. TRACE .. "-00f067aa0ba902b7-01" }

describe("the id of a request", function()
  local s

  local function open(variables)
    variables.LEAT_WORKERS, variables.LEAT_POOL_SIZE = 1, 1
    s = stage.open { app = APP, env = variables, log = { "hello", "script failed" } }
  end
  after_each(function()
    s:settle()
    s:close()
  end)

  local function call(client, method, params)
    client:send { op = "call", id = 7, method = method, params = params }
    return client:expect("ok").data
  end

  it("stands in the lines about a client that came with it, and in no others", function()
    open {}
    local traced = s:connect { headers = TRACEPARENT }
    traced:subscribe("place:1")
    s:connect():subscribe("place:2")
    traced:send { op = "subscribe", id = 2, topic = "place:13" }
    traced:expect("error")
    traced:send { op = "subscribe", id = 3, topic = "place:14" }
    traced:expect("error")

    s.server:await_log("INFO app asked id=1 request=" .. TRACE .. "$")
    s.server:await_log("INFO app asked id=2$")
    s.server:await_log("ERROR script script failed handler=subscribe topic=place:13 .* request=" .. TRACE .. "$")
    s.server:await_log("INFO sub ended topic=place:14 code=forbidden request=" .. TRACE .. "$")
  end)

  it("is that of each request to a route", function()
    open {}
    http.request(s.server, { path = "/hello", headers = { ["X-Request-Id"] = "first.1" } })
    http.request(s.server, { path = "/hello", headers = { ["X-Request-Id"] = "second-2" } })
    http.request(s.server, "/hello")

    s.server:await_log("WARN app hello request=first.1$")
    s.server:await_log("WARN app hello request=second%-2$")
    s.server:await_log("WARN app hello$")
  end)

  it("is left out if it could be taken for something else", function()
    open { LEAT_SQL_REQUEST_ID = "true" }
    for _, bad in ipairs { "a */ drop table x; /*", "a b", ("x"):rep(65), "a=b", "" } do
      http.request(s.server, { path = "/hello", headers = { ["X-Request-Id"] = bad } })
    end

    loop.eventually(function() return s.server:count_log("WARN app hello") == 5 end)
    assert.equal(5, s.server:count_log("WARN app hello$"))
  end)

  it("stands in the statements, if that is asked for", function()
    open { LEAT_SQL_REQUEST_ID = "true" }
    local other = pg.connect(s.db.url)
    other:run "select pg_advisory_lock(4711)"
    local client = s:connect { headers = TRACEPARENT }
    client:send { op = "call", id = 1, method = "wait" }

    loop.eventually(function()
      return s.session:value(([[select count(*) from pg_stat_activity
        where query like '%%of the application' || chr(10) || '/* request=%s */']]):format(TRACE)) == "1"
    end, nil, "the statement with its id")

    other:run "select pg_advisory_unlock(4711)"
    client:expect("ok")
    other:close()
  end)

  it("stands in no statement otherwise, and fills no cache of prepared ones", function()
    open { LEAT_SQL_REQUEST_ID = "true" }
    local traced, plain = s:connect { headers = TRACEPARENT }, s:connect()
    for n = 1, 5 do assert.equal(n + 1, call(traced, "mine", { n = n }).mine) end
    assert.equal(0, call(plain, "prepared").n)

    for n = 1, 5 do assert.equal(n + 1, call(plain, "mine", { n = n }).mine) end

    assert.equal(1, call(plain, "prepared").n)
  end)

  it("is left out where statements are counted by their text", function()
    local socket = control.path()
    open { LEAT_SQL_REQUEST_ID = "true", LEAT_CONTROL = socket }
    for n = 1, 3 do
      local client = s:connect { headers = { ["X-Request-Id"] = "request-" .. n } }
      assert.equal(n + 1, call(client, "mine", { n = n }).mine)
    end

    local counts = {}
    for _, row in ipairs(control.show(socket, "statements").workers[1].statements) do
      if row.statement:find("as mine", 1, true) then counts[row.statement] = row.count end
    end
    assert.same({ ["select $1::int + 1 as mine"] = 3 }, counts)
    control.remove(socket)
  end)
end)
