-- What one client may do is the same for clients of Centrifugo as for those of leat.v1: rates, subscriptions, bytes.

local lines = require "spec.support.centrifuge"
local stage = require "spec.support.stage"

local APP = [==[
local leat = require "leat"
local app = leat.app()
app:connect(function(_, request)
  return { id = request.token, limits = request.token == "small" and { max_subscriptions = 1 } or nil }
end)
app:topic("room:{id:int}", {
  subscribe = function(ctx, args)
    return leat.subscribe_authorized(ctx, args, { snapshot = function() return leat.null end })
  end,
  publish = function() return true end,
})
app:method("echo", function(_, params) return params end)
return app
]==]

describe("a client of Centrifugo", function()
  local s

  lazy_teardown(function() s:close() end)
  lazy_setup(function()
    s = stage.open { app = APP, env = { LEAT_MAX_SUBSCRIPTIONS = 2, LEAT_PUBLISH_RATE_PER_USER = 1,
      LEAT_PUBLISH_BURST_PER_USER = 2, LEAT_MESSAGE_RATE_PER_CLIENT = 1, LEAT_MESSAGE_BURST_PER_CLIENT = 20,
      LEAT_MAX_MESSAGE_BYTES = 4096, LEAT_PING_INTERVAL_MS = 1000 } }
  end)
  after_each(function() s:settle() end)

  local function subscribe(client, id)
    local reply = client:ask { subscribe = { channel = "room:" .. id } }
    return reply.subscribe and "ok" or reply.error.code
  end

  it("has as many subscriptions as the configuration says, or connect", function()
    local client = lines.connect(s, { token = "alice" })
    assert.same({ "ok", "ok", 106 }, { subscribe(client, 1), subscribe(client, 2), subscribe(client, 3) })
    client = lines.connect(s, { token = "small" })
    assert.same({ "ok", 106 }, { subscribe(client, 1), subscribe(client, 2) })
  end)

  it("publishes no faster than the rate", function()
    local client = lines.connect(s, { token = "bob" })
    local last
    for _ = 1, 5 do last = client:ask { publish = { channel = "room:1", data = 1 } } end
    assert.same({ 111, true }, { last.error.code, last.error.temporary })
  end)

  it("sends no more messages than the rate, however many come in one frame", function()
    local client = lines.connect(s, { token = "carol" })
    local commands = {}
    for id = 101, 150 do commands[#commands + 1] = ('{"id":%d,"rpc":{"method":"echo","data":1}}'):format(id) end
    client.ws:send_text(table.concat(commands, "\n"))
    local refused
    repeat refused = client:next().error until refused
    assert.same({ 111, true }, { refused.code, refused.temporary })
  end)

  it("sends no larger message than max_message_bytes", function()
    local client = lines.connect(s, { token = "dora" })
    client:send { rpc = { method = "echo", data = ("x"):rep(5000) } }
    assert.equal(1009, client:closed())
  end)
end)
