-- Handlers that read from a standby, while the server listens at the primary.

local cluster = require "spec.support.cluster"
local fixtures = require "spec.support.fixtures"
local loop = require "spec.support.loop"
local pg = require "spec.support.pg"
local stage = require "spec.support.stage"

describe("with a standby as the handlers' database", function()
  local primary, standby, s, replica

  local function caught_up()
    local lsn = s.session:value("select pg_current_wal_insert_lsn()")
    loop.eventually(function()
      return replica:value("select pg_last_wal_replay_lsn() >= '" .. lsn .. "'") == "t"
    end, 10000, "the standby to catch up")
  end

  before_each(function()
    primary = cluster.new()
    standby = primary:standby()
    s = stage.open { app = fixtures.app, schema = fixtures.schema, cluster = primary,
      log = { "leads to a standby", "position not read", "fetch failed", "repair failed" },
      env = function(db)
        local admin = pg.connect(db.url)
        local lsn = admin:value("select pg_current_wal_insert_lsn()")
        admin:close()
        replica = pg.connect(standby:url("postgres"))
        loop.eventually(function()
          return replica:value("select pg_last_wal_replay_lsn() >= '" .. lsn .. "'") == "t"
        end, 10000, "the standby")
        replica:close()
        replica = pg.connect(standby:url(db.name))
        return { LEAT_DATABASE_URL = standby:url(db.name), LEAT_LISTEN_URL = db.url }
      end }
  end)

  after_each(function()
    replica:close()
    s:close()
    standby:remove()
    primary:remove()
  end)

  it("serves snapshots and events, and says at the start what that means", function()
    s.server:await_log("leads to a standby")
    local client = s:connect { token = "alice" }
    local snapshot = client:subscribe("room:1")

    s.session:run("select leat.publish('room:1', to_jsonb(i)) from generate_series(1, 5) i")

    for i = 1, 5 do
      local event = client:expect("event")
      assert.same({ snapshot.seq + i, i }, { event.seq, event.data })
    end
  end)

  it("brings a client exactly up to date although the standby is behind", function()
    local keeper = s:connect { token = "alice" }
    keeper:subscribe("room:1")
    replica:run("select pg_wal_replay_pause()")
    s.session:run("select leat.publish('room:1', to_jsonb(i)) from generate_series(1, 50) i")
    for _ = 1, 50 do keeper:expect("event") end

    local client = s:connect { token = "bob" }
    local snapshot = client:subscribe("room:1")

    assert.equal(0, snapshot.seq)
    for i = 1, 50 do assert.equal(i, client:expect("event").seq) end
    replica:run("select pg_wal_replay_resume()")
    caught_up()
    s.session:run("select leat.publish('room:1', '51')")
    assert.equal(51, client:expect("event").seq)
    assert.equal(51, keeper:expect("event").seq)
  end)

  it("waits for the standby where memory no longer has what is missing", function()
    s:stop()
    s:serve { LEAT_DATABASE_URL = standby:url(s.db.name), LEAT_LISTEN_URL = s.db.url, LEAT_RING_EVENTS = 4 }
    local keeper = s:connect { token = "alice" }
    keeper:subscribe("room:1")
    replica:run("select pg_wal_replay_pause()")
    for i = 1, 20 do
      s.session:run("select leat.publish('room:1', '" .. i .. "')")
      assert.equal(i, keeper:expect("event").seq)
    end

    local client = s:connect { token = "bob" }
    client:send { op = "subscribe", id = 1, topic = "room:1" }
    loop.eventually(function() return client:waiting() > 0 end, nil, "something")
    replica:run("select pg_wal_replay_resume()")

    local seq = nil
    client:until_message(function(message)
      if message.op == "snapshot" then seq = message.seq end
      if message.op == "event" then
        assert.equal(seq + 1, message.seq)
        seq = message.seq
      end
      return seq == 20
    end)
  end)
end)
