-- Positions and epochs: what names one numbering of a topic.

local pg = require "spec.support.pg"
local postgres = require "spec.support.postgres"

describe("leat_internal.position", function()
  local db, session

  lazy_setup(function()
    db = postgres.database()
    session = db.session
  end)
  lazy_teardown(function() db:drop() end)

  local function position(topic)
    local rows = session:rows("select epoch, seq from leat_internal.position(" .. session:quote(topic) .. ")")
    assert.equal(1, #rows)
    return rows[1]
  end

  it("is the timeline, the history and the topic's epoch, and its last seq", function()
    session:publish("known", "1")
    session:publish("known", "2")

    local found = position("known")
    local epoch = session:value "select epoch from leat.topic where name = 'known'"
    local history = session:value "select history from leat_internal.installation"

    assert.equal("00000001-" .. history .. "-" .. epoch, found.epoch)
    assert.equal("2", found.seq)
  end)

  it("of a topic without events is 0, in the epoch that its first event will have", function()
    local before = position("new")
    session:publish("new", "1")
    local after = position("new")

    assert.equal("0", before.seq)
    assert.equal("1", after.seq)
    assert.equal(before.epoch, after.epoch)
  end)

  it("names the last revocation", function()
    local function revoked() return session:value "select revoked from leat_internal.position('taken')" end
    assert.equal("-1", revoked())
    session:publish("taken", "1")
    assert.equal("-1", revoked())
    session:run [[
      begin;
      select leat.publish('taken', '2'), leat.revoke('taken'), leat.revoke('taken', '7'), leat.publish('taken', '3');
      commit]]
    assert.equal("4", revoked())
    session:publish("taken", "4")
    session:run "begin; select leat.revoke('taken'); rollback"
    assert.equal("4", revoked())
    session:run "select leat.revoke('taken')"
    assert.equal("7", revoked())
  end)

  it("does not take one topic for another that sorts after it", function()
    session:publish("sorted:2", "1")

    assert.equal("0", position("sorted:1").seq)
    assert.equal("0", position("sorted:").seq)
    assert.equal("0", position("zzz").seq)
  end)

  it("can be read in a read-only transaction, and does not move in it", function()
    local writer = pg.connect(db.url)
    session:publish("still", "1")
    session:run "begin isolation level repeatable read read only"
    local first = position("still").seq
    writer:publish("still", "2")
    local second = position("still").seq
    session:run "commit"
    writer:close()

    assert.equal("1", first)
    assert.equal("1", second)
    assert.equal("2", position("still").seq)
  end)

  it("is one look into an index, though the topics fit two pages", function()
    session:run "select leat.publish('plan:' || n, '1') from generate_series(1, 200) n"
    session:run "analyze leat.topic"

    local plan = {}
    for _, row in ipairs(session:rows "explain (costs off) select * from leat_internal.position('plan:7')") do
      plan[#plan + 1] = row["QUERY PLAN"]
    end
    plan = table.concat(plan, "\n")

    assert.matches("Index Scan using topic_pkey on topic", plan, 1, true)
    assert.not_matches("Function Scan", plan, 1, true)
  end)
end)

describe("an epoch", function()
  local db, session

  before_each(function()
    db = postgres.database()
    session = db.session
  end)
  after_each(function() db:drop() end)

  local function epoch_of(topic)
    return session:value("select epoch from leat_internal.position('" .. topic .. "')")
  end

  local function events(topic)
    return session:value(
      "select string_agg(seq || ':' || data, ' ' order by seq) from leat.event where topic = '" .. topic .. "'")
  end

  it("is another one after the topic was deleted, and the others keep theirs", function()
    session:publish("reset", "1")
    session:publish("kept", "1")
    local reset, kept = epoch_of("reset"), epoch_of("kept")

    session:run "delete from leat.topic where name = 'reset'"
    local without_row = epoch_of("reset")
    session:publish("reset", "2")

    assert.not_equal(reset, without_row)
    assert.equal(without_row, epoch_of("reset"))
    assert.equal(kept, epoch_of("kept"))
    assert.equal("1:2", events("reset"))
    assert.equal("1:1", events("kept"))
  end)

  it("that begins where topics were deleted tells that there may have been a revocation", function()
    local function revoked(topic)
      return session:value("select revoked from leat_internal.position('" .. topic .. "')")
    end
    session:run "update leat_internal.installation set reset_at = '-infinity'"
    session:publish("kept", "1")
    session:publish("gone", "1")
    session:run "delete from leat.topic where name = 'gone'"

    assert.same({ "-1", "0", "0" }, { revoked "kept", revoked "gone", revoked "unheard of" })
    session:publish("gone", "1")
    session:run "update leat_internal.installation set reset_at = now() - interval '2 hours'"
    session:publish("late", "1")
    assert.same({ "-1", "0", "-1", "-1" }, { revoked "kept", revoked "gone", revoked "unheard of", revoked "late" })
  end)

  it("is another one after all topics were truncated", function()
    session:publish("reset", "1")
    local before = epoch_of("reset")

    session:run "truncate leat.topic"
    session:publish("reset", "2")

    assert.not_equal(before, epoch_of("reset"))
    assert.equal("1:2", events("reset"))
  end)

  it("is another one for every topic after renew_epochs, and the numbers go on", function()
    session:publish("dumped", "1")
    local with_row, without_row = epoch_of("dumped"), epoch_of("none")

    session:run "select leat.renew_epochs()"
    session:publish("dumped", "2")

    assert.not_equal(with_row, epoch_of("dumped"))
    assert.not_equal(without_row, epoch_of("none"))
    assert.equal("1:1 2:2", events("dumped"))
  end)

  it("stays when the deletion is rolled back", function()
    session:publish("reset", "1")
    local before = epoch_of("reset")

    session:run "begin"
    session:run "delete from leat.topic"
    session:run "rollback"

    assert.equal(before, epoch_of("reset"))
    assert.equal("1:1", events("reset"))
  end)

  it("is the new one for who publishes while the deletion commits", function()
    local psql = require "spec.support.psql"
    local loop = require "spec.support.loop"
    session:publish("race", "1")
    local before = epoch_of("race")
    session:run "begin"
    session:run "delete from leat.topic"

    local writer = psql.start(db.url, "select leat.publish('race', '2')")
    loop.eventually(function()
      return session:value "select count(*) from pg_locks where not granted" ~= "0"
    end, nil, "a publisher that waits")
    session:run "commit"

    assert.equal(0, writer:wait())
    assert.not_equal(before, epoch_of("race"))
    assert.equal("1:2", events("race"))
  end)
end)
