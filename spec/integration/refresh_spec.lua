-- The authorised row is read once before the arming and once after it; what happens if that second reading fails.

local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local pg = require "spec.support.pg"
local stage = require "spec.support.stage"
local ws = require "spec.support.ws"

local SCHEMA = [[
  create table rooms (id bigint primary key, status text not null);
  create table details (room_id bigint primary key, status text not null);
  create table flags (name text primary key);
  create sequence authorizations;
  create function fail_if(flag text) returns void language plpgsql as $$
  begin
    if exists (select from flags where name = flag) then
      raise exception 'flag % is set', flag using errcode = 'lock_not_available';
    end if;
  end $$;
  insert into rooms values (1, 'as authorised');
  insert into details values (1, 'as refreshed');
]]

local APP = [[
local leat = require "leat"
local app = leat.app()

app:topic("room:{id:int}", {
  subscribe = function(ctx, args)
    local room = ctx.db:one("select *, nextval('authorizations') as reading from rooms where id = $1", args.id)
    if not room then return leat.deny("not_found") end
    ctx.db:exec("select pg_advisory_xact_lock_shared(1)")
    return leat.subscribe_authorized(ctx, room, {
      refresh = function(db, row)
        db:exec("select fail_if('refresh')")
        if db:one("select from flags where name = 'deny'") then return leat.deny("forbidden", "no more") end
        return db:one("select d.room_id as id, d.status, $2::bigint as reading from details d where d.room_id = $1",
          row.id, row.reading)
      end,
      snapshot = function(db, row)
        db:exec("select fail_if('snapshot')")
        return { status = row.status, reading = row.reading }
      end,
    })
  end,
})
app:stream("/rooms/{id:int}/stream", "room:{id}")
return app
]]

