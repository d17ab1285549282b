-- A subscription that expires, and is renewed with another token: `expires`, `ttl` and `sub_refresh` of Centrifugo's
-- protocol (docs/centrifuge.md).

local gate = require "spec.support.gate"
local lines = require "spec.support.centrifuge"
local stage = require "spec.support.stage"

-- A token is a row of `ticket`; `slow` holds the handler up for as long as it has rows.
local APP = ([==[
local leat = require "leat"
local app = leat.app()
app:connect(function(_, request) return { id = request.token } end)
app:topic("room:{id:int}", {
  subscribe = function(ctx, args)
    local brought = (ctx.params or {}).token
    if not brought then
      local now = ctx.db:one("select extract(epoch from now())::bigint as at")
      return leat.subscribe_authorized(ctx, args, {
        snapshot = function() return "open" end, expires_at = now.at + 100 })
    end
    if ctx.db:one("select 1 from slow where name = $1", brought) then ctx.db:exec("select pg_sleep(60)") end
    ctx.db:exec("AUTHORIZE")
    local ticket = ctx.db:one([[
      select *, valid_until < now() as is_late, extract(epoch from valid_until)::bigint as until
        from ticket where name = $1]], brought)
    if not ticket then return leat.deny("forbidden", "no such ticket") end
    ctx.db:exec("insert into shown values ($1, $2)", brought, leat.encode(ctx.params.data or leat.null))
    if ticket.is_late then return leat.deny("unauthenticated", "expired") end
    return leat.subscribe_authorized(ctx, ticket, {
      snapshot = function(db)
        db:exec("SNAPSHOT")
        return { name = ticket.name, data = ctx.params.data }
      end, expires_at = ticket["until"] })
  end,
})
app:method("tickets", function(ctx) return ctx.db:rows("select name from ticket order by name") end)
return app
]==]):gsub("AUTHORIZE", gate.sql(gate.AUTHORIZE)):gsub("SNAPSHOT", gate.sql(gate.SNAPSHOT))

local SCHEMA = [[
  create table ticket (name text, valid_until timestamptz);
  create table slow (name text);
  create table shown (name text, data jsonb);
  insert into ticket values ('minute', now() + interval '60 seconds'), ('hour', now() + interval '1 hour'),
    ('always', null), ('late', now() - interval '1 second');
]]

