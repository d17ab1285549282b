-- Handshakes that share one read.

local gate = require "spec.support.gate"
local metrics = require "spec.support.metrics"
local pg = require "spec.support.pg"
local stage = require "spec.support.stage"

local APP = ([[
local leat = require "leat"
local app = leat.app()
app:topic("shared:{id:int}", {
  subscribe = function(ctx, args)
    return leat.subscribe_authorized(ctx, { id = args.id }, {
      refresh = function(db, row)
        db:exec("REFRESH")
        return row
      end,
      snapshot = function(db, row)
        db:exec("SNAPSHOT")
        return { lines = db:rows("select body from lines order by body") }
      end,
      share = ctx.params and ctx.params.share or "all",
    })
  end,
})
return app
]]):gsub("REFRESH", gate.sql(gate.REFRESH)):gsub("SNAPSHOT", gate.sql(gate.SNAPSHOT))

describe("a shared snapshot", function()
  local s

  lazy_setup(function()
    s = stage.open { app = APP, schema = "create table lines (body text)",
      log = { "deadline passed handler=snapshot", "read failed", "pg connection lost", "refresh failed" } }
  end)
  lazy_teardown(function() s:close() end)
  before_each(function() s.session:run("truncate lines") end)
  after_each(function() s:settle() end)

  local function subscribers(n, topic, params)
    local list = {}
    for i = 1, n do
      list[i] = s:connect()
      list[i]:send { op = "subscribe", id = i, topic = topic, params = params }
    end
    return list
  end

  local function write(topic, body)
    s.session:run(([[
      with l as (insert into lines values ('%s') returning body)
      select leat.publish('%s', to_jsonb(l)) from l]]):format(body, topic))
  end

  it("is read once for many, and never from before a subscriber armed without the events since", function()
    local before = s:metrics().leat_snapshot_reads_total
    local shut = gate.shut(s.db, gate.SNAPSHOT)
    local first = subscribers(1, "shared:1")
    shut:await()
    local others = subscribers(30, "shared:1")
    metrics.await(s.server, 'leat_subscriptions{state="reading"}', 31)
    write("shared:1", "meanwhile")

    shut:open()

    assert.equal(0, first[1]:expect("snapshot", 1).seq)
    assert.equal("meanwhile", first[1]:expect("event").data.body)
    for i, client in ipairs(others) do
      local snapshot = client:expect("snapshot", i)
      local line = snapshot.data.lines[1] or client:expect("event").data
      assert.equal("meanwhile", line.body)
      assert.equal(#snapshot.data.lines, snapshot.seq)
    end
    assert.equal(before + 1, s:metrics().leat_snapshot_reads_total)
  end)

  it("is read once for a crowd that comes at once, and each of it has every event", function()
    local CROWD, LINES = 200, 10
    local before = s:metrics().leat_snapshot_reads_total
    local crowd = {}
    for i = 1, CROWD do crowd[i] = s:connect() end

    for i, client in ipairs(crowd) do
      client:send { op = "subscribe", id = i, topic = "shared:8" }
      if i % (CROWD // LINES) == 0 then write("shared:8", "line") end
    end

    for i, client in ipairs(crowd) do
      local snapshot = client:expect("snapshot", i)
      assert.equal(#snapshot.data.lines, snapshot.seq)
      for seq = snapshot.seq + 1, LINES do assert.equal(seq, client:expect("event").seq) end
    end
    assert.equal(before + 1, s:metrics().leat_snapshot_reads_total)
  end)

  it("is good for newcomers while the ring holds what came after it", function()
    local first = subscribers(1, "shared:2")[1]
    local snapshot = first:expect("snapshot")
    for i = 1, 5 do write("shared:2", "line " .. i) end
    for _ = 1, 5 do first:expect("event") end
    local before = s:metrics().leat_snapshot_reads_total

    local second = subscribers(1, "shared:2")[1]

    assert.equal(snapshot.seq, second:expect("snapshot").seq)
    for i = 1, 5 do
      local event = second:expect("event")
      assert.same({ snapshot.seq + i, "line " .. i }, { event.seq, event.data.body })
    end
    assert.equal(before, s:metrics().leat_snapshot_reads_total)
  end)

  it("is not shared with another key", function()
    local before = s:metrics().leat_snapshot_reads_total
    subscribers(1, "shared:3", { share = "a" })[1]:expect("snapshot")
    subscribers(1, "shared:3", { share = "b" })[1]:expect("snapshot")
    subscribers(1, "shared:4", { share = "a" })[1]:expect("snapshot")

    assert.equal(before + 3, s:metrics().leat_snapshot_reads_total)
  end)

  it("is finished for the others when who began it goes away", function()
    local shut = gate.shut(s.db, gate.SNAPSHOT)
    local first = subscribers(1, "shared:5")[1]
    shut:await()
    local others = subscribers(3, "shared:5")
    metrics.await(s.server, 'leat_subscriptions{state="reading"}', 4)

    first:abort()
    metrics.await(s.server, 'leat_subscriptions{state="reading"}', 3)
    shut:open()

    for i, client in ipairs(others) do client:expect("snapshot", i) end
  end)

  it("keeps each one's own deadline", function()
    local shut = gate.shut(s.db, gate.SNAPSHOT)
    local patient, hasty = s:connect(), s:connect()
    patient:send { op = "subscribe", id = 1, topic = "shared:6" }
    shut:await()
    hasty:send { op = "subscribe", id = 2, topic = "shared:6", timeout_ms = 100 }

    assert.equal("deadline_exceeded", hasty:expect("error", 2).code)
    shut:open()
    patient:expect("snapshot", 1)
  end)

  it("survives the death of its backend", function()
    local shut = gate.shut(s.db, gate.SNAPSHOT)
    local clients = subscribers(5, "shared:7")
    shut:await()

    local killer = pg.connect(s.db.url)
    killer:run("select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'advisory'")
    killer:close()
    shut:open()

    for i, client in ipairs(clients) do
      client:expect("snapshot", i)
    end
  end)
end)
