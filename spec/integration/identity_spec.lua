-- Who a client is, for how long, and what happens when that changes.

local loop = require "spec.support.loop"
local stage = require "spec.support.stage"
local ws = require "spec.support.ws"

local APP = [==[
local leat = require "leat"
local app = leat.app()
app:connect(function(ctx, request)
  return ctx.db:one([[
    select id, name, extract(epoch from expires_at)::float8 as expires_at from users where token = $1]],
    request.token)
end)
app:topic("room:{id:int}", {
  subscribe = function(ctx, args)
    local member = ctx.db:one("select * from members where room_id = $1 and user_id = $2", args.id, ctx.user.id)
    if not member then return leat.deny("forbidden") end
    return leat.subscribe_authorized(ctx, member, {
      snapshot = function(db, member) return { role = member.role, user = ctx.user.name } end,
    })
  end,
})
app:method("me", function(ctx) return ctx.user.name end)
return app
]==]

local SCHEMA = [[
  create table users (id bigint, name text, token text, expires_at timestamptz);
  create table members (room_id bigint, user_id bigint, role text);
  insert into users values (1, 'Alice', 'alice', null), (2, 'Bob', 'bob', null), (1, 'Alice again', 'alice2', null);
]]

describe("a client's identity", function()
  local s

  lazy_setup(function() s = stage.open { app = APP, schema = SCHEMA, env = { LEAT_PONG_TIMEOUT_MS = 400 } } end)
  lazy_teardown(function() s:close() end)
  before_each(function()
    s.session:run("truncate members; insert into members values (1, 1, 'owner'), (1, 2, 'guest'), (2, 1, 'owner')")
  end)
  after_each(function() s:settle() end)

  it("can be renewed, and subscriptions go on", function()
    local client = s:connect { token = "alice" }
    local seq = client:subscribe("room:1").seq

    client:send { op = "authenticate", id = 5, token = "alice2" }
    client:until_message(function(m) return m.op == "ok" and m.id == 5 end)
    client:send { op = "call", id = 6, method = "me" }
    local answer = client:until_message(function(m) return m.id == 6 end)
    s.session:publish("room:1", "1")

    assert.equal("Alice again", answer.data)
    assert.equal(seq + 1, client:expect("event").seq)
  end)

  it("that may see less loses what it may not see", function()
    local client = s:connect { token = "alice" }
    client:subscribe("room:1")
    client:subscribe("room:2")

    client:send { op = "authenticate", id = 5, token = "bob" }

    local closed = client:until_message(function(m) return m.op == "closed" end)
    assert.same({ "room:2", "revoked" }, { closed.topic, closed.code })
    s.session:publish("room:2", '"secret"')
    s.session:publish("room:1", '"open"')
    assert.equal("open", client:until_message(function(m) return m.op == "event" end).data)
  end)

  it("that is refused closes with 4401", function()
    local client = s:connect { token = "alice" }

    local answer = client:ask({ op = "authenticate", id = 5, token = "nobody" }, "error")

    assert.equal("unauthenticated", answer.code)
    assert.equal(4401, (client:closed()))
  end)

  it("that has expired closes with 4401", function()
    s.session:run("insert into users values (3, 'Guest', 'guest', now() - interval '1 second')")
    local attempt = ws.attempt(s.server, { token = "guest" })
    if attempt.status == 101 then
      assert.equal(4401, (attempt:closed(20000)))
    else
      assert.equal(401, attempt.status)
      attempt:close()
    end
    s.session:run("delete from users where id = 3")
  end)

  context("that loses its right", function()
    it("hears nothing after the revocation, and is told", function()
      local client = s:connect { token = "bob" }
      local seq = client:subscribe("room:1").seq
      s.session:publish("room:1", '"before"')

      s.session:run [[
        begin;
        delete from members where user_id = 2;
        select leat.revoke('room:1', '2');
        select leat.publish('room:1', '"after"');
        commit]]

      local before = client:expect("event")
      assert.same({ seq + 1, "before" }, { before.seq, before.data })
      local closed = client:expect("closed")
      assert.same({ "room:1", "revoked" }, { closed.topic, closed.code })
      assert.same({}, client:drain())
    end)

    it("goes on with a skip if it is still allowed, as does everybody else", function()
      local bob, alice = s:connect { token = "bob" }, s:connect { token = "alice" }
      local seq = bob:subscribe("room:1").seq
      alice:subscribe("room:1")

      s.session:run("select leat.revoke('room:1', '2')")
      s.session:publish("room:1", '"after"')
      s.session:run("select leat.revoke('room:1')")
      s.session:publish("room:1", '"later"')

      for _, client in ipairs { bob, alice } do
        for i, expected in ipairs { { "skip" }, { "event", "after" }, { "skip" }, { "event", "later" } } do
          local message = client:recv()
          assert.same({ expected[1], seq + i, expected[2] }, { message.op, message.seq, message.data })
        end
      end
    end)

    it("is asked again also if it comes back by resuming", function()
      local client = s:connect { token = "bob" }
      local snapshot = client:subscribe("room:1")
      client:close()
      s.session:run "begin; delete from members where user_id = 2; select leat.revoke('room:1', '2'); commit"
      s.session:publish("room:1", '"secret"')

      local again = s:connect { token = "bob" }
      local answer = again:ask({ op = "subscribe", id = 1, topic = "room:1",
        since = { epoch = snapshot.epoch, seq = snapshot.seq } }, "error")

      assert.equal("forbidden", answer.code)
    end)
  end)

  it("is settled before anything is sent", function()
    local client = s:connect { token = "alice" }
    loop.poll(function() return client:waiting() > 0 end, 20)

    assert.equal(0, client:waiting())
  end)
end)
