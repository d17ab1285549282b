-- Limits, each with its name and its answer.

local fixtures = require "spec.support.fixtures"
local frame = require "spec.support.frame"
local gate = require "spec.support.gate"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"
local ws = require "spec.support.ws"

describe("a limit", function()
  local s

  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema, log = { "result too large" }, env = {
      LEAT_MAX_SUBSCRIPTIONS = 2, LEAT_MAX_MESSAGE_BYTES = 2000, LEAT_MAX_CONNECTIONS = 8, LEAT_MAX_INFLIGHT = 4,
      LEAT_MAX_SNAPSHOT_BYTES = 20000,
    } }
    s.session:run "insert into rooms (id) select generate_series(10, 40)"
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  it("of subscriptions on a connection is answered limit", function()
    local client = s:connect { token = "alice" }
    client:subscribe("room:1")
    client:subscribe("room:2")

    assert.equal("limit", client:ask({ op = "subscribe", id = 1, topic = "room:3" }, "error").code)
    client:ask({ op = "unsubscribe", id = 2, topic = "room:1" }, "ok")
    client:subscribe("room:3")
  end)

  it("of bytes in a message closes with 1009", function()
    local client = s:connect { token = "alice" }

    client:send_text('{"op":"call","method":"x","params":"' .. ("x"):rep(2000) .. '"}')

    assert.equal(1009, (client:closed()))
  end)

  it("of connections is answered 503, and lets in again when one has gone", function()
    local clients = {}
    for i = 1, 8 do clients[i] = s:connect { token = "alice" } end

    local refused = ws.attempt(s.server, { token = "alice" })
    refused:close()
    assert.equal(503, refused.status)
    assert.matches("limit", refused.body, 1, true)
    assert.matches("^%d+$", refused.headers["retry-after"])
    s.server:await_log("connections refused limit=max_connections count=%d")
    clients[1]:close()
    clients[2]:close()

    metrics.await(s.server, "leat_connections", 6)
    s:connect { token = "alice" }
    assert.is_true(s:metrics().leat_connections_refused_total >= 1)
  end)

  it("of requests in flight makes the rest wait, and loses none", function()
    local client = s:connect { token = "alice" }
    local shut = gate.shut(s.db, gate.PUBLISH)
    local frames = {}
    for i = 1, 20 do
      frames[i] = frame.encode { op = frame.TEXT,
        payload = ('{"op":"publish","id":%d,"topic":"room:%d","data":{"body":"x"}}'):format(i, 10 + i) }
    end
    client:send_bytes(table.concat(frames))
    loop.eventually(function() return shut:waiting() >= 4 end)
    metrics.await(s.server, 'leat_pg_pool_connections{state="connecting"}', 0)
    local waiting, queued = shut:waiting(), s:metrics().leat_pg_pool_waiters
    shut:open()
    assert.same({ 4, 0 }, { waiting, queued })

    local seen = {}
    for _ = 1, 20 do seen[client:expect("ok").id] = true end
    for i = 1, 20 do assert.is_true(seen[i]) end
  end)

  it("of values counts the digits that a number in few bytes would have in Postgres", function()
    local client = s:connect { token = "alice" }
    local function publish(numbers)
      client:send_bytes(frame.encode { op = frame.TEXT,
        payload = ('{"op":"publish","id":1,"topic":"room:11","data":{"body":"x","n":[%s]}}'):format(numbers) })
    end

    publish(("1e131000,"):rep(50) .. "1")
    assert.equal("too_large", client:expect("error").code)
    publish "1e400,1e-400"
    client:expect "ok"
  end)

  it("of bytes in a snapshot is answered too_large", function()
    s.session:run("insert into notes (room_id, body) select 4, repeat('x', 1000) from generate_series(1, 30)")
    local client = s:connect { token = "alice" }

    assert.equal("too_large", client:ask({ op = "subscribe", id = 1, topic = "room:4" }, "error").code)
    assert.equal("open", client:subscribe("room:1").data.status)
    s.session:run("delete from notes where room_id = 4")
  end)

end)
