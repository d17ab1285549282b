-- One topic as a route: a WebSocket that needs no subscribe message, or Server-Sent Events.

local cjson = require "cjson"
local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"
local ws = require "spec.support.ws"

describe("a stream route", function()
  local s

  lazy_setup(function() s = stage.open { app = fixtures.app, schema = fixtures.schema } end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  local function publish(n)
    s.session:publish("room:1", ('{"n":%d}'):format(n))
  end

  it("answers any other plain GET with 426", function()
    local answer = http.request(s.server, { path = "/rooms/1/stream", headers = { Authorization = "Bearer alice" } })

    assert.equal(426, answer.status)
    assert.equal("websocket", answer.headers.upgrade)
  end)

  it("closes after 426", function()
    local conn = tcp.connect(s.server.port)
    local text = http.text { path = "/rooms/1/stream", headers = { Authorization = "Bearer alice" } }
    conn:write(text .. http.text { path = "/healthz" })

    assert.equal(426, http.read_answer(conn).status)
    assert.is_nil(http.read_answer(conn))
    assert.is_true(conn.ended)
    conn:close()
  end)

  it("answers other methods with 405", function()
    local answer = http.request(s.server, { method = "POST", path = "/rooms/1/stream", body = "" })

    assert.equal(405, answer.status)
  end)

  it("is 404 where its pattern does not match", function()
    assert.equal(404, http.request(s.server, { path = "/rooms/x/stream", headers = ws.headers() }).status)
  end)

  context("as a WebSocket", function()
    local function open(path)
      return s:connect { token = "alice", path = path or "/rooms/1/stream" }
    end

    it("sends the snapshot without an id, then events", function()
      local client = open()

      local snapshot = client:expect("snapshot")
      publish(1)

      assert.is_nil(snapshot.id)
      assert.equal("room:1", snapshot.topic)
      assert.equal(snapshot.seq + 1, client:expect("event").seq)
    end)

    it("hands the query's parameters to the handler", function()
      local snapshot = open("/rooms/1/stream?page=2&q=a%20b"):expect("snapshot")

      assert.same({ page = "2", q = "a b" }, snapshot.data.params)
    end)

    it("resumes at the position in its query", function()
      local snapshot = open():expect("snapshot")
      publish(1)
      publish(2)

      local client = open(("/rooms/1/stream?epoch=%s&seq=%d"):format(snapshot.epoch, snapshot.seq))

      assert.equal(snapshot.seq, client:expect("resumed").seq)
      assert.equal(snapshot.seq + 1, client:expect("event").seq)
      assert.equal(snapshot.seq + 2, client:expect("event").seq)
    end)

    it("carries its one topic and no other", function()
      local client = open()
      client:expect("snapshot")

      assert.equal("bad_request", client:ask({ op = "subscribe", id = 1, topic = "room:3" }, "error").code)
    end)

    it("ends with its unsubscribe", function()
      local client = open()
      client:expect("snapshot")

      client:ask({ op = "unsubscribe", id = 1, topic = "room:1" }, "ok")

      assert.equal(1000, (client:closed()))
    end)
  end)

  context("as Server-Sent Events", function()
    local function open(headers, path)
      local all = { Authorization = "Bearer alice" }
      for name, value in pairs(headers or {}) do all[name] = value end
      local stream = http.sse(s.server, path or "/rooms/1/stream", all)
      s.clients[#s.clients + 1] = stream
      return stream
    end

    it("sends the same messages, each with its position as id", function()
      local stream = open()
      local snapshot = stream:recv()
      publish(1)

      local event = stream:recv()

      assert.equal(200, stream.status)
      assert.equal("text/event-stream", stream.headers["content-type"]:match("^[^;]+"))
      assert.equal("snapshot", snapshot.event)
      local data = cjson.decode(snapshot.data)
      assert.same({ "snapshot", "room:1" }, { data.op, data.topic })
      assert.equal(("%s:%d"):format(data.epoch, data.seq), snapshot.id)
      assert.equal("event", event.event)
      assert.equal(("%s:%d"):format(data.epoch, data.seq + 1), event.id)
      assert.equal(data.seq + 1, cjson.decode(event.data).seq)
    end)

    it("resumes from Last-Event-ID", function()
      local snapshot = open():recv()
      publish(1)
      publish(2)

      local stream = open { ["Last-Event-ID"] = snapshot.id }

      local resumed, first, second = stream:recv(), stream:recv(), stream:recv()
      assert.same({ "resumed", "event", "event" }, { resumed.event, first.event, second.event })
      assert.same({ n = 1 }, cjson.decode(first.data).data)
      assert.same({ n = 2 }, cjson.decode(second.data).data)
    end)

    it("answers a Last-Event-ID that is none with a snapshot", function()
      for _, id in ipairs { "nonsense", "a:b", "00000001-000000000000:5", ":", "x:99999999999999999999" } do
        assert.equal("snapshot", open({ ["Last-Event-ID"] = id }):recv().event, id)
      end
    end)

    it("sends signals without a position", function()
      local stream = open()
      stream:recv()

      s.session:run [[select leat.signal('room:1', '{"typing": true}')]]

      local signal = stream:recv()
      assert.equal("signal", signal.event)
      assert.is_nil(signal.id)
      assert.same({ typing = true }, cjson.decode(signal.data).data)
    end)

    it("survives a client that talks on", function()
      local stream = open()
      stream:recv()
      stream.conn:write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nand more")
      publish(1)

      assert.equal("event", stream:recv().event)
    end)
  end)
end)
