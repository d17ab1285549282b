-- What one user may have at the same time, and what all handshakes together may: beyond it, they are refused before
-- the database is asked.

local cjson = require "cjson"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"
local ws = require "spec.support.ws"

local APP = [[
local leat = require "leat"
local app = leat.app()

app:connect(function(_, request)
  if not request.token then return leat.deny("unauthenticated") end
  if request.token == "nobody" then return {} end
  return { id = request.token }
end)

local function topic(wait_s)
  return {
    subscribe = function(ctx)
      return leat.subscribe_authorized(ctx, { id = 1 }, {
        snapshot = function(db)
          if wait_s > 0 then db:one("select pg_sleep($1)", wait_s) end
          return {}
        end,
      })
    end,
    publish = function(_, _, data) return data end,
  }
end

app:topic("quick:{id}", topic(0))
app:topic("slow:{id}", topic(2))
app:topic("half:{id}", topic(0.5))
app:topic("twice:{id}", {
  subscribe = function(ctx)
    ctx.db:one("select pg_sleep(0.05)")
    return leat.subscribe_authorized(ctx, { id = 1 }, {
      snapshot = function(db)
        db:one("select pg_sleep(0.05)")
        return {}
      end,
    })
  end,
})
app:stream("/quick/{id}", "quick:{id}")
app:route("GET /hello", function() return { status = 200, body = "hello" } end)
return app
]]

local function open(variables)
  return stage.open { app = APP, schema = "select 1", env = variables, log = { "deadline passed", "read failed" } }
end

