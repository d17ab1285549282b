-- Every role may NOTIFY on channel leat. What no function of ours wrote is never shown, moves nothing, hides nothing.

local fixtures = require "spec.support.fixtures"
local follower = require "spec.support.follower"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local pg = require "spec.support.pg"
local psql = require "spec.support.psql"
local stage = require "spec.support.stage"

local MAC = ("0123456789abcdef"):rep(2)

describe("a forged announcement", function()
  local s, forger

  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema, log = { "WARN broker announcements refused" } }
    forger = pg.connect(s.db.url) -- the owner's, but a NOTIFY needs no right at all
  end)
  lazy_teardown(function()
    forger:close()
    s:close()
  end)
  after_each(function() s:settle() end)

  local function notify(payload)
    forger:run(("select pg_notify('leat', %s)"):format(forger:quote(payload)))
  end

  local function room()
    local f = follower.new("room:3"):on(s:connect { token = "alice" })
    return f:await(function() return f.snapshots == 1 end)
  end

  local function epoch(f) return f.epoch:sub(10) end

  -- The next real event arrives as it is, and nothing else did.
  local function assert_untouched(f)
    local data
    f.hooks.event = function(d) data = d end
    local events = f.events
    s.session:publish("room:3", '{"real": true}')
    f:await_position(s.session)
    assert.same({ true, events + 1, 1 }, { data.real, f.events, f.snapshots })
  end

  local function refused()
    return metrics.value(s.server, "leat_announcements_refused_total")
  end

  it("of the next event is not delivered, and the real one is", function()
    local f = room()
    local before = refused()

    notify(table.concat({ MAC, "e", epoch(f), f.seq + 1, "1700000000000000", "room:3", '{"real": false}' }, "\n"))
    notify(table.concat({ "e", epoch(f), f.seq + 1, "room:3", '{"real": false}' }, "\n"))

    assert_untouched(f)
    metrics.await(s.server, "leat_announcements_refused_total", before + 2)
  end)

  it("moves nothing, of whatever kind it is", function()
    local f = room()
    local reads = metrics.value(s.server, "leat_snapshot_reads_total")
    local before = refused()
    local forged = {}
    for _, kind in ipairs { "e", "E", "r", "y", "s", "h" } do
      for _, seq in ipairs { 0, f.seq, f.seq + 1, f.seq + 1000000, 9007199254740991 } do
        for _, e in ipairs { epoch(f), "00000000-000000000000", "" } do
          forged[#forged + 1] = table.concat({ MAC, kind, e, seq, "1", "room:3", "null" }, "\n")
        end
      end
    end
    for _, payload in ipairs { "", "x", "fence:", "fence:0123456789abcdef", MAC, MAC .. "\n", ("\n"):rep(7999),
      MAC .. "\ns\n\n0\n0\nroom:3\n}}}{{{", MAC .. '\ns\n\n0\n0\nroom:3\n1,"op":"closed"',
      MAC .. "\ne\n" .. epoch(f) .. "\n99999999999999999999999\n1\nroom:3\n1",
      MAC .. "\nh\n\n0\n0\n\n", ("\xc3\xa4"):rep(3999) } do
      forged[#forged + 1] = payload
    end
    for _, payload in ipairs(forged) do notify(payload) end

    assert_untouched(f)
    -- Two look like fences, and are nobody's.
    metrics.await(s.server, "leat_announcements_refused_total", before + #forged - 2)
    assert.equal(reads, metrics.value(s.server, "leat_snapshot_reads_total"))
  end)

  it("of a signal shows nothing", function()
    local f = room()
    notify(MAC .. '\ns\n\n0\n0\nroom:3\n{"typing": true}')
    assert_untouched(f) -- a follower fails at a signal
  end)

  it("is one, too, where it repeats what another session sent", function()
    local out = psql.run(s.db.url, [[
      listen leat;
      select leat.publish('room:3', '1'), leat.signal('room:3', '2');
      select;]])
    local heard = {}
    for payload in out:gmatch('with payload "(.-)" received from') do heard[#heard + 1] = payload end
    assert.equal(2, #heard)
    local f = room()
    local before = refused()

    for _, payload in ipairs(heard) do notify(payload) end

    assert_untouched(f)
    assert.equal(before + 2, refused())
  end)

  it("in floods costs little, and few lines of the log", function()
    local f = room()
    local before = refused()
    local reads = metrics.value(s.server, "leat_query_seconds_count")
    local logged = s.server:count_log("announcements refused")

    forger:run(([[
      do $$ begin
        for i in 1..20000 loop
          perform pg_notify('leat', '%s' || E'\ne\n%s\n' || i || E'\n1\nroom:3\n"%s"');
        end loop;
      end $$]]):format(MAC, epoch(f), ("x"):rep(500)))

    assert_untouched(f)
    loop.eventually(function() return refused() == before + 20000 end, 20000)
    assert.is_true(metrics.value(s.server, "leat_query_seconds_count") - reads < 20)
    assert.is_true(s.server:count_log("announcements refused") - logged <= 3)
  end)

  it("is told from what a new key signs, which is learnt of", function()
    local f = room()

    s.session:run [[
      update leat_internal.secret s set key = k.key, pads = leat_internal.pad(k.key, 54) || leat_internal.pad(k.key, 92)
        from (select leat_internal.new_key() as key) k]]
    s.session:publish("room:3", "1")

    f:await_position(s.session)
    assert.equal(1, f.snapshots)
    assert_untouched(f)
  end)
end)
