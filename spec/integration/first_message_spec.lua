-- A client that brings its token in its first message (/ws?authenticate=message).

local files = require "spec.support.files"
local frame = require "spec.support.frame"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"
local ws = require "spec.support.ws"

local APP = [==[
local leat = require "leat"
local app = leat.app()
app:connect(function(ctx, request)
  if request.token == "slow" then ctx.db:exec("select pg_sleep(60)") end
  if request.token == "broken" then error("a mistake") end
  return ctx.db:one([[
    select id, name, extract(epoch from expires_at)::float8 as expires_at from users where token = $1]],
    request.token)
end)
app:topic("room:{id:int}", {
  subscribe = function(ctx, args)
    return leat.subscribe_authorized(ctx, args, { snapshot = function() return ctx.user.name end })
  end,
})
app:stream("/rooms/{id:int}/stream", "room:{id}")
app:route("GET /guarded", function() return { status = 200, body = "read" } end)
app:websocket("/raw", { message = function(conn, data) conn:send(data) end })
app:method("me", function(ctx)
  local request = ctx.request
  return { name = ctx.user.name, token = request.token, remote = request.remote:match("^[^:]+"),
    agent = request.headers["user-agent"], query = request.query.authenticate, version = "one" }
end)
return app
]==]

local SCHEMA = [[
  create table users (id bigint, name text, token text, expires_at timestamptz);
  insert into users values (1, 'Alice', 'alice', null), (2, 'Bob', 'bob', null),
    (3, 'Late', 'late', now() - interval '1 second');
]]

local PATH = "/ws?authenticate=message"