-- The outcomes of all that clients asked for, by code ("" for success).
local function outcomes(clients, each)
  local counts, waits = {}, {}
  for _, client in ipairs(clients) do
    for _ = 1, each do
      local message = client:recv(20000)
      local code = message.code or message.op
      counts[code] = (counts[code] or 0) + 1
      if message.retry_after_ms then waits[#waits + 1] = message.retry_after_ms end
    end
  end
  return counts, waits
end

describe("a user", function()
  local s

  lazy_setup(function()
    s = open { LEAT_MAX_SUBSCRIPTIONS_PER_USER = 5, LEAT_MAX_HANDSHAKES_PER_USER = 4, LEAT_MAX_INFLIGHT = 64,
      LEAT_PUBLISH_RATE_PER_USER = 2, LEAT_PUBLISH_BURST_PER_USER = 3 }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle(20000) end)

  it("has no more subscriptions than max_subscriptions_per_user, on all of his connections", function()
    local first, second = s:connect { token = "alice" }, s:connect { token = "alice" }
    for i = 1, 3 do first:subscribe("quick:" .. i) end
    for i = 1, 2 do second:subscribe("quick:" .. i) end

    local answer = second:ask({ op = "subscribe", id = 9, topic = "quick:9" }, "error")

    assert.same({ "limit", "too many subscriptions of this user" }, { answer.code, answer.message })
    assert.equal(429, http.request(s.server, { path = "/quick/1",
      headers = { Authorization = "Bearer alice", Accept = "text/event-stream" } }).status)
    assert.is_true(s:metrics()['leat_subscriptions_refused_total{limit="user"}'] >= 2)
    s:connect({ token = "bob" }):subscribe("quick:9")
    first:ask({ op = "unsubscribe", id = 10, topic = "quick:1" }, "ok")
    second:subscribe("quick:9")
  end)

  it("has his room back when a connection is gone", function()
    for _ = 1, 3 do
      local client = s:connect { token = "alice" }
      for i = 1, 5 do client:subscribe("quick:" .. i) end
      client:close()
      metrics.await(s.server, "leat_connections", 0)
    end
  end)

  it("takes his subscriptions along to another identity", function()
    local client = s:connect { token = "alice" }
    for i = 1, 5 do client:subscribe("quick:" .. i) end
    client:ask({ op = "authenticate", id = 1, token = "carol" }, "ok")

    assert.equal("limit", s:connect({ token = "carol" }):ask({ op = "subscribe", id = 1, topic = "quick:1" },
      "error").code)
    s:connect({ token = "alice" }):subscribe("quick:1")
  end)

  it("has no more handshakes than max_handshakes_per_user, and is told when to come back", function()
    local clients = { s:connect { token = "alice" }, s:connect { token = "alice" } }
    for n, client in ipairs(clients) do
      for i = 1, 2 do client:send { op = "subscribe", id = i, topic = ("slow:%d"):format(10 * n + i) } end
    end
    metrics.await(s.server, "leat_handshakes_under_way", 4)

    local refused = clients[1]:ask({ op = "subscribe", id = 9, topic = "quick:1" }, "error")

    assert.equal("unavailable", refused.code)
    assert.is_true(refused.retry_after_ms >= 100)
    assert.is_true(s:metrics()['leat_handshakes_shed_total{limit="user"}'] >= 1)
    s.server:await_log("refused limit=max_handshakes_per_user who=alice")
    s:connect({ token = "bob" }):subscribe("quick:1")
    assert.same({ snapshot = 4 }, (outcomes(clients, 2)))
    clients[1]:subscribe("quick:1")
  end)

  it("has no new burst when he comes back", function()
    local t = open { LEAT_MAX_INFLIGHT = 64, LEAT_PUBLISH_RATE_PER_USER = 1, LEAT_PUBLISH_BURST_PER_USER = 50 }
    local function publishes(token)
      local client = t:connect { token = token }
      for i = 1, 50 do client:send { op = "publish", id = i, topic = "quick:1", data = {} } end
      local counts = outcomes({ client }, 50)
      client:close()
      metrics.await(t.server, "leat_connections", 0)
      return counts
    end
    assert.same({ ok = 50 }, publishes "alice")

    assert.is_true((publishes("alice").rate_limited or 0) > 0)
    assert.same({ ok = 50 }, publishes "bob")
    t:close()
  end)

  for _, token in ipairs { "alice", "nobody" } do
    it("publishes to a topic at publish_rate_per_user (" .. token .. ")", function()
      local client = s:connect { token = token }
      for i = 1, 5 do client:send { op = "publish", id = i, topic = "quick:1", data = {} } end
      client:send { op = "publish", id = 6, topic = "quick:2", data = {} }

      local answers = {}
      for _ = 1, 6 do
        local answer = client:recv()
        answers[answer.id] = answer
      end

      assert.equal("ok", answers[1].op)
      assert.equal("ok", answers[6].op)
      assert.equal("rate_limited", answers[5].code)
      assert.is_true(answers[5].retry_after_ms > 0 and answers[5].retry_after_ms <= 500)
      assert.is_true(s:metrics()['leat_rate_limited_total{limit="publishes"}'] >= 1)
    end)
  end
end)

describe("all handshakes together", function()
  it("are no more than max_handshakes", function()
    local s = open { LEAT_MAX_HANDSHAKES = 6, LEAT_MAX_INFLIGHT = 64 }
    local client = s:connect { token = "alice" }
    for i = 1, 10 do client:send { op = "subscribe", id = i, topic = "slow:" .. i } end
    metrics.await(s.server, "leat_handshakes_under_way", 6)

    local refused = ws.attempt(s.server, { token = "bob" })
    local route = http.request(s.server, { path = "/hello", headers = { Authorization = "Bearer bob" } })

    for _, answer in ipairs { refused, route } do
      assert.equal(503, answer.status)
      assert.equal("unavailable", cjson.decode(answer.body).code)
      assert.matches("^%d+$", answer.headers["retry-after"])
    end
    refused:close()
    assert.same({ snapshot = 6, unavailable = 4 }, (outcomes({ client }, 10)))
    assert.is_true(s:metrics()['leat_handshakes_shed_total{limit="all"}'] >= 6)
    s:close()
  end)

  -- 40 users want half a second each of a pool of two connections; 20 more wait 5 s, and would come too late.
  it("that would wait longer than their callers are refused, and those who are let in are served", function()
    local s = open { LEAT_POOL_SIZE = 2, LEAT_POOL_RESERVE_PERCENT = 1 }
    local clients = {}
    for i = 1, 60 do clients[i] = s:connect { token = "user" .. i } end
    for i = 1, 40 do clients[i]:send { op = "subscribe", id = 1, topic = "half:" .. i, timeout_ms = 30000 } end
    loop.eventually(function() -- the pool's pace is known
      return metrics.value(s.server, 'leat_handshakes_total{outcome="ok"}') >= 10
    end)

    for i = 41, 60 do clients[i]:send { op = "subscribe", id = 2, topic = "half:" .. i } end
    local late = { table.unpack(clients, 41, 60) }
    local counts, waits = outcomes(late, 1)

    assert.same({ unavailable = 20 }, counts)
    assert.is_true(s:metrics()['leat_handshakes_shed_total{limit="wait"}'] >= 20)
    local distinct = {}
    for _, ms in ipairs(waits) do distinct[ms] = true end
    local n = 0
    for _ in pairs(distinct) do n = n + 1 end
    assert.is_true(n > 10, "only " .. n .. " different times to come back")
    s:close()
  end)

  -- Two connections have 120 reads in that time, of which each client needs two. Nothing is known of the pace, so all
  -- are let in.
  it("that are too many after a start are served in their order, and not all of them by half", function()
    local s = open { LEAT_POOL_SIZE = 2, LEAT_POOL_RESERVE_PERCENT = 1 }
    local clients = {}
    for i = 1, 300 do clients[i] = s:connect { token = "user" .. i } end
    for i, client in ipairs(clients) do
      client:send { op = "subscribe", id = 1, topic = "twice:" .. i, timeout_ms = 3000 }
    end

    local served, last = 0, 0
    for i, client in ipairs(clients) do
      if client:recv(20000).op == "snapshot" then served, last = served + 1, i end
    end

    assert.is_true(served >= 15, served .. " were served")
    assert.is_true(last <= 2 * served, "number " .. last .. " was served before others")
    s:close()
  end)

  -- Two connections serve at most four of these a second. The probe's caller hardly waits, so it is refused at once.
  it("are told to come back when those who wait now have been served, within the bounds", function()
    local s = open { LEAT_POOL_SIZE = 2, LEAT_POOL_RESERVE_PERCENT = 1, LEAT_RETRY_AFTER_MAX_MS = 16000 }
    local clients = {}
    for i = 1, 44 do clients[i] = s:connect { token = "user" .. i } end
    local probe = s:connect { token = "probe" }
    for i, client in ipairs(clients) do
      client:send { op = "subscribe", id = 1, topic = "half:" .. i, timeout_ms = 30000 }
    end

    local function told_after(served)
      loop.eventually(function()
        return metrics.value(s.server, 'leat_handshakes_total{outcome="ok"}') >= served
      end, 20000)
      local answer = probe:ask({ op = "subscribe", id = served, topic = "quick:1", timeout_ms = 100 }, "error")
      assert.equal("unavailable", answer.code)
      return answer.retry_after_ms, s:metrics().leat_pg_pool_waiters
    end

    local long_ms, many = told_after(10)
    local short_ms, few = told_after(32)

    assert.is_true(long_ms >= many * 250 * 0.9 and long_ms <= 16000, ("%d ms, %d wait"):format(long_ms, many))
    assert.is_true(short_ms >= few * 250 * 0.9 and short_ms < long_ms, ("%d ms, %d wait"):format(short_ms, few))
    assert.is_true(s:metrics().leat_retry_after_seconds_count >= 2)
    s:close()
  end)
end)

describe("a script", function()
  local s

  lazy_setup(function()
    s = stage.open { schema = "select 1", log = { "script failed" }, env = { LEAT_MESSAGE_BURST_PER_CLIENT = 50 },
      app = [[
local leat = require "leat"
local app = leat.app()

local plans = {
  free = { limits = { max_subscriptions = 2, publish_rate_per_user = 1, publish_burst_per_user = 1 } },
  paid = { limits = { max_subscriptions = 8 / 2 } },
  crowd = { tenant = { id = "acme", max_subscriptions = 3, publish_rate = 1, publish_burst = 2 } },
  named = { tenant = "acme" },
  terse = { limits = { message_rate_per_client = 1, message_burst_per_client = 2 } },
  misspelt = { limits = { max_subscription = 2 } },
  fraction = { limits = { max_subscriptions = 2.5 } },
  zero = { limits = { max_subscriptions = 0 } },
  number = { limits = 5 },
  tenant_misspelt = { tenant = { id = "acme", max = 1 } },
  tenant_nameless = { tenant = { max_subscriptions = 1 } },
  tenant_true = { tenant = true },
}

app:connect(function(_, request)
  local plan, name = request.token:match("^(.-):(.*)$")
  local user = { id = name }
  for key, value in pairs(plans[plan]) do user[key] = value end
  return user
end)

app:topic("room:{id}", {
  subscribe = function(ctx)
    return leat.subscribe_authorized(ctx, { id = 1 }, { snapshot = function() return {} end })
  end,
  publish = function(_, _, data) return data end,
})
return app
]] }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  -- Each publishes five times to a topic of its own. Together they may as often as the burst allows, and then as the
  -- rate does while it takes.
  local function assert_limited_to(burst, rate, clients)
    local began, allowed = loop.now(), 0
    for n, client in ipairs(clients) do
      for i = 1, 5 do client:send { op = "publish", id = i, topic = "room:" .. n, data = 1 } end
    end
    for _, client in ipairs(clients) do
      for _ = 1, 5 do
        local answer = client:recv()
        assert.is_true(answer.op == "ok" or answer.code == "rate_limited", answer.code)
        if answer.op == "ok" then allowed = allowed + 1 end
      end
    end
    local most = burst + rate * ((loop.now() - began) // 1000 + 1)
    assert.is_true(allowed >= burst and allowed <= most, ("%d of at most %d"):format(allowed, most))
    assert.is_true(allowed < 5 * #clients, "nothing was refused")
  end

  local function subscribes(client, n)
    for i = 1, n do client:subscribe("room:" .. i) end
    return client:ask({ op = "subscribe", id = 99, topic = "room:99" }, "error").code
  end

  it("sets a user's limits, and others when the identity is renewed", function()
    local client = s:connect { token = "free:alice" }
    assert.equal("limit", subscribes(client, 2))

    client:ask({ op = "authenticate", id = 1, token = "paid:alice" }, "ok")
    client:subscribe("room:3")
    client:subscribe("room:4")
    assert.equal("limit", client:ask({ op = "subscribe", id = 2, topic = "room:5" }, "error").code)

    client:ask({ op = "publish", id = 3, topic = "room:1", data = 1 }, "ok")
    client:ask({ op = "publish", id = 4, topic = "room:1", data = 1 }, "ok")
    client:ask({ op = "authenticate", id = 5, token = "free:bob" }, "ok")
    assert_limited_to(1, 1, { client })
  end)

  it("sets how many messages a client may send", function()
    local client = s:connect { token = "terse:alice" }
    for _ = 1, 10 do client:send { op = "fly" } end
    assert.equal(4429, (client:closed()))
  end)

  it("sets a tenant's limits, which all of its users share", function()
    local alice, bob = s:connect { token = "crowd:alice" }, s:connect { token = "crowd:bob" }
    alice:subscribe("room:1")
    alice:subscribe("room:2")
    assert.equal("limit", subscribes(bob, 1))
    assert.is_true(s:metrics()['leat_subscriptions_refused_total{limit="tenant"}'] >= 1)

    assert_limited_to(2, 1, { alice, bob })

    s:connect({ token = "named:carol" }):subscribe("room:1")
    alice:close()
    metrics.await(s.server, "leat_connections", 2)
    bob:subscribe("room:2")
  end)

  for _, plan in ipairs { "misspelt", "fraction", "zero", "number", "tenant_misspelt", "tenant_nameless",
    "tenant_true" } do
    it("that sets limits wrongly fails (" .. plan .. ")", function()
      local refused = ws.attempt(s.server, { token = plan .. ":alice" })
      assert.equal(500, refused.status)
      refused:close()
      s.server:await_log("script failed.*connect: ")
    end)
  end
end)
