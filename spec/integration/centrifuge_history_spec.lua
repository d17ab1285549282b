-- History of a topic, as clients of Centrifugo ask for it (docs/centrifuge.md).

local cjson = require "cjson"
local lines = require "spec.support.centrifuge"
local stage = require "spec.support.stage"

local APP = [==[
local leat = require "leat"
local app = leat.app()
app:connect(function(_, request) return { id = request.token } end)
app:topic("room:{id:int}", {
  subscribe = function(ctx, args)
    ctx.db:exec("select pg_advisory_lock_shared(7), pg_advisory_unlock_shared(7)")
    if ctx.db:one("select from banned where room = $1", args.id) then return leat.deny("forbidden") end
    return leat.subscribe_authorized(ctx, args, { snapshot = function() return leat.null end })
  end,
})
app:topic("hooked:{id:int}", {
  subscribe = function(ctx, args)
    return leat.subscribe_authorized(ctx, args, { snapshot = function() return leat.null end })
  end,
  event = function(_, event) return { shown = event.data } end,
})
return app
]==]

describe("the history of a topic", function()
  local s
  local rooms = 0

  lazy_setup(function()
    s = stage.open { app = APP, schema = "create table banned (room bigint)", log = { "history failed" },
      env = { LEAT_MAX_HISTORY_EVENTS = 5, LEAT_MAX_HISTORY_BYTES = 1024, LEAT_MAX_EVENT_BYTES = 2048,
        LEAT_CONTROL_TIMEOUT_MS = 2500 } }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  local function open(token)
    return lines.connect(s, { token = token or "alice" })
  end

  -- A topic of its own with so many events, whose data is their seq.
  local function room(n)
    rooms = rooms + 1
    local topic = "room:" .. rooms
    for i = 1, n or 0 do s.session:run(("select leat.publish('%s', '%d')"):format(topic, i)) end
    return topic, rooms
  end

  -- The answer, with the events as "seq=data seq=data".
  local function history(client, topic, options)
    options = options or {}
    options.channel = topic
    local reply = client:ask { history = options }
    if reply.error then return reply.error end
    local shown = {}
    for _, pub in ipairs(reply.history.publications) do
      local data = type(pub.data) == "number" and ("%d"):format(pub.data) or pub.data
      shown[#shown + 1] = ("%d=%s"):format(pub.offset, data)
    end
    return { events = table.concat(shown, " "), offset = reply.history.offset, epoch = reply.history.epoch }
  end

  it("is the position alone without a limit, and the oldest events with one", function()
    local topic = room(3)
    local client = open()
    local epoch = client:subscribe(topic).epoch

    assert.same({ events = "", offset = 3, epoch = epoch }, history(client, topic))
    assert.same({ events = "1=1 2=2", offset = 3, epoch = epoch }, history(client, topic, { limit = 2 }))
    assert.same({ events = "1=1 2=2 3=3", offset = 3, epoch = epoch }, history(client, topic, { limit = -1 }))
    assert.same({ events = "3=3 2=2", offset = 3, epoch = epoch },
      history(client, topic, { limit = 2, reverse = true }))
  end)

  it("goes on from a position, in both directions, and past what shows nothing", function()
    local topic = room(2)
    s.session:run(("select leat.revoke('%s', 'bob'); select leat.publish('%s', '4')"):format(topic, topic))
    local client = open()
    local epoch = client:subscribe(topic).epoch
    local function from(offset, options)
      options.since = { offset = offset, epoch = epoch }
      return history(client, topic, options).events
    end

    assert.equal("2=2 4=4", from(1, { limit = 10 }))
    assert.equal("4=4", from(2, { limit = 10 }))
    assert.equal("4=4", from(3, { limit = 10 }))
    assert.equal("", from(4, { limit = 10 }))
    assert.equal("2=2 1=1", from(4, { limit = 10, reverse = true }))
    assert.equal("", from(1, { limit = 10, reverse = true }))
  end)

  it("is 112 where the position is of another epoch, ahead, or older than the outbox", function()
    local topic = room(4)
    local client = open()
    local epoch = client:subscribe(topic).epoch
    s.session:run(("delete from leat.event where topic = '%s' and seq <= 2"):format(topic))
    local function code(offset, of, options)
      options = options or { limit = 10 }
      options.since = { offset = offset, epoch = of }
      local answer = history(client, topic, options)
      return answer.code or answer.events
    end

    assert.equal(112, code(3, "other"))
    assert.equal(112, code(5, epoch))
    assert.equal(112, code(99999999999, epoch))
    assert.equal(112, code(1, epoch))
    assert.equal("3=3 4=4", code(2, epoch))
    assert.equal("3=3", code(4, epoch, { limit = 10, reverse = true }))
    assert.equal("", code(2, epoch, { limit = 10, reverse = true }))
    assert.equal("3=3 4=4", code(0, "")) -- without an epoch it claims nothing
  end)

  it("is bounded by events and by bytes, and leaves out what no client gets", function()
    local topic = room(8)
    local client = open()
    local epoch = client:subscribe(topic).epoch
    assert.equal("1=1 2=2 3=3 4=4 5=5", history(client, topic, { limit = -1 }).events)
    assert.equal("1=1 2=2 3=3 4=4 5=5", history(client, topic, { limit = 100 }).events)

    for _, bytes in ipairs { 600, 600, 600, 4000, 10 } do
      s.session:run(("select leat.publish('%s', to_jsonb(repeat('x', %d)))"):format(topic, bytes))
    end
    client:skip_to "unsubscribe" -- the large one has no event: a snapshot takes its place
    client:subscribe(topic)
    local function from(offset)
      local answer = history(client, topic, { limit = 5, since = { offset = offset, epoch = epoch } })
      return (answer.events:gsub("x+", "x"))
    end
    assert.equal("9=x 10=x", from(8))
    assert.equal("11=x 13=x", from(10))
    assert.is_true(s:metrics()['leat_history_requests_total{outcome="cut"}'] >= 3)
  end)

  it("is for subscribers only", function()
    local topic = room(1)
    local client = open()
    assert.equal(103, history(client, topic, { limit = 1 }).code)
    client:subscribe(topic)
    assert.equal("1=1", history(client, topic, { limit = 1 }).events)
    client:ask { unsubscribe = { channel = topic } }
    assert.equal(103, history(client, topic, { limit = 1 }).code)
    assert.equal(107, history(client, "", { limit = 1 }).code)
  end)

  it("is not there for a topic whose events are made when they come", function()
    s.session:run("select leat.publish('hooked:1', '1')")
    local client = open()
    client:subscribe("hooked:1")
    assert.equal(108, history(client, "hooked:1", { limit = 1 }).code)
  end)

  it("shows nothing after a revocation that the handler has not seen", function()
    local topic, id = room(2)
    local client = open()
    client:subscribe(topic)

    -- While the handler waits for this lock, nobody knows whether the client may go on.
    s.session:run("select pg_advisory_lock(7)")
    s.session:run(("begin; insert into banned values (%d); select leat.revoke('%s'); "
      .. "select leat.publish('%s', '\"secret\"'); commit"):format(id, topic, topic))
    for n = 1, 5 do
      local answer = history(client, topic, { limit = 5 })
      assert.is_nil((answer.events or ""):find("secret", 1, true), n)
      assert.is_true(answer.code == 100 or answer.events == "1=1 2=2" and answer.offset == 2, cjson.encode(answer))
    end
    s.session:run("select pg_advisory_unlock(7)")

    local push = client:push("unsubscribe")
    assert.equal("revoked", push.unsubscribe.reason)
    assert.equal(103, history(client, topic, { limit = 5 }).code)
  end)

  it("is answered in time while the outbox cannot be read", function()
    local topic = room(1)
    local client = open()
    client:subscribe(topic)
    s.session:run("begin; lock table leat.event in access exclusive mode")
    local answer = history(client, topic, { limit = 5 })
    s.session:run("rollback")
    assert.same({ 100, true }, { answer.code, answer.temporary })
    assert.equal("1=1", history(client, topic, { limit = 5 }).events)
  end)

  it("leaves nothing behind when the client goes away meanwhile", function()
    local topic = room(1)
    local client = open()
    client:subscribe(topic)
    s.session:run("begin; lock table leat.event in access exclusive mode")
    client:send { history = { channel = topic, limit = 5 } }
    client:close()
    s.session:run("rollback")
  end)
end)