describe("a first message with the token", function()
  local s

  lazy_setup(function()
    s = stage.open { app = APP, schema = SCHEMA, log = { "ERROR script", "WARN script" },
      env = { LEAT_AUTHENTICATE_TIMEOUT_MS = 60000, LEAT_MAX_UNAUTHENTICATED = 3 } }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function()
    s:settle()
    metrics.await(s.server, "leat_unauthenticated", 0)
  end)

  local function open(options)
    options = options or {}
    options.path = options.path or PATH
    return s:connect(options)
  end

  local function closes(client, code, reason)
    assert.same({ code, reason }, { client:closed() })
  end

  it("lets the client in, as the header would have", function()
    local client = open { headers = { ["User-Agent"] = "spec" } }
    assert.equal(1, metrics.value(s.server, "leat_unauthenticated"))

    assert.is_nil(client:ask({ op = "authenticate", id = 1, token = "alice" }, "ok").data)

    assert.same({ name = "Alice", token = "alice", remote = "127.0.0.1", agent = "spec", query = "message",
      version = "one" }, client:ask({ op = "call", id = 2, method = "me" }, "ok").data)
    assert.equal("Alice", client:subscribe("room:1").data)
    assert.equal(0, metrics.value(s.server, "leat_unauthenticated"))
  end)

  it("need not be answered before the client goes on", function()
    local client = open()
    client:send { op = "authenticate", id = 1, token = "bob" }
    client:send { op = "subscribe", id = 2, topic = "room:1" }
    client:send { op = "call", id = 3, method = "me" }

    client:expect("ok", 1)
    local answers = {}
    for _ = 1, 2 do
      local m = client:recv()
      answers[m.id] = m.data
    end
    assert.equal("Bob", answers[2])
    assert.equal("Bob", answers[3].name)
  end)

  it("may come with the request, or in fragments", function()
    local client = ws.attempt(s.server, { path = PATH, pipelined = true })
    client:send { op = "authenticate", id = 1, token = "alice" }
    client:await_upgrade()
    client:expect("ok", 1)
    client:close()

    client = open()
    local text = '{"op":"authenticate","id":1,"token":"alice"}'
    for i = 1, #text do
      client:send_frame { op = i == 1 and 1 or 0, fin = i == #text, payload = text:sub(i, i) }
    end
    client:expect("ok", 1)
  end)

  it("that is refused closes with 4401", function()
    local before = metrics.value(s.server, 'leat_authentications_total{outcome="refused"}')
    for _, token in ipairs { "nobody", "", "late" } do
      local client = open()
      assert.equal("unauthenticated", client:ask({ op = "authenticate", id = 1, token = token }, "error").code)
      closes(client, 4401, "unauthenticated")
      local why = token == "late" and "expired" or '"identity required"'
      s.server:await_log("client refused code=unauthenticated why=" .. why)
    end
    assert.equal(before + 3, metrics.value(s.server, 'leat_authentications_total{outcome="refused"}'))
  end)

  it("that is another message closes with 4401", function()
    for _, text in ipairs { '{"op":"subscribe","id":1,"topic":"room:1"}', '{"op":"call","id":1,"method":"me"}',
      '{"op":"authenticate","id":1}', "nonsense", "{}" } do
      local client = open()
      client:send_text(text)
      assert.equal("unauthenticated", client:expect("error").code)
      closes(client, 4401, "unauthenticated")
    end
  end)

  it("that is too long closes with 1009, and a binary one with 1003", function()
    local client = open()
    client:send { op = "authenticate", id = 1, token = ("x"):rep(17000) }
    assert.equal(1009, (client:closed()))

    client = open()
    client:send_frame { op = 2, payload = "x" }
    assert.equal(1003, (client:closed()))
  end)

  it("that the handler cannot decide on closes, so that the client comes back", function()
    local client = open()
    assert.equal("deadline_exceeded", client:ask({ op = "authenticate", id = 1, token = "slow", timeout_ms = 300 },
      "error").code)
    assert.equal(4408, (client:closed()))

    client = open()
    assert.equal("internal", client:ask({ op = "authenticate", id = 1, token = "broken" }, "error").code)
    assert.equal(1011, (client:closed()))
    s.server:await_log("a mistake")
  end)

  it("is awaited from no more than max_unauthenticated clients", function()
    local before = metrics.value(s.server, 'leat_authentications_total{outcome="full"}')
    local guests = { open(), open(), open() }

    local attempt = ws.attempt(s.server, { path = PATH })
    assert.same({ 503, "1" }, { attempt.status, attempt.headers["retry-after"] })
    attempt:close()

    assert.equal(before + 1, metrics.value(s.server, 'leat_authentications_total{outcome="full"}'))
    s:connect { token = "alice" }
    assert.is_true(metrics.value(s.server, "leat_guest_bytes") >= 3 * 16384)
    guests[1]:ask({ op = "authenticate", id = 1, token = "alice" }, "ok")
    guests[4] = open()
    guests[2]:abort()
    loop.eventually(function()
      local again = ws.attempt(s.server, { path = PATH })
      again:close()
      return again.status == 101
    end, nil, "a place")
  end)

  it("leaves nothing if the client goes while the handler runs", function()
    local client = open()
    client:send { op = "authenticate", id = 1, token = "slow" }
    metrics.await(s.server, 'leat_pg_pool_connections{state="busy"}', 1)
    client:abort()
    metrics.await(s.server, 'leat_pg_pool_connections{state="busy"}', 0)
    metrics.await(s.server, "leat_unauthenticated", 0)
  end)

  it("can be renewed afterwards", function()
    local client = open()
    client:send { op = "authenticate", id = 1, token = "alice" }
    client:send { op = "authenticate", id = 2, token = "bob" }
    client:expect("ok", 1)
    client:expect("ok", 2)
    assert.equal("Bob", client:ask({ op = "call", id = 3, method = "me" }, "ok").data.name)
  end)

  local function reload()
    local before = s.server:count_log("scripts reloaded")
    s.server:send_signal("sighup")
    loop.eventually(function() return s.server:count_log("scripts reloaded") > before end, nil, "a reload")
  end

  it("runs the handler of the scripts that are there by then", function()
    local client = open()
    files.write(s.app, (APP:gsub('"one"', '"two"'):gsub("token = $1", "token = $1 || 'e'")))
    reload()
    assert.equal("unauthenticated", client:ask({ op = "authenticate", id = 1, token = "alice" }, "error").code)
    closes(client, 4401, "unauthenticated")
    client = open()
    client:ask({ op = "authenticate", id = 1, token = "alic" }, "ok")
    assert.equal("two", client:ask({ op = "call", id = 3, method = "me" }, "ok").data.version)
    files.write(s.app, APP)
    reload()
  end)

  it("is asked for on /ws only", function()
    for _, path in ipairs { "/raw", "/rooms/1/stream" } do
      assert.equal(401, ws.attempt(s.server, { path = path .. "?authenticate=message" }).status)
    end
    assert.equal(401, http.request(s.server, { path = "/rooms/1/stream?authenticate=message",
      headers = { Accept = "text/event-stream" } }).status)
    assert.equal(401, http.request(s.server, { path = "/guarded?authenticate=message" }).status)
    assert.equal(400, ws.attempt(s.server, { path = "/ws?authenticate=yes" }).status)
    assert.equal(401, ws.attempt(s.server, { path = "/ws" }).status)
    assert.equal(403, ws.attempt(s.server, { path = PATH, headers = { Origin = "http://evil.example" } }).status)
  end)

end)

describe("a client that has not brought its token", function()
  it("is closed with 4408 in time, pings or not", function()
    local s = stage.open { app = APP, schema = SCHEMA, env = { LEAT_AUTHENTICATE_TIMEOUT_MS = 1000 } }
    local silent, pinging = s:connect { path = PATH }, s:connect { path = PATH }
    pinging:send_frame { op = frame.PING, payload = "x" }

    for _, client in ipairs { silent, pinging } do
      assert.same({ 4408, "no token came in time" }, { client:closed() })
    end
    assert.equal(2, metrics.value(s.server, 'leat_authentications_total{outcome="late"}'))
    assert.is_nil(silent.pongs.x)
    assert.is_true(pinging.pongs.x)
    s:settle()
    s:close()
  end)

  it("is closed at once when the server stops", function()
    local s = stage.open { app = APP, schema = SCHEMA, log = { "second_signal" } }
    local client = s:connect { path = PATH }
    s.server:send_signal("sigterm")
    local code, reason = client:closed()
    assert.equal(1001, code)
    assert.match("^retry_after_ms=%d+$", reason)
    assert.equal(0, s.server.process:wait())
    s:close()
  end)
end)

describe("max_unauthenticated = 0", function()
  it("lets nobody do that", function()
    local s = stage.open { app = APP, schema = SCHEMA, env = { LEAT_MAX_UNAUTHENTICATED = 0 } }
    assert.equal(403, ws.attempt(s.server, { path = PATH }).status)
    s:close()
  end)
end)
