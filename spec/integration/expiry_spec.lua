-- A right that was given for a time ends with it: it is proved anew, or the subscription is over.
local stage = require "spec.support.stage"

local APP = [==[
local leat = require "leat"
local app = leat.app()
app:topic("room:{id:int}", {
  subscribe = function(ctx, args)
    local room = ctx.db:one("select id, until, renewals from rooms where id = $1", args.id)
    ctx.db:exec([=[update rooms set asked = asked + 1, until = until + renewals * 3600, renewals = 0
      where id = $1]=], args.id)
    return leat.subscribe_authorized(ctx, room, {
      snapshot = function() return {} end,
      expires_at = room["until"],
    })
  end,
})
return app
]==]

local SCHEMA = [[
create table rooms (id bigint primary key, until bigint, renewals bigint not null, asked bigint not null default 0);
insert into rooms values (1, null, 0), (2, null, 1);
insert into rooms select 3, extract(epoch from now())::bigint - 1, 0;
]]

describe("a grant that expires", function()
  local s

  lazy_setup(function() s = stage.open { app = APP, schema = SCHEMA } end)
  lazy_teardown(function() s:close() end)

  it("ends the subscription with revoked if the handler does not renew it", function()
    local client = s:connect {}
    s.session:run("update rooms set until = extract(epoch from now())::bigint + 4 where id = 1")
    client:subscribe("room:1")

    local closed = client:expect("closed")

    assert.equal("revoked", closed.code)
    s:settle()
  end)

  it("goes on without a word if the handler renews it", function()
    local client = s:connect {}
    s.session:run("update rooms set until = extract(epoch from now())::bigint + 4 where id = 2")
    local seq = client:subscribe("room:2").seq

    require("spec.support.loop").eventually(function()
      return s.session:value("select asked from rooms where id = 2") == "2"
    end)
    s.session:run("select leat.publish('room:2', '1')")

    assert.equal(seq + 1, client:expect("event").seq)
    client:close()
    s:settle()
  end)

  it("is refused if it has expired already", function()
    local client = s:connect {}

    local answer = client:ask({ op = "subscribe", id = 1, topic = "room:3" }, "error")

    assert.equal("forbidden", answer.code)
    client:close()
    s:settle()
  end)
end)
