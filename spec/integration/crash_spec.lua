-- Postgres crashes, and takes with it what sessions with synchronous_commit = off have committed last: but not what
-- they have published, which clients may have seen.

local uv = require "luv"
local cluster = require "spec.support.cluster"
local fixtures = require "spec.support.fixtures"
local follower = require "spec.support.follower"
local pg = require "spec.support.pg"
local psql = require "spec.support.psql"
local stage = require "spec.support.stage"

-- Publishes to room 1 until it is ended.
local PUBLISH = [[
  do $$
  declare n int := 0;
  begin
    loop
      n := n + 1;
      perform leat.publish('room:1', to_jsonb(pg_backend_pid() || ':' || n));
      commit;
    end loop;
  end $$;
]]

local SCHEMA = fixtures.schema .. [[
  do $$ begin
    execute format('alter database %I set synchronous_commit = off', current_database());
  end $$;
]]

describe("when Postgres crashes right after an asynchronous commit", function()
  local postgres, s, live, last

  lazy_setup(function()
    -- Nothing but what a spec commits writes the log, and the log writer comes late.
    postgres = cluster.new { wal_writer_delay = "10s", bgwriter_lru_maxpages = 0, autovacuum = "off",
      wal_level = "minimal", max_wal_senders = 0 }
    s = stage.open { cluster = postgres, app = fixtures.app, schema = SCHEMA, log = { "WARN" } }
  end)
  lazy_teardown(function()
    local ok, err = pcall(s.close, s)
    postgres:remove()
    if not ok then error(err) end
  end)

  local function connect()
    s.session = pg.connect(s.db.url)
    s.db.session = s.session
  end

  before_each(function()
    s.session:close()
    connect()
    live = follower.new("room:1", { event = function(data) last = data end }):on(s:connect { token = "alice" })
    live:await_position(s.session)
  end)
  after_each(function() s:settle(20000) end)

  local function crash()
    s.session:close()
    postgres:crash()
    connect()
  end

  -- From here on nothing writes the log but a commit that waits for it: its writer wakes up now and then.
  local function stop_log_writer()
    uv.kill(tonumber(s.session:value("select pid from pg_stat_activity where backend_type = 'walwriter'")), "sigstop")
  end

  -- The next event, and what the outbox says that it is.
  local function await_event()
    local seq = live.seq
    live:await(function() return live.seq > seq end, 20000)
    local sql = "select data from leat.event where topic = 'room:1' and seq = " .. live.seq
    return last, s.session:value(sql)
  end

  it("a commit that publishes nothing is lost", function()
    stop_log_writer()
    s.session:run("insert into notes (room_id, body) values (1, 'vanishes')")
    assert.equal("1", s.session:value("select count(*) from notes where body = 'vanishes'"))

    crash()

    assert.equal("0", s.session:value("select count(*) from notes where body = 'vanishes'"))
  end)

  it("a commit that publishes is lost if it has opted out", function()
    stop_log_writer()
    s.session:run("set leat.synchronous_commit = off")
    s.session:publish("room:1", '"vanishes"')
    assert.equal("vanishes", (await_event()))

    crash()

    assert.equal("0", s.session:value([[select count(*) from leat.event where data = '"vanishes"']]))
  end)

  for what, sql in pairs {
    ["an event"] = [[select leat.publish('room:1', '"seen"')]],
    ["the last of several events"] = [[
      select leat.publish(topic, '"seen"') from unnest(array['room:3', 'room:4', 'room:1']) topic]],
    ["an event that stands beside other changes"] = [[
      with n as (insert into notes (room_id, body) values (1, 'seen') returning body)
      select leat.publish('room:1', to_jsonb(n.body)) from n]],
  } do
    it(what .. " is there, and keeps its number", function()
      local before, snapshots = live.seq, live.snapshots
      s.session:run(sql)
      assert.equal("seen", (await_event()))

      crash()
      s.session:publish("room:1", '"after"')

      assert.same({ "after", '"after"' }, { await_event() })
      assert.same({ before + 2, snapshots }, { live.seq, live.snapshots })
      assert.equal('"seen"', s.session:value(
        "select data from leat.event where topic = 'room:1' and seq = " .. before + 1))
    end)
  end

  it("what a client has published is there, and keeps its number", function()
    local before, snapshots = live.seq, live.snapshots
    local writer = s:connect { token = "bob" }
    writer:ask({ op = "publish", id = 1, topic = "room:1", data = { body = "acknowledged" } }, "ok")
    assert.equal("acknowledged", (await_event()).body)

    crash()
    s.session:publish("room:1", '"after"')

    assert.same({ "after", '"after"' }, { await_event() })
    assert.same({ before + 2, snapshots }, { live.seq, live.snapshots })
    assert.equal("1", s.session:value("select count(*) from notes where body = 'acknowledged'"))
  end)

  it("what many are publishing at that moment keeps its number, once it was seen", function()
    local seen, sessions, n_sessions = {}, {}, 0
    live.hooks.event = function(data)
      seen[live.seq] = data
      local pid = data:match("^%d+")
      if pid and not sessions[pid] then sessions[pid], n_sessions = true, n_sessions + 1 end
    end
    local before = live.seq

    for round = 1, 3 do
      local publishers = {}
      for i = 1, 4 do publishers[i] = psql.start(s.db.url, PUBLISH) end
      local from = live.seq
      -- One that connects only after the crash would publish for ever.
      live:await(function() return live.seq > from + 100 and n_sessions == 4 * round end)
      crash()
      for _, p in ipairs(publishers) do p:wait() end
    end
    s.session:publish("room:1", '"the last"')
    live:await_position(s.session, 20000)

    assert.equal(1, live.snapshots)
    assert.is_true(live.seq > before + 300)
    local rows = s.session:rows("select seq, data #>> '{}' as data from leat.event where topic = 'room:1' and seq > "
      .. before .. " order by seq")
    assert.equal(live.seq - before, #rows)
    for _, row in ipairs(rows) do assert.equal(row.data, seen[tonumber(row.seq)]) end
  end)
end)
