-- Stopping: clients are sent away in order, and nothing is left.

local fixtures = require "spec.support.fixtures"
local gate = require "spec.support.gate"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"

describe("a server that is told to stop", function()
  local s

  before_each(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema,
      env = { LEAT_DRAIN_MS = 2000, LEAT_CLOSE_TIMEOUT_MS = 300 } }
  end)
  after_each(function() s:close() end)

  it("sends its clients away with 1001 and a hint, spread over time, and ends with 0", function()
    local clients = {}
    for i = 1, 12 do
      clients[i] = s:connect { token = "alice" }
      clients[i]:subscribe("room:1")
    end
    s.server:send_signal("sigterm")

    local hints = {}
    for _, client in ipairs(clients) do
      local code, reason = client:closed()
      assert.equal(1001, code)
      hints[#hints + 1] = tonumber(reason:match("^retry_after_ms=(%d+)$"))
    end
    table.sort(hints)
    assert.equal(12, #hints)
    assert.is_true(hints[1] < hints[12] and hints[12] <= 2000)
    assert.equal(0, s.server.process:wait())
  end)

  it("answers what was asked before", function()
    local client = s:connect { token = "alice" }
    local shut = gate.shut(s.db, gate.PUBLISH)
    client:send { op = "publish", id = 1, topic = "room:1", data = { body = "the last" } }
    shut:await()

    s.server:send_signal("sigterm")
    s.server:await_log("draining")
    shut:open()

    assert.equal("ok", client:until_message(function(m) return m.id == 1 end).op)
    assert.equal(1001, (client:closed()))
    assert.equal(0, s.server.process:wait())
    assert.equal("1", s.session:value("select count(*) from notes"))
  end)

  it("takes no new connections, and says so to who is connected", function()
    local keeper = s:connect { token = "alice" }
    local idle = tcp.connect(s.server.port)
    idle:write(http.text { path = "/healthz" })
    http.read_answer(idle)
    s.server:send_signal("sigterm")
    s.server:await_log("draining")

    loop.eventually(function()
      local accepted, conn = pcall(tcp.connect, s.server.port)
      if accepted then conn:close() end
      return not accepted
    end, nil, "a port that is closed")
    -- A connection may have been refused by a worker that has closed its port, while the other has still to hear of it.
    local answer
    repeat
      idle:write(http.text { path = "/readyz" })
      answer = http.read_answer(idle)
    until not answer or answer.status ~= 200
    assert.is_true(answer == nil or answer.status == 503)
    idle:close()
    keeper:closed()
    assert.equal(0, s.server.process:wait())
  end)

  it("does not wait for clients that do not answer", function()
    local silent = s:connect { token = "alice" }
    silent.tcp:read_stop()
    s.server:send_signal("sigterm")

    assert.equal(0, s.server.process:wait())
    silent:abort()
  end)

  it("stops at once when told twice", function()
    s.server:expect_log("stopped at once")
    local client = s:connect { token = "alice" }
    s.server:send_signal("sigterm")
    s.server:await_log("draining")
    s.server:send_signal("sigterm")

    assert.equal(0, s.server.process:wait())
    client:closed()
  end)

  it("in the middle of handshakes leaves nothing behind", function()
    local shut = gate.shut(s.db, gate.SNAPSHOT)
    for i = 1, 5 do
      local client = s:connect { token = "alice" }
      client:send { op = "subscribe", id = i, topic = "room:1" }
    end
    shut:await(5)

    s.server:send_signal("sigterm")

    assert.equal(0, s.server.process:wait())
    shut:open()
  end)
end)
