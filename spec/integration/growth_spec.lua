-- What a subscribe and a resume read does not grow with the history. The server plans its statements while the outbox
-- is nearly empty, and keeps these plans when it has grown. Blocks are counted, not times.

local fixtures = require "spec.support.fixtures"
local stage = require "spec.support.stage"

local OLD_EVENTS, TOPICS = 200000, 100
local CYCLES = 30 -- subscribes, and as many resumes, before the history grows and after
local EACH = 100  -- blocks that one of them may look at, with what the hub reads meanwhile

describe("a long history", function()
  local s

  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema,
      env = { LEAT_TOPIC_LINGER_MS = 1, LEAT_TRIM_INTERVAL_MS = 86400000, LEAT_WORKERS = 1 } }
  end)
  lazy_teardown(function() s:close() end)

  -- All in topics that nobody has, and the tables are not analyzed.
  local function fill()
    s.session:run(([[
      insert into leat.topic (name, epoch, seq)
        select 'old:' || i, gen_random_uuid(), %d from generate_series(1, %d) i;
      insert into leat.event (topic, seq, kind, data)
        select 'old:' || i, s, 'event', '{}' from generate_series(1, %d) i, generate_series(1, %d) s]]):format(
      OLD_EVENTS // TOPICS, TOPICS, TOPICS, OLD_EVENTS // TOPICS))
  end

  -- Blocks and rows of the outbox and of the topics that all sessions have looked at, as far as they have told.
  local function looked_at()
    s.session:run "select pg_stat_force_next_flush()"
    local row = s.session:rows([[
      select sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit) as blocks,
             (select sum(seq_tup_read) from pg_stat_user_tables
               where schemaname = 'leat' and relname in ('topic', 'event')) as rows
        from pg_statio_user_tables where schemaname = 'leat' and relname in ('topic', 'event')]])[1]
    return { blocks = tonumber(row.blocks), rows = tonumber(row.rows) }
  end

  -- A topic without subscribers is forgotten, so that each resume asks the outbox.
  local function cycle()
    local client = s:connect { token = "alice" }
    local epoch = client:subscribe("room:1").epoch
    s:settle()
    client = s:connect { token = "alice" }
    client:ask({ op = "subscribe", id = 1, topic = "room:1", since = { epoch = epoch, seq = 5 } }, "resumed")
    for seq = 6, 20 do assert.equal(seq, client:expect("event").seq) end
    s:settle()
  end

  it("makes neither a subscribe nor a resume read more", function()
    s.session:run "select leat.publish('room:1', to_jsonb(n)) from generate_series(1, 20) n"
    for _ = 1, CYCLES do cycle() end
    fill()
    local before = looked_at()

    for _ = 1, CYCLES do cycle() end
    s:stop() -- its sessions tell what they have looked at when they end

    local after = looked_at()
    local blocks, rows = after.blocks - before.blocks, after.rows - before.rows
    assert.is_true(blocks <= 2 * 2 * CYCLES * EACH, blocks .. " blocks")
    assert.is_true(rows < OLD_EVENTS, rows .. " rows without an index")
  end)
end)
