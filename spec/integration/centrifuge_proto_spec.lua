-- Centrifugo's protocol as Protobuf: how it is asked for, frames, and what is no Protobuf. What the messages mean is
-- the same in both forms (vectors_spec.lua).

local form = require "spec.support.vectors".centrifuge_protobuf
local frame = require "spec.support.frame"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"

local APP = [==[
local leat = require "leat"
local app = leat.app()
app:connect(function() return { id = 1 } end)
app:topic("room:{id:int}", {
  subscribe = function(ctx, args)
    return leat.subscribe_authorized(ctx, args, { snapshot = function() return leat.array {} end })
  end,
})
app:method("echo", function(ctx, params) return params end)
return app
]==]

local PATH = "/connection/websocket"

describe("Centrifugo's protocol as Protobuf", function()
  local s

  lazy_setup(function() s = stage.open { app = APP } end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  local function open(options)
    local client = s:connect(options or { path = PATH, headers = { ["Sec-WebSocket-Protocol"] = form.subprotocol } })
    client.messages = {}
    return client
  end

  local function send(client, messages)
    client:send_frame { op = frame.BINARY, payload = form.encode(messages) }
  end

  local function next_message(client)
    if not client.messages[1] then
      local got = assert(client:poll_frame(), "no message came")
      assert.equal(frame.BINARY, got.op)
      client.messages = form.decode(got.payload)
    end
    return table.remove(client.messages, 1)
  end

  local function connected(options)
    local client = open(options)
    send(client, { { id = 1, connect = {} } })
    assert.is_truthy(next_message(client).connect)
    return client
  end

  it("is asked for by its subprotocol, which is answered", function()
    for _, offered in ipairs { form.subprotocol, "centrifuge-json, " .. form.subprotocol } do
      local client = connected { path = PATH, headers = { ["Sec-WebSocket-Protocol"] = offered } }
      assert.equal(form.subprotocol, client.headers["sec-websocket-protocol"])
    end
  end)

  it("is asked for in the query", function()
    for _, query in ipairs { "?format=protobuf", "?cf_protocol=protobuf", "?x=1&format=protobuf" } do
      local client = connected { path = PATH .. query }
      assert.is_nil(client.headers["sec-websocket-protocol"])
    end
  end)

  it("is not what one gets without asking", function()
    for _, query in ipairs { "", "?format=json", "?format=", "?cf_protocol=PROTOBUF", "?protobuf" } do
      local client = s:connect { path = PATH .. query }
      client:send_text('{"id":1,"connect":{}}')
      assert.equal(frame.TEXT, client:poll_frame().op)
    end
  end)

  it("takes several commands in a frame, in whatever pieces it comes", function()
    local client = open()
    local commands = { { id = 1, connect = {} }, {}, { id = 2, subscribe = { channel = "room:1" } } }
    for n = 3, 40 do commands[n + 1] = { id = n, rpc = { method = "echo", data = { n } } } end
    local payload = form.encode(commands)
    local bytes = frame.encode { op = frame.BINARY, fin = false, payload = payload:sub(1, 20) }
      .. frame.encode { op = frame.CONTINUATION, payload = payload:sub(21) }
    for at = 1, #bytes, 7 do client:send_bytes(bytes:sub(at, at + 6)) end

    assert.is_truthy(next_message(client).connect)
    local answered = {}
    for _ = 2, 40 do
      local message = next_message(client)
      if message.rpc then assert.same({ message.id }, message.rpc.data) end
      answered[message.id] = true
    end
    for n = 2, 40 do assert.is_true(answered[n], "no answer to " .. n) end
  end)

  it("gives every kind of client its own form of an event", function()
    local proto = connected()
    send(proto, { { id = 2, subscribe = { channel = "room:2" } } })
    next_message(proto)
    local json = s:connect { path = PATH }
    json:send_text('{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"room:2"}}')
    while not json:poll_frame().payload:find '"subscribe"' do end
    local leat = s:connect {}
    leat:ask({ op = "subscribe", id = 1, topic = "room:2" }, "snapshot")

    s.session:run [[select leat.publish('room:2', '{"a": [1, null, "é"]}')]]

    assert.equal('{"a": [1, null, "é"]}', leat:poll_frame().payload:match '"data":(.*)}$')
    assert.matches('"data":{"a": [1, null, "é"]},"offset":1', json:poll_frame().payload, 1, true)
    assert.matches('{"a": [1, null, "é"]}', proto:poll_frame().payload, 1, true)
  end)

  it("is counted apart", function()
    local function counted()
      local list = {}
      for i, protocol in ipairs { "leat.v1", "centrifuge-json", "centrifuge-protobuf" } do
        list[i] = metrics.value(s.server, ('leat_clients{protocol="%s"}'):format(protocol))
      end
      return list
    end
    local clients = { s:connect {}, s:connect { path = PATH }, open(), connected(), connected() }
    assert.same({ 1, 1, 3 }, counted())
    for _, client in ipairs(clients) do client:close() end
    s:settle()
    assert.same({ 0, 0, 0 }, counted())
  end)

  it("answers a mistake in a command whose id is known, and goes on", function()
    local client = connected()
    local before = metrics.value(s.server, "leat_bad_requests_total")
    -- 2: a publish whose data is no JSON; 3: a subscribe that breaks off.
    client:send_frame { op = frame.BINARY, payload = "\11\8\2\58\7\10\1c\18\2{]" .. "\6\8\3\42\9\10\1"
      .. form.encode { { id = 4, rpc = { method = "echo", data = 5 } } } }

    for id = 2, 3 do
      local message = next_message(client)
      assert.same({ id, 107 }, { message.id, message.error.code })
    end
    assert.same({ id = 4, rpc = { data = 5 } }, next_message(client))
    assert.equal(before + 2, metrics.value(s.server, "leat_bad_requests_total"))
  end)

  it("closes for good what it cannot answer", function()
    for _, payload in ipairs {
      "\5\8\1",                 -- a length that the frame does not have
      "\255\255\255\255\255",   -- a length that does not end
      "\2\0\1",                 -- a field without a number
      form.encode { { subscribe = { channel = "room:1" } } },
    } do
      local client = connected()
      client:send_frame { op = frame.BINARY, payload = payload }
      assert.equal(3501, (client:closed()))
    end
    local client = connected()
    client:send_text('{"id":2,"rpc":{"method":"echo"}}')
    assert.equal(3501, (client:closed()))
  end)

  it("closes for good who begins with anything else than a connect", function()
    for _, payload in ipairs { "\255", "\0", form.encode { { id = 1, rpc = { method = "echo" } } } } do
      local client = open()
      client:send_frame { op = frame.BINARY, payload = payload }
      assert.is_true((client:closed()) >= 3000)
    end
  end)

  it("bounds a frame by its bytes and by the rate of its commands", function()
    local client = connected()
    client:send_frame { op = frame.BINARY, payload = ("\0"):rep(65537) }
    assert.equal(1009, (client:closed()))

    local other = connected()
    client = connected()
    client:send_frame { op = frame.BINARY, payload = ("\0"):rep(60000) }
    assert.equal(4429, (client:closed()))
    send(other, { { id = 2, rpc = { method = "echo", data = 1 } } })
    assert.same({ id = 2, rpc = { data = 1 } }, next_message(other))
  end)
end)
