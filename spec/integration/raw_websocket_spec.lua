-- app:websocket: a socket that speaks no leat.v1.

local frame = require "spec.support.frame"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"
local ws = require "spec.support.ws"

local APP = [[
local leat = require "leat"
local app = leat.app()
local conns = {}
app:connect(function(ctx, request)
  if request.token ~= "good" then return leat.deny("unauthenticated") end
  return { id = 1, name = "Good" }
end)
app:websocket("/raw/{room}", {
  open = function(conn)
    conns[conn] = true
    conn:send("welcome " .. conn.user.name .. " to " .. conn.request.params.room)
  end,
  message = function(conn, data, kind)
    if data == "error" then error("secret text") end
    if data == "close" then conn:close(4000, "as you wish") return end
    if data == "all" then for other in pairs(conns) do other:send("to all") end return end
    if data == "db" then conn:send(tostring(conn.db:one("select 6 * 7 as n").n)) return end
    conn:send(data, kind)
  end,
  close = function(conn, code, reason)
    conns[conn] = nil
    conn.db:exec("insert into ends values ($1, $2)", code, reason)
  end,
})
app:websocket("/open", { message = function(conn, data) conn:send(data) end, public = true })
app:topic("t", { subscribe = function(ctx)
  return leat.subscribe_authorized(ctx, {}, { snapshot = function() return 1 end })
end })
return app
]]

describe("a raw WebSocket", function()
  local s

  lazy_setup(function()
    s = stage.open { app = APP, schema = "create table ends (code int, reason text)",
      log = { "script failed handler=websocket", "script failed handler=raw", "ERROR script" } }
  end)
  lazy_teardown(function() s:close() end)
  before_each(function() s.session:run("truncate ends") end)
  after_each(function()
    for _, client in ipairs(s.clients) do client:close() end
    s.clients = {}
    metrics.settled(s.server)
  end)

  local function open()
    local client = s:connect { token = "good", path = "/raw/pond" }
    assert.equal("welcome Good to pond", client:poll_frame().payload)
    return client
  end

  local function await_end()
    return loop.eventually(function() return s.session:rows("select * from ends")[1] end)
  end

  it("is opened, echoes text and bytes, and may read", function()
    local client = open()

    client:send_text("hello é")
    client:send_frame { op = frame.BINARY, payload = "\0\1\255" }
    client:send_text("db")

    assert.equal("hello é", client:poll_frame().payload)
    local bytes = client:poll_frame()
    assert.same({ frame.BINARY, "\0\1\255" }, { bytes.op, bytes.payload })
    assert.equal("42", client:poll_frame().payload)
  end)

  it("handles its messages in order", function()
    local client = open()
    for i = 1, 100 do client:send_text(i % 10 == 0 and "db" or tostring(i)) end

    for i = 1, 100 do assert.equal(i % 10 == 0 and "42" or tostring(i), client:poll_frame().payload) end
  end)

  it("may be kept and sent to from another's handler", function()
    local first, second = open(), open()

    second:send_text("all")

    assert.equal("to all", first:poll_frame().payload)
    assert.equal("to all", second:poll_frame().payload)
  end)

  it("is refused before the upgrade, unless it is public", function()
    local refused = ws.attempt(s.server, { path = "/raw/pond" })
    refused:close()
    assert.equal(401, refused.status)
    local client = s:connect { path = "/open" }
    client:send_text("hi")
    assert.equal("hi", client:poll_frame().payload)
  end)

  it("tells how it ended: closed by the peer", function()
    local client = open()
    client:send_frame { op = frame.CLOSE, payload = frame.close_payload(4321, "bye") }

    assert.equal(4321, (client:closed()))
    assert.same({ code = "4321", reason = "bye" }, await_end())
  end)

  it("tells how it ended: cut off", function()
    open():abort()

    assert.equal("1006", await_end().code)
  end)

  it("closes when the script says so", function()
    local client = open()
    client:send_text("close")

    assert.same({ 4000, "as you wish" }, { client:closed() })
    await_end()
  end)

  it("survives an error of its handler, or is closed with 1011", function()
    local client = open()
    client:send_text("error")
    client:send_text("still here")

    local f = client:poll_frame()
    if f then
      assert.equal("still here", f.payload)
    else
      assert.equal(1011, (client:closed()))
    end
    s.server:await_log("secret text")
  end)

  it("keeps to RFC 6455 as any other", function()
    local client = open()
    client:send_frame { op = frame.TEXT, payload = "\xff" }

    assert.equal(1007, (client:closed()))
  end)

  it("is told when the server goes away", function()
    local client = open()
    local stopping = s.server
    stopping:send_signal("sigterm")

    assert.equal(1001, (client:closed()))
    assert.equal(0, stopping.process:wait())
    s:serve(s.options.env)
  end)
end)
