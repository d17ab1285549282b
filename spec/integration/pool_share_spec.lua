-- One client, or one user with many, cannot take the pool: others go on, and handshakes always do.

local cjson = require "cjson"
local fixtures = require "spec.support.fixtures"
local gate = require "spec.support.gate"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"

local APP = ([[
local leat = require "leat"
local app = leat.app()

app:connect(function(ctx, request)
  return ctx.db:one("select id, name from users where token = $1", request.token)
end)

local function wait(db)
  db:exec("GATE")
  return {}
end

app:method("slow", function(ctx) return wait(ctx.db) end)
app:method("endless", function(ctx) ctx.db:exec("select pg_sleep(60)") end)
app:method("quick", function(ctx) return ctx.db:one("select 1 as one") end)
app:route("GET /slow", function(ctx)
  wait(ctx.db)
  return { status = 200, body = "slow" }
end)

local function room(slow_handler, slow_snapshot)
  return {
    subscribe = function(ctx)
      if slow_handler then wait(ctx.db) end
      return leat.subscribe_authorized(ctx, { id = 1 }, {
        snapshot = function(db)
          if slow_snapshot then wait(db) end
          return db:one("select 1 as one")
        end,
      })
    end,
    publish = function(ctx) return wait(ctx.db) end,
  }
end

app:topic("quick:{id}", room(false, false))
app:topic("handler:{id}", room(true, false))
app:topic("snapshot:{id}", room(false, true))
return app
]]):gsub("GATE", gate.sql(gate.AUTHORIZE))

describe("the pool", function()
  local s, shut

  local function open(variables)
    s = stage.open { app = APP, schema = fixtures.schema, env = variables,
      log = { "deadline passed", "read failed" } }
  end

  lazy_setup(function()
    open { LEAT_MAX_INFLIGHT = 64, LEAT_POOL_CLIENT_PERCENT = 30, LEAT_POOL_USER_PERCENT = 50 }
  end)
  lazy_teardown(function() s:close() end)
  -- What is slow does not end before the spec does.
  before_each(function() shut = gate.shut(s.db, gate.AUTHORIZE) end)
  after_each(function()
    shut:open()
    for _, client in ipairs(s.clients) do client.tcp:abort() end
    s:settle(20000)
  end)

  local function busy()
    return metrics.value(s.server, 'leat_pg_pool_connections{state="busy"}')
  end

  -- Others are served meanwhile: calls, handshakes, and an HTTP request with a connect handler.
  local function assert_bob_is_served()
    local bob = s:connect { token = "bob" }
    for i = 1, 20 do bob:ask({ op = "call", id = i, method = "quick" }, "ok") end
    for i = 1, 20 do bob:subscribe("quick:" .. i) end
  end

  local function call_slowly(client, n, fields)
    for i = 1, n do
      local message = { op = "call", id = 100 + i, method = "slow", timeout_ms = 30000 }
      for key, value in pairs(fields or {}) do message[key] = value end
      client:send(message)
    end
  end

  -- The attack runs as far as it can.
  local function await_held(reason)
    loop.eventually(function()
      return metrics.value(s.server, ('leat_pg_pool_held_back_total{reason="%s"}'):format(reason)) > 0
    end, nil, "somebody held back")
  end

  -- Others' connections may be busy for a moment, with a cancel, say.
  local function await_share(n)
    loop.eventually(function() return busy() <= n end, nil, function() return busy() .. " connections are busy" end)
  end

  it("is not taken by 64 slow calls of one client", function()
    local alice = s:connect { token = "alice" }
    call_slowly(alice, 64)
    await_held("client")

    assert_bob_is_served()
    await_share(4)
  end)

  it("is not taken by many connections of one user", function()
    for _ = 1, 20 do call_slowly(s:connect { token = "alice" }, 10) end
    await_held("user")

    assert_bob_is_served()
    await_share(6)
  end)

  it("is not taken by many publishes", function()
    for _ = 1, 5 do
      local client = s:connect { token = "alice" }
      for i = 1, 20 do client:send { op = "publish", id = i, topic = "quick:" .. i, data = {}, timeout_ms = 30000 } end
    end
    await_held("client")

    assert_bob_is_served()
  end)

  for _, what in ipairs { "handler", "snapshot" } do
    it("is not taken by subscribes with a slow " .. what, function()
      for _ = 1, 10 do
        local client = s:connect { token = "alice" }
        for i = 1, 10 do
          client:send { op = "subscribe", id = i, topic = what .. ":" .. i, timeout_ms = 30000 }
        end
      end
      loop.eventually(function() return busy() >= 5 end)

      assert_bob_is_served()
    end)
  end

  it("is not taken by slow HTTP routes", function()
    local requests = {}
    for i = 1, 30 do
      requests[i] = tcp.connect(s.server.port)
      requests[i]:write(http.text { path = "/slow", headers = { Authorization = "Bearer alice" } })
    end
    loop.eventually(function() return busy() >= 4 end)

    assert_bob_is_served()
    for _, request in ipairs(requests) do request:abort() end
  end)

  it("keeps a reserve for handshakes, whoever calls slowly", function()
    local users = {}
    for i = 1, 10 do users[i] = ("(%d, 'u%d', 't%d')"):format(100 + i, i, i) end
    s.session:run("insert into users values " .. table.concat(users, ","))
    for i = 1, 10 do call_slowly(s:connect { token = "t" .. i }, 4) end
    loop.eventually(function() return busy() >= 8 end)

    local bob = s:connect { token = "bob" }
    for i = 1, 20 do bob:subscribe("quick:" .. i) end
  end)

  it("leaves a user's own handshakes a connection", function()
    for _ = 1, 5 do call_slowly(s:connect { token = "alice" }, 10) end
    await_held("user")

    s:connect({ token = "alice" }):subscribe("quick:1")
  end)

  it("is not judged by a slow statement: the server stays ready", function()
    local alice = s:connect { token = "alice" }
    call_slowly(alice, 10, { timeout_ms = 300 })
    for i = 1, 10 do
      assert.equal("deadline_exceeded", alice:expect("error", 100 + i).code)
      assert.equal(200, http.request(s.server, "/readyz").status)
    end
  end)
end)

