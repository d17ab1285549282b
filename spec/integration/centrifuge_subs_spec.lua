-- Subscriptions that the server makes, as clients of Centrifugo are told of them (docs/centrifuge.md).

local cjson = require "cjson"
local lines = require "spec.support.centrifuge"
local loop = require "spec.support.loop"
local stage = require "spec.support.stage"

local APP = [==[
local leat = require "leat"
local app = leat.app()
-- The token is the list of topics.
app:connect(function(ctx, request)
  for topic in (request.token or ""):gmatch("[^,]+") do
    assert(leat.subscribe(ctx, topic, { params = { by = "connect" } }) == true)
  end
  return { id = "alice" }
end)
app:topic("room:{name}", {
  subscribe = function(ctx, args)
    if ctx.db:one("select from banned where room = $1", args.name) then return leat.deny("forbidden") end
    return leat.subscribe_authorized(ctx, args, {
      snapshot = function(db)
        return { user = ctx.user.id, params = ctx.params, n = db:one("select count(*) as n from leat.event").n }
      end,
    })
  end,
})
app:topic("closed:{name}", { subscribe = function() return leat.deny("forbidden") end })
app:topic("slow:{name}", { subscribe = function(ctx) ctx.db:exec("select pg_sleep(20)") end })
app:topic("held:{name}", {
  subscribe = function(ctx, args)
    ctx.db:exec("select pg_advisory_lock_shared(8), pg_advisory_unlock_shared(8)")
    return leat.subscribe_authorized(ctx, args, { snapshot = function() return leat.null end })
  end,
})
app:method("join", function(ctx, topic)
  local ok, code = leat.subscribe(ctx, topic)
  return ok and "joined" or code
end)
return app
]==]

