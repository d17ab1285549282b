-- Events that are larger than what the server holds: nobody's memory grows, and nobody misses what they meant.

local fixtures = require "spec.support.fixtures"
local follower = require "spec.support.follower"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"

local MIB = 1048576

describe("an event", function()
  local s

  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema,
      log = { "outbox not read" }, -- in time, on a busy machine, and tried again
      env = { LEAT_RING_BYTES = 8192, LEAT_MAX_EVENT_BYTES = MIB, LEAT_WORKERS = 1,
        -- What is freed is free: a sanitizer would keep it for a while.
        ASAN_OPTIONS = "quarantine_size_mb=1:thread_local_quarantine_size_kb=64" } }
    s.session:run "update leat_internal.installation set max_event_bytes = 1 << 30"
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  local function room(since)
    local f = follower.new("room:1")
    if since then f.epoch, f.seq = since.epoch, since.seq end
    f.sizes = {}
    f.hooks.event = function(data) f.sizes[#f.sizes + 1] = #data end
    return f:on(s:connect { token = "alice" })
  end

  local function publish(size)
    s.session:run(("select leat.publish('room:1', to_jsonb(repeat('x', %d)))"):format(size))
  end

  -- The most that the server has ever held, in bytes.
  local function peak()
    local file = assert(io.open("/proc/" .. s.server.process.pid .. "/status"))
    local text = file:read("a")
    file:close()
    return tonumber(text:match("VmHWM:%s+(%d+)")) * 1024
  end

  it("larger than a ring is delivered, and held by none", function()
    local all = {}
    for i = 1, 3 do all[i] = room():await(function(f) return f.snapshots == 1 end) end

    publish(10)
    publish(50000)
    publish(6000)
    publish(11)

    for _, f in ipairs(all) do
      f:await_position(s.session)
      assert.same({ 1, { 10, 50000, 6000, 11 } }, { f.snapshots, f.sizes })
    end
    local ring = metrics.value(s.server, "leat_ring_bytes")
    assert.is_true(ring > 0 and ring <= 8192, "the ring holds " .. ring)
  end)

  it("larger than max_event_bytes makes its topic's subscriptions resync", function()
    local live = room():await(function(f) return f.snapshots == 1 end)
    local since = { epoch = live.epoch, seq = live.seq }
    local before = metrics.value(s.server, 'leat_resyncs_total{reason="too_large"}')

    publish(10)
    publish(MIB + 1)
    publish(11)

    live:await_position(s.session)
    assert.same({ 2, 1 }, { live.snapshots, live.unasked })
    assert.equal(before + 1, metrics.value(s.server, 'leat_resyncs_total{reason="too_large"}'))
    for _, size in ipairs(live.sizes) do assert.is_true(size <= 11) end
    local back = room(since):await_position(s.session)
    assert.equal(1, back.snapshots)
    publish(12)
    live:await_position(s.session)
    assert.equal(12, live.sizes[#live.sizes])
  end)

  it("of 100 MB in the log costs the server nothing", function()
    local live = room():await(function(f) return f.snapshots == 1 end)
    local since = { epoch = live.epoch, seq = live.seq }
    local before = peak()

    publish(100 * MIB)
    live:await_position(s.session, 30000)
    room(since):await_position(s.session, 30000)
    room():await_position(s.session, 30000)

    assert.is_true(peak() - before < 32 * MIB, "it took " .. (peak() - before))
  end)

  it("of a transaction with hundreds of them arrives, though most of them are not announced", function()
    local live = room():await(function(f) return f.snapshots == 1 end)
    local before = metrics.value(s.server, "leat_gaps_repaired_total")

    s.session:run [[
      begin;
      select leat.publish('room:1', to_jsonb(repeat('x', i))) from generate_series(1, 200) i;
      select leat.revoke('room:1', 'nobody');
      select leat.publish('room:1', to_jsonb(repeat('x', i))) from generate_series(201, 400) i;
      commit]]

    live:await_position(s.session)
    assert.same({ 1, 400 }, { live.snapshots, #live.sizes })
    for i, size in ipairs(live.sizes) do assert.equal(i, size) end
    assert.is_true(metrics.value(s.server, "leat_gaps_repaired_total") > before)
  end)

  it("of many large ones on many topics are fetched a bounded number of bytes at a time", function()
    local all = {}
    for i = 1, 40 do
      s.session:run(("insert into rooms (id) values (%d)"):format(1000 + i))
      all[i] = follower.new("room:" .. 1000 + i):on(s:connect { token = "alice" })
    end
    for _, f in ipairs(all) do f:await(function() return f.snapshots == 1 end) end
    local before = peak()

    s.session:run [[
      select leat.publish('room:' || 1000 + i, to_jsonb(repeat('x', 1000000))) from generate_series(1, 40) i]]

    for _, f in ipairs(all) do
      f:await_position(s.session, 30000)
      assert.same({ 1, 1 }, { f.snapshots, f.events })
    end
    assert.is_true(peak() - before < 160 * MIB, "it took " .. (peak() - before))
  end)
end)