-- Crowds: addresses whose clients subscribe more than five seconds' worth of the rate ahead.
describe("the pool, for crowds", function()
  local ADDRESSES, EACH = 2, 40
  local s, shut

  lazy_setup(function()
    s = stage.open { app = APP, schema = fixtures.schema, log = { "deadline passed", "read failed" }, env = {
      LEAT_TRUSTED_PROXIES = "127.0.0.1", LEAT_METRICS_LISTEN = "127.0.0.1:0", LEAT_WORKERS = 1, LEAT_POOL_SIZE = 20,
      LEAT_POOL_CLIENT_PERCENT = 100, LEAT_POOL_USER_PERCENT = 100, LEAT_POOL_CROWD_PERCENT = 10,
      LEAT_SUBSCRIBE_RATE_PER_ADDRESS = 1, LEAT_SUBSCRIBE_BURST_PER_ADDRESS = 1000, LEAT_MAX_INFLIGHT = 64,
    } }
    s.inside = { port = tonumber((s.server:await_log("metrics address=%S+:(%d+)"))) }
  end)
  lazy_teardown(function() s:close() end)
  before_each(function() shut = gate.shut(s.db, gate.AUTHORIZE) end)
  after_each(function()
    shut:open()
    for _, client in ipairs(s.clients) do client.tcp:abort() end
    metrics.settled(s.inside, 20000)
  end)

  local function of(address, user)
    return s:connect { token = user, headers = { ["X-Forwarded-For"] = "192.0.2." .. address } }
  end

  local function busy()
    return metrics.value(s.inside, 'leat_pg_pool_connections{state="busy"}')
  end

  local function held()
    return metrics.value(s.inside, 'leat_pg_pool_held_back_total{reason="crowd"}')
  end

  it("is not taken by handshakes of any number of them", function()
    local line = #s.server.log + 1
    for address = 1, ADDRESSES do
      local client = of(address, "alice")
      for i = 1, EACH do
        client:send { op = "subscribe", id = i, topic = "handler:" .. i, timeout_ms = 30000 }
      end
    end
    -- Of each address, a few come before it is a crowd, and those that the time since then allows. Two connections
    -- are the crowds'.
    loop.eventually(function() return held() > 0 end, nil, "somebody held back")
    s.server:await_log('crowd limit=pool_crowd_percent who="?192.0.2.1', line)

    local bob = of(99, "bob")
    for i = 1, 4 do bob:subscribe("quick:" .. i) end
    assert.is_true(busy() < 20, busy())
  end)

  it("serves all of them in the end", function()
    local client = of(50, "alice")
    for i = 1, EACH do client:send { op = "subscribe", id = i, topic = "handler:" .. i, timeout_ms = 30000 } end
    loop.eventually(function() return held() > 0 end, nil, "somebody held back")

    shut:open()

    local served = {}
    for _ = 1, EACH do served[client:recv().id] = true end
    assert.equal(EACH, #served)
  end)
end)

describe("a caller's deadline", function()
  local s

  lazy_setup(function()
    s = stage.open { app = APP, schema = fixtures.schema, env = { LEAT_MAX_TIMEOUT_MS = 2000 },
      log = { "deadline passed", "read failed" } }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  it("is kept up to max_timeout_ms, and refused above", function()
    local client = s:connect { token = "alice" }

    for _, ms in ipairs { "2001", "30000", "9007199254740992" } do
      for _, message in ipairs {
        { op = "call", method = "quick" },
        { op = "publish", topic = "quick:1", data = {} },
        { op = "subscribe", topic = "quick:1" },
        { op = "authenticate", token = "alice" },
      } do
        message.id = 1
        client:send((cjson.encode(message):gsub("}$", ',"timeout_ms":' .. ms .. "}")))
        local answer = client:expect("error", 1)
        assert.equal("bad_request", answer.code)
        assert.matches("at most 2000", answer.message, 1, true)
      end
    end

    local began = loop.now()
    client:ask({ op = "call", id = 2, method = "quick", timeout_ms = 2000 }, "ok")
    local answer = client:ask({ op = "call", id = 3, method = "endless", timeout_ms = 2000 }, "error")
    assert.equal("deadline_exceeded", answer.code)
    assert.is_true(loop.now() - began >= 2000)
  end)
end)
