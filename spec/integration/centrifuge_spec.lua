-- Centrifugo's protocol, JSON, as a raw client sees it (docs/centrifuge.md).

local cjson = require "cjson"
local stage = require "spec.support.stage"

local APP = [==[
local leat = require "leat"
local app = leat.app()
app:connect(function(ctx, request)
  if request.token == "old" then return leat.deny("unauthenticated", "expired") end
  return ctx.db:one([[
    select id, name, extract(epoch from expires_at)::float8 as expires_at from users where token = $1]],
    request.token or "")
end)
app:topic("room:{id:int}", {
  subscribe = function(ctx, args)
    if args.id == 9 then return leat.deny("forbidden") end
    if args.id == 7 and not ctx.db:one("select 1 from members") then return leat.deny("forbidden") end
    if args.id == 8 then ctx.db:exec("select pg_sleep(60)") end
    return leat.subscribe_authorized(ctx, args, {
      snapshot = function(db) return { name = ctx.user.name, params = ctx.params } end })
  end,
  publish = function(ctx, args, data)
    ctx.db:exec("select leat.publish($1, $2)", "room:" .. args.id, leat.encode(data))
    return { published = true }
  end,
})
app:method("echo", function(ctx, params) return params end)
return app
]==]

local SCHEMA = [[
  create table users (id bigint, name text, token text, expires_at timestamptz);
  create table members (id bigint);
  insert into members values (1);
  insert into users values (1, 'Alice', 'alice', null), (2, 'Bob', 'bob', null),
    (3, 'Late', 'late', now() - interval '1 second'), (4, 'Soon', 'soon', now() + interval '1 hour');
]]

