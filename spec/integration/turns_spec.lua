-- What live subscriptions ask the database for their own sake waits for a turn; what hangs holds up only its like.

local gate = require "spec.support.gate"
local loop = require "spec.support.loop"
local pg = require "spec.support.pg"
local stage = require "spec.support.stage"

local APP = ([==[
local leat = require "leat"
local app = leat.app()

app:connect(function(ctx, request) return { id = tonumber(request.token) } end)
app:topic("bad:{id:int}", {
  subscribe = function(ctx, args)
    ctx.db:exec("AUTHORIZE")
    return leat.subscribe_authorized(ctx, { ok = 1 }, {
      refresh = function(db) return db:one("select 1 / ok as ok from flag") end,
      snapshot = function() return {} end,
    })
  end,
})
app:topic("good:{id:int}", {
  subscribe = function(ctx)
    ctx.db:one("select 1")
    return leat.subscribe_authorized(ctx, { ok = 1 }, { snapshot = function() return {} end })
  end,
})
return app
]==]):gsub("AUTHORIZE", gate.sql(gate.AUTHORIZE))

describe("a turn", function()
  local s

  before_each(function()
    s = stage.open { app = APP, schema = "create table flag (ok int); insert into flag values (1)",
      log = { "refresh failed", "handler=refresh" },
      env = { LEAT_WORKERS = 1, LEAT_POOL_SIZE = 40, LEAT_MAX_TURNS = 2, LEAT_RING_EVENTS = 8 } }
  end)
  after_each(function()
    s:settle()
    s:close()
  end)

  it("is left for others by stale snapshots, however many there are, whose reads hang", function()
    local good = s:connect { token = "1" }
    local seq = good:subscribe("good:1").seq
    local other = pg.connect(s.db.url)
    other:run "begin; lock flag in access exclusive mode"
    for id = 1, 30 do
      s:connect({ token = "2" }):send { op = "subscribe", id = 1, topic = "bad:" .. id, timeout_ms = 8000 }
    end
    loop.eventually(function() return s:metrics().leat_turn_waiters > 10 end, 20000)

    s.session:run "begin; select leat.revoke('good:1'), leat.publish('good:1', '1'); commit"

    assert.equal(seq + 1, good:expect("skip").seq)
    assert.equal(seq + 2, good:expect("event").seq)
    other:run "rollback"
    other:close()
    loop.eventually(function() return s:metrics()['leat_resyncs_total{reason="stale"}'] == 30 end)
    assert.equal(0, s:metrics().leat_turn_waiters)
  end)

  it("of new scripts, which decide anew, ends what was being fetched", function()
    s.session:run "update flag set ok = 0"
    s.session:publish("bad:1", "0")
    local client = s:connect { token = "7" }
    assert.is_true(client:subscribe("bad:1").stale)
    local shut, other = gate.shut(s.db, gate.AUTHORIZE), pg.connect(s.db.url)
    s.server:send_signal("sighup")
    s.server:await_log("scripts reloaded")

    -- The cursor has fallen off the ring; the outbox does not answer yet.
    other:run "begin; lock table leat_internal.installation in access exclusive mode"
    s.session:run "select leat.publish('bad:1', to_jsonb(i)) from generate_series(1, 40) i"
    shut:await()
    s.session:run "select leat.revoke('bad:1', '7')"
    other:run "commit"
    other:close()
    s.session:run "update flag set ok = 1"
    assert.equal(1, shut:waiting())
    shut:open()

    local snapshot = client:until_message(function(m) return m.op == "snapshot" and not m.stale end)
    assert.is_nil(snapshot.id)
    s.session:publish("bad:1", '"next"')
    assert.equal("next", client:until_message(function(m) return m.op == "event" and m.data == "next" end).data)
  end)
end)
