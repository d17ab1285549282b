-- What the scripts have to do, by topic pattern and by handler, their last errors, and the errors clients are told:
-- in /metrics, and on the operator's socket.

local control = require "spec.support.control"
local files = require "spec.support.files"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local http = require "spec.support.http"
local stage = require "spec.support.stage"

local APP = [[
local leat = require "leat"
local app = leat.app()

app:connect(function(ctx, request) return { id = request.token or "nobody" } end)
app:topic("place:{id:int}", {
  subscribe = function(ctx, args)
    if args.id == 13 then return leat.deny("forbidden") end
    if args.id == 14 then error("no such number") end
    return leat.subscribe_authorized(ctx, { id = args.id }, {
      snapshot = function(db, row) return { id = row.id } end,
    })
  end,
  publish = function(ctx, args, data) return data end,
})
app:topic("with \"quotes\" and \\:{id:int}", {
  subscribe = function(ctx) return leat.deny("forbidden") end,
})
app:method("slow", function(ctx) return ctx.db:one("select pg_sleep(1)") end)
app:method("broken", function(ctx) return ctx.db:one("select nothing from nowhere") end)
app:route("GET /hello", function(ctx, request)
  if request.query.fail then error("failed for " .. request.query.fail) end
  return { status = 200, body = "hi" }
end)
return app
]]

local PATTERN = "place:{id:int}"

local function by_pattern(name, more)
  return ('leat_pattern_%s{pattern="%s"%s}'):format(name, PATTERN, more or "")
end

local function of_handler(name, handler, of)
  return ('leat_handler_%s{handler="%s",name="%s"}'):format(name, handler, of)
end

local function find(rows, name, value)
  for _, row in ipairs(rows) do
    if row[name] == value then return row end
  end
end

