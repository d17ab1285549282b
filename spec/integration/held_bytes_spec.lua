-- What all clients, and all topics, make the server hold together; and clients that are silent.

local control = require "spec.support.control"
local fixtures = require "spec.support.fixtures"
local frame = require "spec.support.frame"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"

local APP_WITH_SOCKET = [[
  local leat = require "leat"
  local app = leat.app()
  app:connect(function() return { id = 1 } end)
  app:method("size", function(_, params) return #params end)
  app:websocket("/raw", { message = function() end })
  return app
]]

describe("all rings together", function()
  it("hold no more than max_ring_bytes, and nothing is lost", function()
    local s = stage.open { app = fixtures.app, schema = fixtures.schema,
      env = { LEAT_MAX_RING_BYTES = 65536, LEAT_TOPIC_LINGER_MS = 60000 } }
    s.session:run "insert into rooms (id) select generate_series(10, 40)"
    local client, first = s:connect { token = "alice" }, {}
    for id = 10, 40 do first[id] = client:subscribe("room:" .. id) end
    local text = ("x"):rep(3000)

    for n = 1, 4 do
      for id = 10, 40 do
        s.session:run(([[select leat.publish('room:%d', '{"n":%d,"text":"%s"}')]]):format(id, n, text))
      end
    end

    local seen = {}
    for _ = 1, 4 * 31 do
      local event = client:expect("event")
      seen[event.topic] = (seen[event.topic] or 0) + 1
      assert.equal(seen[event.topic], event.data.n)
    end
    local all = s:metrics()
    assert.is_true(all.leat_ring_bytes <= 65536, all.leat_ring_bytes .. " bytes")
    assert.is_true(all.leat_ring_evicted_events_total > 50)
    local late = s:connect { token = "bob" }
    for id = 10, 40 do
      local topic = "room:" .. id
      late:ask({ op = "subscribe", id = id, topic = topic, since = { epoch = first[id].epoch, seq = 0 } }, "resumed")
      for n = 1, 4 do assert.equal(n, late:expect("event").data.n) end
    end
    s:close()
  end)

  -- Sixteen events of 4 kB are too many for 64 kB.
  it("lose the oldest event of the topic that has been silent longest, one after the other", function()
    local path = control.path()
    local s = stage.open { app = fixtures.app, schema = fixtures.schema,
      env = { LEAT_MAX_RING_BYTES = 65536, LEAT_WORKERS = 1, LEAT_CONTROL = path } }
    s.session:run "insert into rooms (id) values (10), (11), (12)"
    local client = s:connect { token = "alice" }
    for id = 10, 12 do client:subscribe("room:" .. id) end
    local text = ("x"):rep(4000)

    local function publish(id, n)
      for _ = 1, n do
        s.session:run(([[select leat.publish('room:%d', '"%s"')]]):format(id, text))
        client:expect("event")
      end
    end
    local function held()
      local counts = {}
      for _, row in ipairs(control.show(path, "topics").topics) do
        counts[row.topic] = row.ring_events
      end
      return { counts["room:10"], counts["room:11"], counts["room:12"] }
    end

    publish(10, 4)
    publish(11, 4)
    publish(10, 1) -- so 11 is the silent one
    assert.same({ 5, 4, 0 }, held())

    local lost = { held() }
    for n = 1, 16 do
      publish(12, 1)
      local now, before = held(), lost[#lost]
      assert.is_true(now[1] == before[1] or before[2] == 0, "11 has been silent for longer than 10")
      assert.is_true(now[1] + now[2] >= before[1] + before[2] - 1, "no more goes than has to")
      assert.is_true(now[3] == n or now[1] + now[2] == 0, "the busy topic comes last")
      lost[#lost + 1] = now
    end

    assert.same({ 0, 0 }, { lost[#lost][1], lost[#lost][2] })
    assert.is_true(s:metrics().leat_ring_bytes <= 65536)
    s:close()
    control.remove(path)
  end)
end)

-- Waits until those who were closed know it, and the others may stay: of 190 kB, six are too many for 1 MiB. Returns
-- how many were closed.
local function await_closed(s, clients)
  local closed, counted
  loop.eventually(function()
    closed = 0
    for _, client in ipairs(clients) do
      client:waiting()
      if client.close_code then
        assert.equal(4008, client.close_code)
        closed = closed + 1
      end
    end
    counted = metrics.value(s.server, "leat_large_clients_closed_total")
    return closed >= #clients - 5 and closed == counted
  end, nil, function() return ("%d are closed, %d were counted"):format(closed, counted) end)
  return closed
end

describe("all clients together", function()
  local s

  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema, log = { "closed reason=memory" },
      env = { LEAT_MAX_CLIENT_BYTES = 1048576, LEAT_MAX_MESSAGE_BYTES = 262144 } }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  it("hold no more than max_client_bytes: those who hold most are closed, and nobody else", function()
    local small = s:connect { token = "bob" }
    small:subscribe("room:1")
    local large = {}
    for i = 1, 10 do
      large[i] = s:connect { token = "alice" }
      local whole = frame.encode { op = frame.TEXT, payload = ("x"):rep(200000) }
      large[i]:send_bytes(whole:sub(1, 190000))
    end

    loop.eventually(function() return metrics.value(s.server, "leat_large_clients_closed_total") > 0 end)
    s.server:await_log("closed reason=memory limit=max_client_bytes")
    loop.eventually(function() return metrics.value(s.server, "leat_received_bytes") <= 1048576 end)

    s.session:run("select leat.publish('room:1', '{}')")
    small:expect("event")
    assert.is_true(await_closed(s, large) < 10)
  end)

  it("free all that they held when they go", function()
    local client = s:connect { token = "alice" }
    client:send_bytes(frame.encode { op = frame.TEXT, payload = ("x"):rep(100000) }:sub(1, 50000))
    client:send_bytes ""
    loop.eventually(function() return metrics.value(s.server, "leat_received_bytes") > 40000 end)
    client.tcp:abort()
    metrics.await(s.server, "leat_received_bytes", 0)
  end)
end)

describe("the sockets that a script serves itself", function()
  local s

  lazy_setup(function()
    s = stage.open { app = APP_WITH_SOCKET, log = { "closed reason=memory" },
      env = { LEAT_MAX_CLIENT_BYTES = 1048576, LEAT_MAX_MESSAGE_BYTES = 262144 } }
  end)
  lazy_teardown(function() s:close() end)

  it("are closed if they hold most of max_client_bytes, and a client that holds little is not", function()
    local client = s:connect { token = "x" }
    local message = frame.encode { op = frame.TEXT, payload = '{"op":"call","id":1,"method":"size","params":"'
      .. ("x"):rep(30000) .. '"}' }
    client:send_bytes(message:sub(1, -2))
    local large = {}
    for i = 1, 10 do
      large[i] = s:connect { token = "x", path = "/raw" }
      large[i]:send_bytes(frame.encode { op = frame.TEXT, payload = ("x"):rep(200000) }:sub(1, 190000))
    end

    loop.eventually(function() return metrics.value(s.server, "leat_large_clients_closed_total") > 0 end)
    loop.eventually(function() return metrics.value(s.server, "leat_received_bytes") <= 1048576 end)

    client:send_bytes(message:sub(-1))
    assert.equal(30000, client:expect("ok").data)
    await_closed(s, large)
    s:settle()
  end)
end)

describe("a client", function()
  local s

  local function open(variables)
    variables.LEAT_PING_INTERVAL_MS = 100
    s = stage.open { app = fixtures.app, schema = fixtures.schema, env = variables }
  end
  after_each(function() s:close() end)

  it("that says nothing but pongs is closed with 4408", function()
    open { LEAT_FIRST_MESSAGE_TIMEOUT_MS = 300 }
    local code, reason = s:connect({ token = "alice" }):closed()
    assert.same({ 4408, "no message came" }, { code, reason })
    assert.is_true(s:metrics()['leat_idle_clients_closed_total{limit="first_message"}'] >= 1)
  end)

  it("without subscriptions is closed with 4408 when it is silent, and one with a subscription is not", function()
    open { LEAT_IDLE_TIMEOUT_MS = 600 }
    local subscribed = s:connect { token = "alice" }
    subscribed:subscribe("room:1")
    local idle = s:connect { token = "alice" }
    idle:subscribe("room:1")
    idle:ask({ op = "unsubscribe", id = 1, topic = "room:1" }, "ok")

    local code, reason = idle:closed()

    assert.same({ 4408, "idle" }, { code, reason })
    assert.is_true(s:metrics()['leat_idle_clients_closed_total{limit="idle"}'] >= 1)
    s.session:run("select leat.publish('room:1', '{}')")
    subscribed:expect("event")
  end)
end)