describe("a subscription that the server makes", function()
  local s
  local rooms = 0

  lazy_setup(function()
    s = stage.open { app = APP, schema = "create table banned (room text)", log = { "deadline passed" },
      env = { LEAT_CONTROL_TIMEOUT_MS = 4000, LEAT_PING_INTERVAL_MS = 1000 } }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  -- A topic of its own, and its name alone.
  local function room()
    rooms = rooms + 1
    return "room:r" .. rooms, "r" .. rooms
  end

  local function publish(topic, data)
    s.session:run(("select leat.publish('%s', '%s')"):format(topic, data))
  end

  it("is in the answer to connect, and its events follow", function()
    local first, second = room(), room()
    publish(second, "1")

    local client = lines.connect(s, { token = first .. ",closed:1," .. second .. ",elsewhere" })

    local subs = client.welcome.subs
    assert.is_nil(subs["closed:1"])
    assert.is_nil(subs.elsewhere)
    assert.same({ user = "alice", params = { by = "connect" }, n = subs[first].data.n }, subs[first].data)
    assert.same({ true, true, 0 }, { subs[first].recoverable, subs[first].positioned, subs[first].offset })
    assert.equal(1, subs[second].offset)
    assert.is_nil(subs[first].was_recovering)
    publish(first, "11")
    publish(second, "22")
    assert.same({ channel = first, pub = { data = 11, offset = 1 } }, client:push("pub"))
    assert.same({ channel = second, pub = { data = 22, offset = 2 } }, client:push("pub"))
  end)

  it("goes on from the position that the client brings with connect", function()
    local topic = room()
    publish(topic, "1")
    local client = lines.connect(s, { token = topic })
    local at = client.welcome.subs[topic]
    client:close()
    publish(topic, "2")
    publish(topic, "3")

    local function come_back(epoch)
      local known = { [topic] = { recover = true, epoch = epoch, offset = at.offset } }
      return lines.connect(s, { token = topic, subs = known })
    end
    client = come_back(at.epoch)
    local sub = client.welcome.subs[topic]
    assert.same({ true, true, 1 }, { sub.recovered, sub.was_recovering, sub.offset })
    assert.is_nil(sub.data)
    assert.equal(2, client:push("pub").pub.offset)
    assert.equal(3, client:push("pub").pub.offset)

    client = come_back("another")
    sub = client.welcome.subs[topic]
    assert.same({ true, 3, "alice" }, { sub.was_recovering, sub.offset, sub.data.user })
    assert.is_nil(sub.recovered)
  end)

  it("is a push if it is made later, also by a renewal of the identity", function()
    local first, second = room(), room()
    local client = lines.connect(s, { token = "" })
    assert.is_nil(client.welcome.subs)

    local function join(topic) return client:ask({ rpc = { method = "join", data = topic } }).rpc.data end
    assert.equal("joined", join(first))
    local push = client:push("subscribe")
    assert.equal(first, push.channel)
    assert.same({ 0, "alice" }, { push.subscribe.offset, push.subscribe.data.user })
    assert.equal("already_subscribed", join(first))

    client:ask { refresh = { token = first .. "," .. second } }
    assert.equal(second, client:push("subscribe").channel)
    publish(second, "1")
    assert.equal(1, client:push("pub").pub.offset)
  end)

  it("is told of anew at a resync, and of its end", function()
    local topic, name = room()
    local client = lines.connect(s, { token = topic })

    s.session:run(("select leat.resync('%s')"):format(topic))
    assert.same({ code = 2500, reason = "resync" }, client:push("unsubscribe").unsubscribe)
    local push = client:push("subscribe")
    assert.same({ topic, 1, "alice" }, { push.channel, push.subscribe.offset, push.subscribe.data.user })

    s.session:run(("insert into banned values ('%s'); select leat.revoke('%s')"):format(name, topic))
    assert.same({ channel = topic, unsubscribe = { code = 2000, reason = "revoked" } }, client:push("unsubscribe"))
    assert.equal("forbidden", client:ask({ rpc = { method = "join", data = topic } }).rpc.data)
  end)

  it("is one like others: for history, unsubscribe, subscribe", function()
    local topic = room()
    publish(topic, "1")
    local client = lines.connect(s, { token = topic })
    assert.equal(1, #client:ask({ history = { channel = topic, limit = 5 } }).history.publications)
    assert.equal(105, client:ask({ subscribe = { channel = topic } }).error.code)
    assert.is_truthy(client:ask({ unsubscribe = { channel = topic } }).unsubscribe)
    -- One that the client has asked for is its own: at a resync it subscribes again.
    client:subscribe(topic)
    s.session:run(("select leat.resync('%s')"):format(topic))
    assert.equal(2500, client:push("unsubscribe").unsubscribe.code)
  end)

  it("is told of before its events, and before its end", function()
    local kept, ended, name = room(), room()
    s.session:run("select pg_advisory_lock(8)")
    local client = lines.open(s)
    client:send { connect = { token = kept .. "," .. ended .. ",held:1" } }
    loop.eventually(function()
      local metrics = s:metrics()
      return metrics['leat_subscriptions{state="live"}'] + metrics['leat_subscriptions{state="replaying"}'] == 2
    end, nil, "two subscriptions")
    publish(kept, "1")
    s.session:run(("insert into banned values ('%s'); select leat.revoke('%s')"):format(name, ended))
    publish(ended, "2")
    s.session:run("select pg_advisory_unlock(8)")

    local subs = client:next().connect.subs
    assert.is_truthy(subs["held:1"])
    assert.same({ 0, 0 }, { subs[ended].offset, subs[kept].offset })
    assert.same({ channel = kept, pub = { data = 1, offset = 1 } }, client:push("pub"))
    assert.same({ channel = ended, unsubscribe = { code = 2000, reason = "revoked" } }, client:push("unsubscribe"))
  end)

  it("is left out if it is not answered in time", function()
    local topic = room()
    local client = lines.connect(s, { token = "slow:1," .. topic })
    assert.is_nil(client.welcome.subs["slow:1"])
    assert.is_truthy(client.welcome.subs[topic])
  end)

  it("leaves nothing behind when the client goes away before the answer", function()
    local client = lines.open(s)
    client:send { connect = { token = "slow:1," .. room() } }
    client:close()
  end)

  it("reaches clients of leat.v1 as a snapshot without an id", function()
    local topic = room()
    for _, path in ipairs { "/ws?token=" .. topic:gsub(":", "%%3A"), "/ws?authenticate=message" } do
      local client = s:connect { path = path }
      if path:find("authenticate", 1, true) then
        client:send_text(cjson.encode { op = "authenticate", id = 1, token = topic })
        assert.equal("ok", cjson.decode(client:poll_frame().payload).op)
      end
      local snapshot = cjson.decode(client:poll_frame().payload)
      assert.same({ "snapshot", topic, "alice" }, { snapshot.op, snapshot.topic, snapshot.data.user })
      assert.is_nil(snapshot.id)
    end
  end)
end)
