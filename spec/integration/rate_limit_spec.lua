-- What a client may send in a second: the answer to too much, the metric, and the line in the log.

local fixtures = require "spec.support.fixtures"
local frame = require "spec.support.frame"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"

local function repeated(n, f)
  return (frame.encode(f)):rep(n)
end

describe("a client that sends too", function()
  local s

  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema, env = {
      LEAT_MESSAGE_RATE_PER_CLIENT = 20, LEAT_MESSAGE_BURST_PER_CLIENT = 30,
      LEAT_CONTROL_RATE_PER_CLIENT = 5, LEAT_CONTROL_BURST_PER_CLIENT = 10,
    } }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  local function limited(limit)
    return metrics.value(s.server, ('leat_rate_limited_total{limit="%s"}'):format(limit))
  end

  it("many messages gets rate_limited, and goes on after retry_after_ms", function()
    local client = s:connect { token = "alice" }
    local before = limited("messages")
    local messages = {}
    for i = 1, 35 do
      messages[i] = frame.encode { op = frame.TEXT,
        payload = ('{"op":"unsubscribe","id":%d,"topic":"room:1"}'):format(i) }
    end
    client:send_bytes(table.concat(messages)) -- at once, so that they come in the same moment

    local codes, wait_ms = {}, nil
    for i = 1, 35 do
      local answer = client:expect("error", i)
      codes[answer.code] = (codes[answer.code] or 0) + 1
      wait_ms = answer.retry_after_ms or wait_ms
    end

    assert.is_true(codes.not_found >= 30 and codes.rate_limited >= 1, codes.not_found .. " were served")
    assert.is_true(wait_ms > 0 and wait_ms <= 300, "retry_after_ms " .. wait_ms)
    assert.equal(before + codes.rate_limited, limited("messages"))
    local at = loop.now() + wait_ms
    loop.eventually(function() return loop.now() >= at end)
    assert.equal("not_found", client:ask({ op = "unsubscribe", id = 99, topic = "room:1" }, "error").code)
  end)

  it("many messages, whatever it is told, is closed with 4429", function()
    local client = s:connect { token = "alice" }
    local first = #s.server.log + 1

    client:send_bytes(repeated(200, { op = frame.TEXT, payload = '{"op":"fly"}' }))

    local code, reason = client:closed()
    assert.same({ 4429, "too many messages" }, { code, reason })
    s.server:await_log("closed reason=flood limit=message_rate_per_client", first)
    assert.is_true(s:metrics().leat_flooding_clients_closed_total > 0)
  end)

  it("many pings is closed with 4429", function()
    local client = s:connect { token = "alice" }

    client:send_bytes(repeated(50, { op = frame.PING, payload = "x" }))

    assert.equal(4429, (client:closed()))
    assert.is_true(limited("controls") > 0)
    s.server:await_log("closed reason=flood limit=control_rate_per_client")
  end)

  it("many pongs is closed with 4429", function()
    local client = s:connect { token = "alice" }

    client:send_bytes(repeated(50, { op = frame.PONG, payload = "x" }))

    assert.equal(4429, (client:closed()))
  end)

  it("much does not disturb another one", function()
    local bob = s:connect { token = "bob" }
    bob:subscribe("room:1")
    for _ = 1, 10 do
      local flood = s:connect { token = "alice" }
      flood:send_bytes(repeated(2000, { op = frame.TEXT, payload = '{"op":"fly"}' }))
    end

    for i = 1, 5 do
      s.session:run("select leat.publish('room:1', '{}')")
      assert.equal(i, bob:expect("event").seq)
    end
  end)
end)

describe("a client with byte_rate_per_client", function()
  local MAX_MESSAGE = 8192
  local s

  -- Far less than a client may always send.
  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema, env = { LEAT_MAX_MESSAGE_BYTES = MAX_MESSAGE,
      LEAT_BYTE_RATE_PER_CLIENT = 1, LEAT_BYTE_BURST_PER_CLIENT = 1 } }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  local function slowed()
    return metrics.value(s.server, 'leat_rate_limited_total{limit="bytes"}')
  end

  local function send_large(client, n)
    local large = ("x"):rep(MAX_MESSAGE - 100)
    for i = 1, n do client:send { op = "call", id = i, method = "none", params = { large } } end
    for i = 1, n do assert.equal("not_found", client:expect("error", i).code) end
  end

  it("may send 32 of its largest messages at once in any case", function()
    local before = slowed()

    send_large(s:connect { token = "alice" }, 32)

    assert.equal(before, slowed())
  end)

  it("is read more slowly if it sends more, and loses nothing", function()
    local before = slowed()

    send_large(s:connect { token = "alice" }, 45)

    assert.is_true(slowed() > before)
    s.server:await_log("slowed limit=byte_rate_per_client")
  end)
end)
