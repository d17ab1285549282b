-- Clients that do not read, or do not live.

local fixtures = require "spec.support.fixtures"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"

describe("a client that does not answer pings", function()
  local s

  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema,
      env = { LEAT_PING_INTERVAL_MS = 200, LEAT_PONG_TIMEOUT_MS = 2000 } }
  end)
  lazy_teardown(function() s:close() end)

  it("is closed, and who answers stays", function()
    local silent, lively = s:connect { token = "alice" }, s:connect { token = "bob" }
    silent.tcp:read_stop()

    loop.eventually(function()
      lively:waiting() -- reads, and so answers pings
      return s:metrics().leat_connections == 1
    end, 30000, "the end of the silent client")

    assert.equal("open", lively:subscribe("room:1").data.status)
    silent:abort()
    s:settle()
  end)
end)

describe("a client that does not read", function()
  local s

  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema, env = {
      LEAT_SLOW_CLIENT_TIMEOUT_MS = 500, LEAT_MAX_SEND_BUFFER_BYTES = 65536, LEAT_RING_EVENTS = 16 } }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  local DATA = '"' .. ("x"):rep(7000) .. '"'

  local function publish(topic, n)
    s.session:run(("select leat.publish('%s', '%s') from generate_series(1, %d)"):format(topic, DATA, n))
  end

  it("is closed as too slow, and others are not held up", function()
    local slow, quick = s:connect { token = "alice" }, s:connect { token = "bob" }
    slow:subscribe("room:1")
    local seq = quick:subscribe("room:1").seq
    slow.tcp:read_stop()
    local before = s:metrics().leat_slow_clients_closed_total

    for _ = 1, 40 do
      publish("room:1", 25)
      for _ = 1, 25 do
        seq = seq + 1
        assert.equal(seq, quick:expect("event").seq)
      end
    end

    metrics.await_growth(s.server, "leat_slow_clients_closed_total", before)
    slow:abort()
    metrics.await(s.server, "leat_connections", 1)
  end)

  it("costs no more than its buffer, and has every event when it reads again", function()
    local slow = s:connect { token = "alice" }
    local seq = slow:subscribe("room:2").seq
    slow.tcp:read_stop()
    publish("room:2", 1500)
    metrics.await(s.server, 'leat_subscriptions{state="live"}', 1)
    local buffered = s:metrics().leat_send_buffer_bytes
    local ring = s:metrics().leat_ring_bytes
    slow.tcp:read_start()

    for _ = 1, 1500 do
      seq = seq + 1
      assert.equal(seq, slow:expect("event").seq)
    end
    assert.is_true(buffered <= 65536 + 7200, buffered .. " bytes buffered")
    assert.is_true(ring <= 17 * 7400, ring .. " bytes in the ring")
  end)
end)

describe("a client with the smallest buffer that the configuration allows", function()
  local s

  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema,
      env = { LEAT_MAX_SEND_BUFFER_BYTES = 4096, LEAT_RING_BYTES = 4096, LEAT_RING_EVENTS = 1 } }
  end)
  lazy_teardown(function() s:close() end)

  it("gets every event, also those that are larger than it", function()
    local client = s:connect { token = "alice" }
    local seq = client:subscribe("room:1").seq
    for size = 3000, 9000, 500 do
      s.session:run(([[
        select leat.publish('room:1', to_jsonb(repeat('x', %d))) from generate_series(1, 20)]]):format(size))
    end

    for i = 1, 13 * 20 do assert.equal(seq + i, client:expect("event").seq) end
    s:settle()
  end)
end)