describe("a subscription that expires", function()
  local s, client
  local rooms, room = 0, nil

  lazy_setup(function()
    s = stage.open { app = APP, schema = SCHEMA, log = { "WARN script deadline" },
      env = { LEAT_CONTROL_TIMEOUT_MS = 2500, LEAT_PING_INTERVAL_MS = 60000 } }
  end)
  lazy_teardown(function() s:close() end)
  before_each(function()
    rooms = rooms + 1
    room = "room:" .. rooms
    client = lines.connect(s, { token = "alice" })
  end)
  after_each(function() s:settle() end)

  local function renew(token) return client:ask { sub_refresh = { channel = room, token = token } } end
  local function publish(n) s.session:run(("select leat.publish('%s', '%d')"):format(room, n)) end
  local function assert_published(n) assert.equal(n, client:push("pub").pub.data) end

  -- Some seconds may have passed; an SDK is told 15 seconds less.
  local function assert_ttl(result, seconds)
    assert.is_true(result.expires)
    assert.is_true(result.ttl <= seconds - 14 and result.ttl > seconds - 15 - 40, result.ttl .. " seconds")
  end

  local function assert_temporary(answer)
    assert.same({ 100, true }, { answer.error.code, answer.error.temporary })
  end

  it("says when, if it was made with a token", function()
    local result = client:subscribe(room, { token = "hour" })
    assert.equal("hour", result.data.name)
    assert_ttl(result, 3600)
  end)

  it("says nothing of it if it never expires, or if there is no token to be replaced", function()
    assert.is_nil(client:subscribe(room, { token = "always" }).expires)
    local open = client:subscribe(room .. "0000")
    assert.same({ "open" }, { open.data, open.expires, open.ttl })
  end)

  it("says so when it is resumed, too", function()
    local epoch = client:subscribe(room, { token = "hour" }).epoch
    client:ask { unsubscribe = { channel = room } }
    publish(1)

    local again = client:subscribe(room, { token = "hour", recover = true, epoch = epoch, offset = 0 })

    assert.is_true(again.recovered)
    assert_ttl(again, 3600)
    assert_published(1)
  end)

  it("goes on when it is renewed, with the new token and the old data", function()
    client:subscribe(room, { token = "hour", data = { a = 1 } })
    publish(1)
    assert_published(1)
    s.session:run("delete from shown")

    assert.same({}, renew("always").sub_refresh)

    assert.same({ { name = "always", data = '{"a": 1}' } }, s.session:rows("select name, data::text from shown"))
    publish(2)
    assert_published(2)
    assert_ttl(renew("hour").sub_refresh, 3600)
  end)

  it("runs its handler with the new token when the right is in doubt later", function()
    client:subscribe(room, { token = "minute" })
    renew("hour")
    s.session:run("delete from ticket where name = 'minute'")

    s.session:run(("select leat.revoke('%s', 'alice')"):format(room))
    publish(2)

    assert_published(2)
  end)

  it("ends if the new token is refused, with a word about whether another one may help", function()
    client:subscribe(room, { token = "hour" })
    assert_temporary(renew("unknown"))
    assert.same({ code = 2000, reason = "revoked" }, client:push("unsubscribe").unsubscribe)

    client:subscribe(room, { token = "hour" })
    assert_temporary(renew("late"))
    assert.equal(2501, client:push("unsubscribe").unsubscribe.code)
    assert.equal(109, client:ask({ subscribe = { channel = room, token = "late" } }).error.code)
  end)

  it("is not renewed if there is none, or without a token", function()
    assert.equal(103, renew("hour").error.code)
    client:subscribe(room)
    assert.equal(107, renew("hour").error.code)
    assert.equal(107, renew().error.code)
  end)

  it("answers within the time that an SDK waits, and takes the new token all the same", function()
    client:subscribe(room, { token = "hour" })
    s.session:run("insert into slow values ('always')")

    assert_temporary(renew("always"))

    s.session:run("delete from slow")
    publish(1)
    assert_published(1)
    assert.same({}, renew("always").sub_refresh)
  end)

  it("is renewed once at a time", function()
    client:subscribe(room, { token = "hour" })
    s.session:run("insert into slow values ('always')")

    local first = client:send { sub_refresh = { channel = room, token = "always" } }
    assert_temporary(renew("always"))
    local answer = client:next()

    assert.equal(first, answer.id)
    assert_temporary(answer)
    s.session:run("delete from slow")
  end)

  -- A client's own subscription ends at a resync, and is made anew (docs/centrifuge.md).
  local function assert_renewed_then_ended(renewal)
    local answer = client:next()
    assert.equal(renewal, answer.id)
    assert_ttl(answer.sub_refresh, 3600)
    assert.equal(2500, client:push("unsubscribe").unsubscribe.code)
    assert.equal("hour", client:subscribe(room, { token = "hour" }).data.name)
  end

  it("is renewed first if a resync comes while its handler runs", function()
    client:subscribe(room, { token = "always" })
    local shut = gate.shut(s.db, gate.AUTHORIZE)
    local renewal = client:send { sub_refresh = { channel = room, token = "hour" } }
    shut:await()

    s.session:run(("select leat.resync('%s')"):format(room))
    publish(1)
    client:ask { rpc = { method = "tickets" } }
    shut:open()

    assert_renewed_then_ended(renewal)
  end)

  it("is renewed while it resyncs", function()
    client:subscribe(room, { token = "always" })
    local shut = gate.shut(s.db, gate.SNAPSHOT)
    s.session:run(("select leat.resync('%s')"):format(room))
    shut:await()

    local renewal = client:send { sub_refresh = { channel = room, token = "hour" } }
    local answer = client:next()
    shut:open()

    assert.equal(renewal, answer.id)
    assert_ttl(answer.sub_refresh, 3600)
    assert.equal(2500, client:push("unsubscribe").unsubscribe.code)
  end)

  it("answers if the client unsubscribes meanwhile, and leaves nothing behind if it goes away", function()
    client:subscribe(room, { token = "hour" })
    s.session:run("insert into slow values ('always')")
    local renewal = client:send { sub_refresh = { channel = room, token = "always" } }
    client:send { unsubscribe = { channel = room } }
    local answer = client:next()
    assert.equal(renewal, answer.id)
    assert_temporary(answer)
    assert.same({}, client:next().unsubscribe)

    client:subscribe(room, { token = "hour" })
    client:send { sub_refresh = { channel = room, token = "always" } }
    client:close()
    s:settle()
    s.session:run("delete from slow")
  end)
end)
