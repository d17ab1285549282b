-- A topic with many subscribers is resynced: each gets its fresh snapshot, and the database is not stampeded.

local follower = require "spec.support.follower"
local gate = require "spec.support.gate"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"

local APP = [[
  local leat = require "leat"
  local app = leat.app()

  local function topic(pattern, share)
    app:topic(pattern, {
      subscribe = function(ctx, args)
        return leat.subscribe_authorized(ctx, { id = args.id }, {
          snapshot = function(db)
            db:exec("PASS")
            return db:rows("select body from lines order by n")
          end,
          share = share,
        })
      end,
    })
  end
  topic("own:{id:int}")
  topic("shared:{id:int}", "all")

  app:method("resync", function(ctx, params) app:resync(params.topic) end)
  return app
]]

local SCHEMA = "create table lines (n bigint generated always as identity, body text)"

local SUBSCRIBERS = 300
local AT_ONCE = 8 -- resyncs of one worker that read at the same time, far fewer than its pool would let them
local POOL = 30

describe("a resync of many", function()
  local s

  lazy_setup(function()
    s = stage.open { app = APP:gsub("PASS", gate.sql(gate.SNAPSHOT)), schema = SCHEMA,
      env = { LEAT_POOL_SIZE = POOL, LEAT_WORKERS = 1, LEAT_CONTROL_TIMEOUT_MS = 30000 } }
  end)
  lazy_teardown(function() s:close() end)
  before_each(function() s.session:run("truncate lines") end)
  after_each(function() s:settle() end)

  local function write(topic, first, last)
    for n = first, last do
      s.session:run(([[
        with l as (insert into lines (body) values ('line %d') returning body)
        select leat.publish('%s', to_jsonb(body)) from l]]):format(n, topic))
    end
  end

  -- One that has the lines as a list.
  local function reader(topic)
    local f
    f = follower.new(topic, {
      snapshot = function(data)
        f.lines = {}
        for _, line in ipairs(data) do f.lines[#f.lines + 1] = line.body end
      end,
      event = function(body) f.lines[#f.lines + 1] = body end,
    })
    return f:on(s:connect())
  end

  local function readers(topic)
    local all = {}
    for i = 1, SUBSCRIBERS do all[i] = reader(topic) end
    for _, f in ipairs(all) do f:await_position(s.session) end
    return all
  end

  -- Each has been resynced once, and has lines 1 to last.
  local function expect_lines(all, last)
    for _, f in ipairs(all) do
      f:await(function() return f.snapshots >= 2 end):await_position(s.session)
      assert.same({ 2, 1, last }, { f.snapshots, f.unasked, #f.lines })
      for n = 1, last do assert.equal("line " .. n, f.lines[n]) end
    end
  end

  local function await_reading(count)
    metrics.await(s.server, 'leat_subscriptions{state="reading"}', count)
  end

  it("reads few snapshots at a time, and who comes anew need not stand in line", function()
    write("own:1", 1, 3)
    local all = readers("own:1")
    local before = s:metrics().leat_snapshot_reads_total
    local shut = gate.shut(s.db, gate.SNAPSHOT)

    s.session:run("select leat.resync('own:1')")
    await_reading(SUBSCRIBERS)
    shut:await(AT_ONCE)
    local newcomer = reader("own:2")
    shut:await(AT_ONCE + 1)
    write("own:1", 4, 6)
    -- Two more are the server's own, for repair and trimming.
    assert.is_true(s:metrics()['leat_pg_pool_connections{state="busy"}'] <= AT_ONCE + 1 + 2)
    assert.equal(0, s:metrics().leat_pg_pool_waiters)
    shut:open()

    expect_lines(all, 6)
    assert.equal(1, newcomer:await_position(s.session).snapshots)
    assert.equal(before + SUBSCRIBERS + 1, s:metrics().leat_snapshot_reads_total)
  end)

  it("asked for again and again while it runs, reads anew only what was being read", function()
    local all, witness = readers("own:1"), s:connect()
    witness:subscribe("own:2")
    local before = s:metrics().leat_snapshot_reads_total
    local shut = gate.shut(s.db, gate.SNAPSHOT)

    for _ = 1, 20 do
      s.session:run("select leat.resync('own:1')")
      await_reading(SUBSCRIBERS)
    end
    s.session:run("select leat.signal('own:2', 'true')")
    witness:expect("signal") -- so all have arrived
    shut:await(AT_ONCE)
    shut:open()

    for _, f in ipairs(all) do
      f:await(function() return f.snapshots >= 2 end):await_position(s.session)
    end
    await_reading(0)
    local reads = s:metrics().leat_snapshot_reads_total - before
    assert.is_true(reads >= SUBSCRIBERS and reads <= SUBSCRIBERS + AT_ONCE, reads .. " reads")
  end)

  it("of a shared snapshot reads it once or twice", function()
    write("shared:1", 1, 3)
    local all = readers("shared:1")
    -- Connections to spare: a read that nobody needs would begin at once.
    local shut = gate.shut(s.db, gate.SNAPSHOT)
    local others = { reader("own:2"), reader("own:2"), reader("own:2") }
    shut:await(#others)
    shut:open()
    for _, f in ipairs(others) do f:await_position(s.session) end
    local before = s:metrics().leat_snapshot_reads_total
    shut = gate.shut(s.db, gate.SNAPSHOT)

    s.session:run("select leat.resync('shared:1')")
    await_reading(SUBSCRIBERS)
    shut:await(1)
    shut:open()

    expect_lines(all, 3)
    local reads = s:metrics().leat_snapshot_reads_total - before
    assert.is_true(reads <= 2, reads .. " reads")
  end)

  it("can be asked for by the application", function()
    local all = readers("own:1")
    local before = s:metrics()['leat_resyncs_total{reason="requested"}']

    s:connect():ask({ op = "call", id = 1, method = "resync", params = { topic = "own:1" } }, "ok")

    for _, f in ipairs(all) do f:await(function() return f.snapshots == 2 end) end
    assert.equal(before + SUBSCRIBERS, s:metrics()['leat_resyncs_total{reason="requested"}'])
  end)
end)
