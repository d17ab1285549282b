-- permessage-deflate (RFC 7692): long messages come compressed, to whoever offers it.

local zlib = require "zlib"

local stage = require "spec.support.stage"
local ws = require "spec.support.ws"

local APP = [[
local leat = require "leat"
local app = leat.app()
local long = ("all work and no play "):rep(50)

app:connect(function() return { id = 1 } end)
app:topic("room:{id:int}", {
  subscribe = function(ctx)
    return leat.subscribe_authorized(ctx, { id = 1 }, { snapshot = function() return long end })
  end,
})
app:method("echo", function(_, params) return params end)
app:websocket("/raw", { message = function(conn, data, kind) conn:send(data, kind) end })
return app
]]

local LONG = ("all work and no play "):rep(50)
local TEXT = 1

-- A message as stored blocks: compressed in form, and no shorter than before.
local function stored(...)
  local blocks = {}
  for i, text in ipairs { ... } do
    blocks[i] = "\0" .. string.pack("<I2I2", #text, ~#text & 0xffff) .. text
  end
  return table.concat(blocks) .. "\0"
end

describe("permessage-deflate", function()
  local s

  lazy_setup(function() s = stage.open { app = APP, schema = "select 1" } end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  local function connect(offer, path)
    return s:connect { path = path, headers = { ["Sec-WebSocket-Extensions"] = offer } }
  end

  local function publish(text)
    s.session:publish("room:1", '"' .. text .. '"')
  end

  it("is agreed without any context takeover", function()
    local client = connect "permessage-deflate; client_max_window_bits"

    assert.equal("permessage-deflate; server_no_context_takeover; client_no_context_takeover",
      client.headers["sec-websocket-extensions"])
  end)

  it("compresses a snapshot and an event, if they are long", function()
    local client = connect "permessage-deflate"

    client:send { op = "subscribe", id = 1, topic = "room:1" }
    local snapshot = client:poll_frame()
    publish(LONG)
    local event = client:poll_frame()
    publish("short")
    local short = client:poll_frame()

    for _, frame in ipairs { snapshot, event } do
      assert.is_true(frame.compressed_length < 200)
      assert.is_truthy(frame.payload:find(LONG, 1, true))
    end
    assert.is_nil(short.compressed_length)
    assert.is_truthy(short.payload:find("short", 1, true))
  end)

  it("gives the same event to those who take it compressed and to those who do not", function()
    local one, two, plain = connect "permessage-deflate", connect "permessage-deflate", s:connect {}
    for _, client in ipairs { one, two, plain } do client:subscribe "room:1" end

    publish(LONG)

    local a, b, c = one:poll_frame(), two:poll_frame(), plain:poll_frame()
    assert.equal(a.compressed_length, b.compressed_length)
    assert.equal(a.payload, b.payload)
    assert.equal(a.payload, c.payload)
    assert.is_nil(c.compressed_length)
  end)

  it("refers to nothing that the client's window does not hold", function()
    for bits = 9, 15 do
      local client = connect("permessage-deflate; server_max_window_bits=" .. bits, "/raw")
      local far = {}
      for i = 1, 4000 do far[i] = ("%d "):format(i * i % 3000) end -- it repeats itself, but not at once

      client:send_text(table.concat(far))

      local echo = client:poll_frame()
      assert.matches("server_max_window_bits=" .. bits, client.headers["sec-websocket-extensions"], 1, true)
      assert.is_number(echo.compressed_length)
      assert.is_true(echo.payload == table.concat(far))
    end
  end)

  it("sends an event as it is to a client whose window is smaller, and a long message if it has 8 bits", function()
    local client = connect "permessage-deflate; server_max_window_bits=9"
    local tiny = connect("permessage-deflate; server_max_window_bits=8", "/raw")

    client:send { op = "subscribe", id = 1, topic = "room:1" }
    tiny:send_text(LONG)

    assert.is_nil(tiny:poll_frame().compressed_length)
    assert.is_number(client:poll_frame().compressed_length)
    publish(LONG)
    assert.is_nil(client:poll_frame().compressed_length)
    publish(("x"):rep(300))
    assert.is_number(client:poll_frame().compressed_length)
  end)

  it("takes compressed messages", function()
    local client = connect "permessage-deflate"

    client:send_frame { op = TEXT, rsv = 4, payload = stored('{"op":"call","id":7,"method":"echo","params":"hi"}') }

    assert.equal("hi", client:expect("ok", 7).data)
  end)

  it("closes for a message that becomes too large, or is not compressed at all", function()
    local large, wrong = connect "permessage-deflate", connect "permessage-deflate"

    large:send_frame { op = TEXT, rsv = 4, payload = zlib.deflate(9, -15)(("x"):rep(70000), "sync"):sub(1, -5) }
    wrong:send_frame { op = TEXT, rsv = 4, payload = "\7\0" }

    assert.equal(1009, large:closed())
    assert.equal(1007, wrong:closed())
  end)

  it("holds for raw WebSockets", function()
    local client = connect("permessage-deflate", "/raw")

    client:send_frame { op = TEXT, rsv = 4, payload = stored(LONG) }

    local frame = client:poll_frame()
    assert.equal(LONG, frame.payload)
    assert.is_number(frame.compressed_length)
  end)

  it("refuses a malformed offer", function()
    local attempt = ws.attempt(s.server, { headers = { ["Sec-WebSocket-Extensions"] = "permessage-deflate;" } })

    assert.equal(400, attempt.status)
    attempt:close()
  end)
end)

describe("compression_level 0", function()
  it("declines every offer", function()
    local s = stage.open { app = APP, schema = "select 1", env = { LEAT_COMPRESSION_LEVEL = "0" } }
    local client = s:connect { headers = { ["Sec-WebSocket-Extensions"] = "permessage-deflate" } }

    assert.is_nil(client.headers["sec-websocket-extensions"])
    assert.is_string(client:subscribe("room:1").data)

    s:close()
  end)
end)
