-- leat_internal.trim: retention by age and by count, in small batches.

local pg = require "spec.support.pg"
local postgres = require "spec.support.postgres"

describe("leat_internal.trim", function()
  local db, session

  before_each(function()
    db = postgres.database()
    session = db.session
  end)
  after_each(function() db:drop() end)

  local function publish(topic, count)
    session:run(("select leat.publish('%s', to_jsonb(n)) from generate_series(1, %d) n"):format(topic, count))
  end

  local function trim(max_age, max_events, batch)
    return tonumber(session:value(("select leat_internal.trim(%s, %s, %d)"):format(
      max_age and "'" .. max_age .. "'" or "null", max_events or "null", batch or 1000)))
  end

  local function kept(topic)
    return session:value(
      "select min(seq) || '-' || max(seq) || ' ' || count(*) from leat.event where topic = '" .. topic .. "'")
  end

  it("keeps a topic's newest events, whatever the other topics have", function()
    publish("long", 25)
    publish("short", 3)

    assert.equal(15, trim("1 hour", 10))
    assert.equal("16-25 10", kept("long"))
    assert.equal("1-3 3", kept("short"))
  end)

  it("deletes what is too old, and nothing younger", function()
    publish("aged", 10)
    session:run "update leat.event set created_at = created_at - interval '2 hours' where seq <= 4"

    assert.equal(4, trim("1 hour", 1000))
    assert.equal("5-10 6", kept("aged"))
  end)

  it("deletes at most a batch, the oldest first, and says so", function()
    publish("batch", 25)

    assert.equal(6, trim("1 hour", 10, 6))
    assert.equal("7-25 19", kept("batch"))
    assert.equal(6, trim("1 hour", 10, 6))
    assert.equal(3, trim("1 hour", 10, 6))
    assert.equal("16-25 10", kept("batch"))
    assert.equal(0, trim("1 hour", 10, 6))
  end)

  it("comes to every topic, one batch after the other", function()
    session:run [[
      select leat.publish('many:' || n % 30, to_jsonb(n)) from generate_series(1, 300) n]]

    local deleted, calls = 0, 0
    repeat
      local n = trim("1 hour", 4, 7)
      deleted, calls = deleted + n, calls + 1
    until n < 7

    assert.equal(180, deleted)
    assert.equal("4", session:value "select max(c) from (select count(*) c from leat.event group by topic) x")
    assert.equal("4", session:value "select min(c) from (select count(*) c from leat.event group by topic) x")
    assert.is_true(calls <= 27)
  end)

  it("notices a topic that grows after it was looked at", function()
    publish("grows", 12)
    trim("1 hour", 10)
    publish("grows", 3)

    assert.equal(3, trim("1 hour", 10))
    assert.equal("6-15 10", kept("grows"))
  end)

  it("applies a lower limit to topics that are quiet", function()
    publish("quiet", 20)
    session:run "update leat.event set created_at = created_at - interval '1 minute'"
    trim("1 hour", 15)

    assert.equal(10, trim("1 hour", 5))
    assert.equal("16-20 5", kept("quiet"))
  end)

  it("knows no limit where it is NULL", function()
    publish("free", 20)
    session:run "update leat.event set created_at = created_at - interval '1 year'"

    assert.equal(0, trim(nil, nil))
    assert.equal(15, trim(nil, 5))
    assert.equal(5, trim("1 hour", nil))
  end)

  it("leaves the numbering alone", function()
    publish("goes on", 3)
    trim("0 seconds", 1000)
    publish("goes on", 1)

    assert.equal("4-4 1", kept("goes on"))
  end)

  it("is left to one caller at a time", function()
    publish("one", 20)
    local other = pg.connect(db.url)
    session:run "begin"
    local mine = trim("1 hour", 15)
    local theirs = tonumber(other:value "select leat_internal.trim('1 hour', 15, 1000)")
    session:run "commit"
    other:close()

    assert.equal(5, mine)
    assert.equal(0, theirs)
  end)

  it("is not stopped by what a role without rights can lock", function()
    local role = db.name .. "_nobody"
    session:run("create role " .. role)
    local other = pg.connect(db.url)
    other:run("set role " .. role)
    other:run "select pg_advisory_lock(hashtextextended('leat_internal.trim', 0))"
    local locked = pcall(other.run, other, "begin; lock table leat_internal.trimming in access share mode")
    publish("one", 20)
    local deleted = trim("1 hour", 15)
    other:close()
    session:run("drop role " .. role)

    assert.is_false(locked)
    assert.equal(5, deleted)
  end)

  it("does not stop publishers", function()
    publish("busy", 20)
    local other = pg.connect(db.url)
    session:run "begin"
    trim("1 hour", 15)
    other:run "set lock_timeout = '2s'"
    other:publish("busy", "21")
    session:run "commit"
    other:close()

    assert.equal("6-21 16", kept("busy"))
  end)

  it("does not walk through the events that stay", function()
    publish("stays", 20000)
    -- What is younger than ten seconds is looked at by every call.
    session:run "update leat.event set created_at = created_at - interval '1 minute'"
    session:run "vacuum full analyze leat.event"
    -- The first call of a session plans its statements, and reads catalogs for that.
    trim("1 hour", 100000)
    local plan = session:value [[explain (analyze, buffers, timing off, summary off, format json)
      select leat_internal.trim('1 hour', 100000, 1000)]]
    local blocks = tonumber(plan:match '"Shared Hit Blocks": (%d+)')

    assert.is_true(blocks < 100, "a call that has nothing to do looked at " .. blocks .. " blocks")
  end)

  it("looks at a bounded number of events, and goes on there", function()
    -- As many as one call does not look at: a crash has emptied leat_internal.trimming, then one topic has grown.
    session:run [[
      insert into leat.topic (name, epoch, seq) select 'quiet:' || n, 'e', 10 from generate_series(1, 8000) n;
      insert into leat.event (topic, seq, kind, data, created_at)
        select 'quiet:' || n, s, 'event', '1', now() - interval '30 minutes' + (s * 8000 + n) * interval '1 ms'
          from generate_series(1, 8000) n, generate_series(1, 10) s;
      insert into leat.topic (name, epoch, seq) values ('grown', 'e', 3000);
      insert into leat.event (topic, seq, kind, data, created_at)
        select 'grown', s, 'event', '1', now() - interval '1 minute' + s * interval '1 ms'
          from generate_series(1, 3000) s;
      analyze leat.event; analyze leat.topic]]
    local function looked_at()
      return tonumber(session:value [[
        select count(*) from leat.event e where e.created_at <= (select t.seen from leat_internal.trimming t)]])
    end

    assert.equal(0, trim("1 hour", 10))
    local first = looked_at()
    local deleted, calls = 0, 0
    repeat
      deleted, calls = deleted + trim("1 hour", 10), calls + 1
    until kept("grown") == "2991-3000 10" or calls > 200

    assert.is_true(first > 0 and first <= 50000, first)
    assert.equal(2990, deleted)
    assert.equal(0, trim("1 hour", 10))
  end)

  it("keeps its progress for each limit", function()
    publish("two", 30)
    session:run "update leat.event set created_at = created_at - interval '1 minute'"
    trim("1 hour", 20)
    trim("1 hour", 10)

    assert.equal("10 20", session:value [[
      select string_agg(max_events::text, ' ' order by max_events) from leat_internal.trimming]])
    assert.equal("21-30 10", kept("two"))
  end)
end)
