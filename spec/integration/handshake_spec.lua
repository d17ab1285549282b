local fixtures = require "spec.support.fixtures"
local gate = require "spec.support.gate"
local loop = require "spec.support.loop"
local stage = require "spec.support.stage"
local ws = require "spec.support.ws"

describe("the handshake", function()
  local s

  lazy_setup(function() s = stage.open { app = fixtures.app, schema = fixtures.schema } end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  local function note(room, body)
    s.session:run(([[
      with n as (insert into notes (room_id, body) values (%d, %s) returning id, body)
      select leat.publish('room:%d', to_jsonb(n)) from n]]):format(room, s.session:quote(body), room))
  end

  it("gives a snapshot and then every event after it", function()
    note(1, "before")
    local client = s:connect { token = "alice" }

    local snapshot = client:subscribe("room:1")
    note(1, "first")
    note(1, "second")

    assert.equal("open", snapshot.data.status)
    assert.equal("before", snapshot.data.notes[1].body)
    assert.equal(1, snapshot.seq)
    assert.is_nil(snapshot.stale)
    local first, second = client:expect("event"), client:expect("event")
    assert.same({ 2, "first" }, { first.seq, first.data.body })
    assert.same({ 3, "second" }, { second.seq, second.data.body })
  end)

  it("echoes the client's own id, whatever it is", function()
    local client = s:connect { token = "alice" }

    client:send '{"op":"subscribe","id":"an \\u00e9 id","topic":"room:3"}'
    assert.equal("an é id", client:expect("snapshot").id)
    client:send '{"op":"unsubscribe","id":9007199254740993,"topic":"room:3"}'
    assert.matches('"id":9007199254740993', select(2, client:expect("ok")), 1, true)
    client:send '{"op":"subscribe","topic":"room:3"}'
    assert.is_nil(client:expect("snapshot").id)
  end)

  it("acknowledges a publish with what the handler returned, and the event comes too", function()
    local client = s:connect { token = "alice" }
    local snapshot = client:subscribe("room:3")

    client:send { op = "publish", id = 7, topic = "room:3", data = { body = "said" } }

    local by_op = {}
    for _ = 1, 2 do
      local message = client:recv()
      by_op[message.op] = message
    end
    assert.equal(7, by_op.ok.id)
    assert.equal(by_op.event.data.id, by_op.ok.data.id)
    assert.equal("said", by_op.event.data.body)
    assert.equal(snapshot.seq + 1, by_op.event.seq)
  end)

  it("answers a publish that the handler denies with its code and words", function()
    local client = s:connect { token = "alice" }

    local answer = client:ask({ op = "publish", id = 1, topic = "room:3", data = { body = 5 } }, "error")

    assert.same({ "bad_request", "body must be a text" }, { answer.code, answer.message })
  end)

  it("sends nothing of a topic after the ok to its unsubscribe", function()
    local client = s:connect { token = "alice" }
    client:subscribe("room:3")

    client:ask({ op = "unsubscribe", id = 2, topic = "room:3" }, "ok")
    note(3, "unheard")
    local other = s:connect { token = "bob" }
    other:subscribe("room:3")

    assert.same({}, client:drain())
  end)

  it("takes a topic again after it was let go", function()
    local client = s:connect { token = "alice" }
    client:subscribe("room:3")
    client:ask({ op = "unsubscribe", id = 2, topic = "room:3" }, "ok")

    local snapshot = client:subscribe("room:3")
    note(3, "heard")

    assert.equal(snapshot.seq + 1, client:expect("event").seq)
  end)

  it("refuses a second subscription to one topic", function()
    local client = s:connect { token = "alice" }
    client:subscribe("room:1")

    assert.equal("already_subscribed",
      client:ask({ op = "subscribe", id = 2, topic = "room:1" }, "error").code)
  end)

  it("refuses to unsubscribe what is not subscribed", function()
    local client = s:connect { token = "alice" }

    assert.equal("not_found", client:ask({ op = "unsubscribe", id = 1, topic = "room:1" }, "error").code)
  end)

  it("answers not_found where no pattern matches, no row is, and no method or publish handler", function()
    local client = s:connect { token = "alice" }

    for i, message in ipairs {
      { op = "subscribe", topic = "nothing:1" },
      { op = "subscribe", topic = "room:x" },
      { op = "subscribe", topic = "room:99" },
      { op = "publish", topic = "nothing:1", data = 1 },
      { op = "call", method = "nothing" },
    } do
      message.id = i
      assert.equal("not_found", client:ask(message, "error").code)
    end
  end)

  it("refuses who is not allowed, in the handler's words", function()
    local client = s:connect { token = "bob" }

    local answer = client:ask({ op = "subscribe", id = 1, topic = "room:2" }, "error")

    assert.same({ "forbidden", "this room is private" }, { answer.code, answer.message })
  end)

  it("refuses an unknown token before the upgrade", function()
    local attempt = ws.attempt(s.server, { token = "nobody" })
    attempt:close()
    local without = ws.attempt(s.server)
    without:close()

    assert.same({ 401, 401 }, { attempt.status, without.status })
  end)

  it("takes the token from the query too", function()
    local client = s:connect { path = "/ws?token=alice" }

    assert.equal("open", client:subscribe("room:2").data.status)
  end)

  it("accepts the subprotocol if it is offered, and does without", function()
    local with = s:connect { token = "alice", headers = { ["Sec-WebSocket-Protocol"] = "other, leat.v1" } }
    local without = s:connect { token = "alice" }

    assert.equal("leat.v1", with.headers["sec-websocket-protocol"])
    assert.is_nil(without.headers["sec-websocket-protocol"])
  end)

  it("does without extensions that it does not know", function()
    local client = s:connect { token = "alice", headers = { ["Sec-WebSocket-Extensions"] = "x-unknown; a=b" } }

    assert.equal("open", client:subscribe("room:1").data.status)
    assert.is_nil(client.headers["sec-websocket-extensions"])
  end)

  it("hands params to the handler", function()
    local client = s:connect { token = "alice" }

    local snapshot = client:subscribe("room:1", { params = { page = 3, tags = { "a", "b" } } })

    assert.same({ page = 3, tags = { "a", "b" } }, snapshot.data.params)
  end)

  it("answers at the caller's timeout_ms, and later requests are unharmed", function()
    local client = s:connect { token = "alice" }
    local shut = gate.shut(s.db, gate.SNAPSHOT)
    local began = loop.now()

    client:send { op = "subscribe", id = 1, topic = "room:1", timeout_ms = 300 }
    local answer = client:expect("error", 1)
    local took = loop.now() - began
    shut:open()

    assert.equal("deadline_exceeded", answer.code)
    assert.is_true(took >= 295 and took < 4900, "answered after " .. took .. " ms")
    assert.equal("open", client:subscribe("room:1").data.status)
    s.server:expect_log("deadline passed handler=snapshot")
  end)

  it("ends a subscribe that is unsubscribed before it was answered", function()
    local client = s:connect { token = "alice" }
    local shut = gate.shut(s.db, gate.SNAPSHOT)
    client:send { op = "subscribe", id = 1, topic = "room:1" }
    shut:await()

    client:send { op = "unsubscribe", id = 2, topic = "room:1" }

    assert.equal(1, client:expect("error").id)
    assert.equal(2, client:expect("ok").id)
    shut:open()
    assert.equal("open", client:subscribe("room:1").data.status)
  end)

  it("runs a client's publishes to one topic in order, and others meanwhile", function()
    local client = s:connect { token = "alice" }
    local shut = gate.shut(s.db, gate.PUBLISH)
    for i = 1, 5 do
      client:send { op = "publish", id = i, topic = "room:4", data = { body = "n" .. i } }
    end
    shut:await(1)
    assert.equal("open", client:subscribe("room:1").data.status)
    shut:open()

    for i = 1, 5 do client:expect("ok", i) end

    local bodies = s.session:value("select string_agg(data->>'body', ' ' order by seq) from leat.event "
      .. "where topic = 'room:4'")
    assert.equal("n1 n2 n3 n4 n5", bodies)
  end)

  it("completes the write of a client that has gone", function()
    local client = s:connect { token = "alice" }
    local shut = gate.shut(s.db, gate.PUBLISH)
    client:send { op = "publish", id = 1, topic = "room:4", data = { body = "the last word" } }
    shut:await()

    client:abort()
    shut:open()

    loop.eventually(function()
      return s.session:value("select 1 from notes where body = 'the last word'")
    end, nil, "the write of a client that has gone")
  end)
end)