describe("the refresh", function()
  local s

  lazy_setup(function()
    s = stage.open { app = APP, schema = SCHEMA, log = { "refresh failed", "read failed handler=refresh",
      "deadline passed handler=refresh", "WARN pg connection lost" } }
  end)
  lazy_teardown(function() s:close() end)
  before_each(function()
    s.session:run("truncate flags, details; insert into details values (1, 'as refreshed')")
  end)
  after_each(function() s:settle() end)

  -- A stale snapshot has come: waits for the one that replaces it.
  local function fresh_after_stale(client, stale)
    assert.same({ "as authorised", true }, { stale.data.status, stale.stale })
    s.server:await_log("WARN read refresh failed.*room:1")
    return function()
      local fresh = client:expect("snapshot")
      assert.is_nil(fresh.id)
      assert.is_nil(fresh.stale)
      assert.equal("as refreshed", fresh.data.status)
      return fresh
    end
  end

  it("replaces the row, which was read once before it", function()
    s.session:run("select setval('authorizations', 100)")
    local client = s:connect { path = "/rooms/1/stream" }

    local snapshot = client:expect("snapshot")

    assert.same({ "as refreshed", 101 }, { snapshot.data.status, snapshot.data.reading })
    assert.equal("101", s.session:value("select last_value from authorizations"))
    assert.is_nil(snapshot.stale)
  end)

  it("makes no query of a stream route but the handler's, the position, the refresh and the snapshot", function()
    local queries = metrics.queries(s.server, function()
      s:connect { path = "/rooms/1/stream" }:expect("snapshot")
      s:settle()
    end)

    -- Two of the handler, begin and position, three of the refresh, one of the snapshot. Nobody waits for the commit,
    -- so it is not counted.
    assert.equal(8, queries)
  end)

  it("falls back to the authorised row if its statement fails, and is made up for by itself", function()
    s.session:run("insert into flags values ('refresh')")
    local client = s:connect()

    local fresh = fresh_after_stale(client, client:subscribe("room:1"))
    s.session:run("delete from flags")

    fresh()
    assert.is_true(s:metrics()['leat_resyncs_total{reason="stale"}'] >= 1)
  end)

  -- Later than half of the time, there would be an error in place of the snapshot.
  it("falls back in time for the snapshot if it hangs on a lock", function()
    local locker = pg.connect(s.db.url)
    locker:run("begin")
    locker:run("lock table details")
    local client = s:connect()
    local began = loop.now()

    local stale = client:subscribe("room:1", { timeout_ms = 4000 })
    local took = loop.now() - began
    local fresh = fresh_after_stale(client, stale)
    locker:close()

    fresh()
    assert.is_true(took >= 1600, "took " .. took .. " ms")
  end)

  it("falls back if its backend is killed", function()
    local locker = pg.connect(s.db.url)
    locker:run("begin")
    locker:run("lock table details")
    local client = s:connect()
    client:send { op = "subscribe", id = 1, topic = "room:1" }
    loop.eventually(function()
      return s.session:value([[
        select pg_terminate_backend(pid) from pg_stat_activity
         where wait_event_type = 'Lock' and query like '%details%' and datname = current_database()]])
    end)

    local fresh = fresh_after_stale(client, client:expect("snapshot", 1))
    locker:close()

    fresh()
  end)

  it("lets events flow while the snapshot is stale", function()
    s.session:run("insert into flags values ('refresh')")
    local client = s:connect()
    local stale = client:subscribe("room:1")
    local fresh = fresh_after_stale(client, stale)

    s.session:publish("room:1", '"one"')
    s.session:publish("room:1", '"two"')
    assert.equal(stale.seq + 1, client:expect("event").seq)
    assert.equal(stale.seq + 2, client:expect("event").seq)
    s.session:run("delete from flags")

    assert.equal(stale.seq + 2, fresh().seq)
  end)

  it("never goes back in seq when the fresh snapshot comes amid events", function()
    s.session:run("insert into flags values ('refresh')")
    local client = s:connect()
    local stale = client:subscribe("room:1")
    s.session:run("delete from flags")

    local seq, fresh = stale.seq, nil
    repeat
      s.session:publish("room:1", "1")
      for _, message in ipairs(client:drain()) do
        if message.op == "snapshot" then
          fresh = message
          assert.is_true(message.seq >= seq)
        else
          assert.equal(seq + 1, message.seq)
        end
        seq = message.seq
      end
    until fresh
    assert.equal("as refreshed", fresh.data.status)
  end)

  it("ends a stale subscription when the row turns out to be gone", function()
    s.session:run("insert into flags values ('refresh')")
    local client = s:connect()
    client:subscribe("room:1")

    s.session:run("delete from details")
    s.session:run("delete from flags")

    assert.equal("not_found", client:expect("closed").code)
  end)

  it("answers not_found if the row is gone", function()
    s.session:run("delete from details")
    local client = s:connect()

    assert.equal("not_found", client:ask({ op = "subscribe", id = 1, topic = "room:1" }, "error").code)
  end)

  it("closes a stream with an error if the row is gone", function()
    s.session:run("delete from details")
    local client = ws.attempt(s.server, { path = "/rooms/1/stream" })

    assert.equal(101, client.status)
    assert.equal("not_found", client:expect("error").code)
    assert.equal(1000, (client:closed()))
  end)

  it("answers with the code that it denies with", function()
    s.session:run("insert into flags values ('deny')")
    local client = s:connect()

    local answer = client:ask({ op = "subscribe", id = 1, topic = "room:1" }, "error")

    assert.same({ "forbidden", "no more" }, { answer.code, answer.message })
  end)

  it("is not what fails if the snapshot does: that is tried again inside the deadline", function()
    s.server:expect_log("read failed handler=snapshot")
    s.session:run("insert into flags values ('snapshot')")
    local client = s:connect()
    client:send { op = "subscribe", id = 1, topic = "room:1" }
    s.server:await_log("read failed handler=snapshot")

    s.session:run("delete from flags")

    local snapshot = client:expect("snapshot", 1)
    assert.equal("as refreshed", snapshot.data.status)
    assert.is_nil(snapshot.stale)
  end)

  it("leaves a snapshot that keeps failing to end with its code", function()
    s.server:expect_log("handler=snapshot")
    s.session:run("insert into flags values ('snapshot')")
    local client = s:connect()

    client:send { op = "subscribe", id = 1, topic = "room:1", timeout_ms = 300 }

    local answer = client:expect("error", 1)
    assert.is_true(answer.code == "unavailable" or answer.code == "deadline_exceeded", answer.code)
    if answer.code == "unavailable" then assert.is_number(answer.retry_after_ms) end
    metrics.await(s.server, 'leat_subscriptions{state="reading"}', 0)
  end)
end)