describe("Centrifugo's protocol", function()
  local s

  lazy_setup(function()
    s = stage.open { app = APP, schema = SCHEMA, log = { "WARN script deadline" },
      env = { LEAT_PING_INTERVAL_MS = 1000, LEAT_MAX_INFLIGHT = 2, LEAT_CONTROL_TIMEOUT_MS = 3000 } }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  -- A client whose lines are taken one by one; pings are passed over.
  local function open()
    local client = s:connect { path = "/connection/websocket" }
    client.lines = {}
    return client
  end

  local function next_line(client)
    while true do
      if #client.lines == 0 then
        local frame = client:poll_frame()
        assert(frame, "no message came")
        for line in frame.payload:gmatch("[^\n]+") do client.lines[#client.lines + 1] = line end
      end
      local line = table.remove(client.lines, 1)
      if line ~= "{}" then return cjson.decode(line) end
    end
  end

  local function connected(token, more)
    local client = open()
    client:send_text('{"id":1,"connect":{"token":"' .. (token or "alice") .. '"}}' .. (more or ""))
    local reply = next_line(client)
    assert(reply.connect, cjson.encode(reply))
    return client, reply.connect
  end

  local function ask(client, text)
    client:send_text(text)
    return next_line(client)
  end

  it("connects and subscribes in one frame", function()
    local client, reply = connected("alice",
      '\n{"id":2,"subscribe":{"channel":"room:1","data":{"a":1}}}\n{"id":3,"subscribe":{"channel":"room:2"}}' ..
      '\n{"id":4,"subscribe":{"channel":"room:3"}}\n{"id":5,"subscribe":{"channel":"room:9"}}\n')

    assert.equal("string", type(reply.client))
    assert.equal(1, reply.ping)
    assert.is_nil(reply.expires)
    local got = {}
    for _ = 1, 4 do
      local line = next_line(client)
      got[line.id] = line
    end
    local first = got[2].subscribe
    assert.is_true(first.recoverable)
    assert.is_true(first.positioned)
    assert.equal(0, first.offset)
    assert.same({ name = "Alice", params = { a = 1 } }, first.data)
    assert.is_nil(first.was_recovering)
    assert.is_truthy(got[3].subscribe)
    assert.is_truthy(got[4].subscribe)
    assert.same({ code = 103, message = got[5].error.message }, got[5].error)
  end)

  it("delivers events with their offset, signals without, and nothing for a skip", function()
    local client = connected("alice", '\n{"id":2,"subscribe":{"channel":"room:20"}}')
    next_line(client)

    s.session:run("select leat.publish('room:20', '{\"n\":1}')")
    s.session:run("select leat.revoke('room:20', '99')")
    s.session:run("select leat.publish('room:20', '[\"\\n\", 2]')")
    s.session:run("select leat.signal('room:20', '\"hint\"')")

    assert.same({ push = { channel = "room:20", pub = { data = { n = 1 }, offset = 1 } } }, next_line(client))
    assert.same({ push = { channel = "room:20", pub = { data = { "\n", 2 }, offset = 3 } } }, next_line(client))
    assert.same({ push = { channel = "room:20", pub = { data = "hint" } } }, next_line(client))
  end)

  it("recovers what was missed, or says that it did not", function()
    local client = connected("alice", '\n{"id":2,"subscribe":{"channel":"room:21"}}')
    local epoch = next_line(client).subscribe.epoch
    client:close()
    for n = 1, 3 do s.session:run("select leat.publish('room:21', '" .. n .. "')") end

    local again = connected("alice",
      '\n{"id":2,"subscribe":{"channel":"room:21","recover":true,"offset":1,"epoch":"' .. epoch .. '"}}')
    local reply = next_line(again).subscribe
    assert.is_true(reply.recovered)
    assert.is_true(reply.was_recovering)
    assert.equal(1, reply.offset)
    assert.is_nil(reply.data)
    assert.equal(2, next_line(again).push.pub.offset)
    assert.equal(3, next_line(again).push.pub.offset)

    local lost = connected("alice",
      '\n{"id":2,"subscribe":{"channel":"room:21","recover":true,"offset":1,"epoch":"other"}}')
    reply = next_line(lost).subscribe
    assert.is_true(reply.was_recovering)
    assert.is_nil(reply.recovered)
    assert.equal(3, reply.offset)
    assert.equal("Alice", reply.data.name)
  end)

  it("answers 112 to whoever asks for nothing but recovery, and holds nothing of it", function()
    local client = connected("alice",
      '\n{"id":2,"subscribe":{"channel":"room:22","recover":true,"offset":1,"epoch":"x","flag":3}}')

    assert.same({ code = 112, message = "unrecoverable position" }, next_line(client).error)
    local reply = ask(client, '{"id":3,"subscribe":{"channel":"room:22"}}').subscribe
    assert.is_truthy(ask(client, '{"id":4,"unsubscribe":{"channel":"room:22"}}').unsubscribe)
    assert.is_true(ask(client, '{"id":5,"subscribe":{"channel":"room:22","recover":true,"offset":0,"flag":2,' ..
      '"epoch":"' .. reply.epoch .. '"}}').subscribe.recovered)
  end)

  it("lets a client subscribe anew at a resync, and gives it a snapshot then", function()
    local client = connected("alice", '\n{"id":2,"subscribe":{"channel":"room:23"}}')
    local epoch = next_line(client).subscribe.epoch
    local function resubscribe(id)
      return ask(client, '{"id":' .. id .. ',"subscribe":{"channel":"room:23","recover":true,"offset":0,"epoch":"' ..
        epoch .. '"}}').subscribe
    end

    s.session:run("select leat.resync('room:23')")
    assert.same({ push = { channel = "room:23", unsubscribe = { code = 2500, reason = "resync" } } }, next_line(client))
    local reply = resubscribe(3)
    assert.equal(1, reply.offset)
    assert.is_nil(reply.recovered)
    assert.equal("Alice", reply.data.name)

    s.session:run("select leat.publish('room:23', '2')")
    assert.equal(2, next_line(client).push.pub.offset)
  end)

  it("ends a revoked subscription for good", function()
    local client = connected("bob", '\n{"id":2,"subscribe":{"channel":"room:7"}}')
    next_line(client)

    s.session:run("delete from members; select leat.revoke('room:7'); select leat.publish('room:7', '1')")

    assert.same({ push = { channel = "room:7", unsubscribe = { code = 2000, reason = "revoked" } } }, next_line(client))
    assert.equal(103, ask(client, '{"id":3,"subscribe":{"channel":"room:7"}}').error.code)
  end)

  it("publishes, calls and unsubscribes", function()
    local client = connected()

    assert.same({ id = 2, publish = {} }, ask(client, '{"id":2,"publish":{"channel":"room:25","data":{"x":1}}}'))
    assert.same({ id = 3, rpc = { data = { 1, 2 } } }, ask(client, '{"id":3,"rpc":{"method":"echo","data":[1,2]}}'))
    assert.equal(104, ask(client, '{"id":4,"rpc":{"method":"none"}}').error.code)
    assert.same({ id = 5, unsubscribe = {} }, ask(client, '{"id":5,"unsubscribe":{"channel":"room:25"}}'))
    assert.is_truthy(ask(client, '{"id":6,"subscribe":{"channel":"room:25"}}').subscribe)
    assert.equal(105, ask(client, '{"id":7,"subscribe":{"channel":"room:25"}}').error.code)
    assert.same({ id = 8, unsubscribe = {} }, ask(client, '{"id":8,"unsubscribe":{"channel":"room:25"}}'))
    assert.equal(108, ask(client, '{"id":9,"presence":{"channel":"room:25"}}').error.code)
    assert.equal(102, ask(client, '{"id":10,"subscribe":{"channel":"elsewhere"}}').error.code)
    assert.equal(107, ask(client, '{"id":11,"subscribe":{"channel":5}}').error.code)
    assert.equal(107, ask(client, '{"id":12,"subscribe":{}}').error.code)
  end)

  it("answers what takes too long with a temporary error", function()
    local client = connected()
    local reply = ask(client, '{"id":2,"subscribe":{"channel":"room:8"}}')
    assert.equal(100, reply.error.code)
    assert.is_true(reply.error.temporary)
  end)

  it("pings, and wants no answer", function()
    local client = connected()
    assert.equal("{}", client:poll_frame().payload)
    client:send_text("{}")
    assert.same({ id = 2, rpc = { data = 1 } }, ask(client, '{"id":2,"rpc":{"method":"echo","data":1}}'))
  end)

  it("says when an identity is to be renewed, and renews it", function()
    local client, reply = connected("soon")
    assert.is_true(reply.expires)
    assert.is_true(reply.ttl > 3000 and reply.ttl <= 3600)
    local refreshed = ask(client, '{"id":2,"refresh":{"token":"alice"}}').refresh
    assert.is_nil(refreshed.expires)
    assert.is_nil(refreshed.ping)
  end)

  it("says so early enough, however short the identity lives", function()
    s.session:run("update users set expires_at = now() + interval '3 seconds' where token = 'soon'")
    local _, reply = connected("soon")
    s.session:run("update users set expires_at = now() + interval '1 hour' where token = 'soon'")
    assert.is_true(reply.expires)
    assert.is_true(reply.ttl < 3, reply.ttl .. " seconds")
  end)

  it("names each client, on whatever worker, in its own way", function()
    local names, n = {}, 8
    for _ = 1, n do
      local client, reply = connected()
      assert.is_nil(names[reply.client], reply.client)
      names[reply.client] = true
      assert.equal(reply.client, ask(client, '{"id":2,"refresh":{"token":"alice"}}').refresh.client)
    end
  end)

  it("refuses an identity by an error that says whether another token may help", function()
    for _, case in ipairs {
      { '{"id":1,"connect":{"token":"old"}}', 109, 3005 },
      { '{"id":1,"connect":{"token":"late"}}', 109, 3005 },
      { '{"id":1,"connect":{"token":"nobody"}}', 101, 3500 },
      { '{"id":1,"connect":{}}', 101, 3500 },
      { '{"id":1,"subscribe":{"channel":"room:1"}}', 101, 3500 },
    } do
      local client = open()
      assert.equal(case[2], ask(client, case[1]).error.code)
      assert.equal(case[3], client:closed())
    end
  end)

  it("lets a client come back whose new token has expired, and no other one", function()
    local client = connected("soon")
    client:send_text('{"id":2,"refresh":{"token":"old"}}')
    assert.equal(3005, client:closed())
    client = connected("soon")
    assert.equal(101, ask(client, '{"id":2,"refresh":{"token":"nobody"}}').error.code)
    assert.equal(3500, client:closed())
  end)

  it("closes for good if it cannot answer", function()
    local client = connected()
    client:send_text('{"subscribe":{"channel":"room:1"}}')
    assert.equal(3501, client:closed())
    client = connected()
    client:send_text("no JSON")
    assert.equal(3501, client:closed())
  end)
end)