describe("the load", function()
  local s, path

  before_each(function()
    path = control.path()
    s = stage.open { app = APP, log = { "script failed", "read failed" },
      env = { LEAT_WORKERS = 2, LEAT_CONTROL = path } }
  end)
  after_each(function()
    s:settle()
    s:close()
    control.remove(path)
  end)

  local function subscribe(n, topic)
    local clients = {}
    for i = 1, n do
      clients[i] = s:connect()
      clients[i]:subscribe(topic)
    end
    return clients
  end

  it("is told by topic pattern, never by topic", function()
    local clients = subscribe(2, "place:1")
    clients[3] = subscribe(1, "place:2")[1]
    s.session:run "select leat.publish('place:1', '1'), leat.publish('place:2', '2')"
    for _, client in ipairs(clients) do client:expect("event") end
    local stranger = s:connect()
    stranger:send { op = "subscribe", id = 1, topic = "place:13" }
    stranger:expect("error")

    metrics.await(s.server, by_pattern("deliveries_total"), 3)
    local all, text = metrics.read(s.server)
    assert.equal(3, all[by_pattern("subscriptions")])
    assert.equal(3, all[by_pattern("handshakes_total", ',outcome="ok"')])
    assert.equal(1, all[by_pattern("handshakes_total", ',outcome="refused"')])
    assert.is_true(all[by_pattern("topics")] >= 2 and all[by_pattern("events_total")] >= 2)
    assert.is_nil(text:find("place:1", 1, true))

    for _, client in ipairs(clients) do client:close() end
    metrics.await(s.server, by_pattern("subscriptions"), 0)
  end)

  it("quotes what a pattern contains", function()
    local _, text = metrics.read(s.server)

    assert.matches([[leat_pattern_topics{pattern="with \"quotes\" and \\:{id:int}"} 0]], text, 1, true)
    local row = find(control.show(path, "patterns").patterns, "pattern", [[with "quotes" and \:{id:int}]])
    assert.equal(0, row.topics)
  end)

  it("goes on to be counted after a reload, under the new patterns", function()
    local client = subscribe(1, "place:1")[1]
    files.write(s.app, (APP:gsub("place:{id:int}", "place:{id}")))

    s.server:send_signal("sighup")

    local renamed = 'leat_pattern_subscriptions{pattern="place:{id}"}'
    metrics.await(s.server, renamed, 1)
    metrics.await(s.server, by_pattern("subscriptions"), 0)
    assert.equal(1, s:metrics()[by_pattern("handshakes_total", ',outcome="ok"')])
    client:close()
    metrics.await(s.server, renamed, 0)
  end)

  it("is told by handler, the slowest first", function()
    local client = subscribe(1, "place:1")[1]
    client:send { op = "call", id = 1, method = "slow" }
    client:expect("ok")
    assert.equal(200, http.request(s.server, "/hello").status)
    metrics.await(s.server, of_handler("seconds_count", "route", "GET /hello"), 1)

    local all = s:metrics()
    assert.equal(1, all[of_handler("seconds_count", "subscribe", PATTERN)])
    assert.equal(1, all[of_handler("seconds_count", "snapshot", PATTERN)])
    assert.is_true(all[of_handler("seconds_count", "connect", "")] >= 1)
    assert.is_true(all[of_handler("seconds_sum", "method", "slow")] >= 1)

    local rows = control.show(path, "handlers").handlers
    assert.equal("slow", rows[1].name)
    assert.is_true(rows[1].p99_s >= 0.5)
    assert.equal(1, rows[1].recent)
    assert.equal("slow", control.show(path, "handlers", "--by", "time", "--limit", "1").handlers[1].name)
  end)

  it("has the last errors of the scripts, each once, with its traceback", function()
    local client = s:connect { token = "secretsecret" }
    for id = 1, 3 do
      client:send { op = "subscribe", id = id, topic = "place:14" }
      client:expect("error")
    end
    client:send { op = "call", id = 4, method = "broken" }
    client:expect("error")

    local errors
    for _, worker in ipairs(control.show(path, "script").workers) do
      if #worker.last_errors > 0 then errors = worker.last_errors end
    end

    assert.equal(2, #errors)
    assert.equal("method", errors[1].handler)
    assert.equal("broken", errors[1].name)
    assert.equal("42P01", errors[1].sqlstate)
    assert.equal(1, errors[1].count)
    assert.equal("subscribe", errors[2].handler)
    assert.equal(3, errors[2].count)
    assert.matches("no such number\nstack traceback:", errors[2].error, 1, true)
    assert.is_true(math.abs(os.time() - errors[2].last_at) < 60)
    assert.equal(3, s:metrics()[of_handler("errors_total", "subscribe", PATTERN)])
    local _, shown = control.run(path, "show", "script")
    assert.is_nil(shown:find("LAST ERRORS", 1, true), shown) -- no column: a table of its own
    assert.matches("\nlast errors of worker %d:\nHANDLER +NAME", shown)
  end)

  it("shows no token in the last errors", function()
    http.request(s.server, "/hello?fail=topsecret99&token=topsecret99")

    local shown = loop.eventually(function()
      for _, worker in ipairs(control.show(path, "script").workers) do
        if worker.last_errors[1] then return worker.last_errors[1].error end
      end
    end, nil, "the error")
    assert.matches("failed for [secret]", shown, 1, true)
  end)

  it("counts the errors that clients are told, by code", function()
    local client = s:connect()
    client:send { op = "subscribe", id = 1, topic = "place:13" }
    client:expect("error")
    client:send { op = "call", id = 2, method = "none" }
    client:expect("error")
    assert.equal(404, http.request(s.server, "/nowhere").status)

    local all = s:metrics()
    assert.equal(1, all['leat_errors_total{code="forbidden"}'])
    assert.equal(2, all['leat_errors_total{code="not_found"}'])
    local told = control.show(path, "summary")
    assert.equal(1, told.errors.forbidden)
    assert.equal(2, told.errors.not_found)
    control.run(path, "show", "topic", "nobody:1")
    assert.equal(2, control.show(path, "summary").errors.not_found)
  end)
end)
