-- A snapshot that reads nothing is good at every position: where the topic is live, the database is not asked.

local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local pg = require "spec.support.pg"
local stage = require "spec.support.stage"

local APP = [==[
local leat = require "leat"
local app = leat.app()

app:topic("bare:{id:int}", {
  subscribe = function(ctx)
    return leat.subscribe_authorized(ctx, { id = 1 }, { snapshot = function() return { "nothing" } end })
  end,
})
app:topic("late:{id:int}", {
  subscribe = function(ctx)
    return leat.subscribe_authorized(ctx, { id = 1 }, {
      snapshot = function(db) return db:transaction(function(tx) return tx:one("select 7 as seven") end) end,
    })
  end,
})
return app
]==]

describe("a snapshot without a refresh", function()
  local s

  before_each(function() s = stage.open { app = APP, env = { LEAT_WORKERS = 1 } } end)
  after_each(function()
    s:settle()
    s:close()
  end)

  it("that reads nothing asks the database for nothing where the topic is live", function()
    local first = s:connect()
    assert.equal(0, first:subscribe("bare:1").seq)
    s.session:publish("bare:1", "1")
    first:expect("event")
    local other = pg.connect(s.db.url)
    other:run "begin; lock table leat.topic, leat_internal.installation in access exclusive mode"

    local second = s:connect()
    local snapshot = second:subscribe("bare:1")
    other:run "commit"
    other:close()
    s.session:publish("bare:1", "2")

    assert.equal(1, snapshot.seq)
    assert.same({ "nothing" }, snapshot.data)
    assert.equal(2, second:expect("event").seq)
    assert.equal(2, first:expect("event").seq)
  end)

  it("that reads nothing shares a question with others, and gets the answer of its own topic", function()
    local CLIENTS, TOPICS = 5, 8
    for i = 1, TOPICS do
      for _ = 1, i do s.session:publish("bare:" .. i, "1") end
    end
    local clients = {}
    for i = 1, CLIENTS do clients[i] = s:connect() end
    local other = pg.connect(s.db.url)
    other:run "begin; lock table leat_internal.installation in access exclusive mode"

    for _, client in ipairs(clients) do
      for i = 1, TOPICS do client:send { op = "subscribe", id = i, topic = "bare:" .. i } end
    end
    loop.eventually(function()
      return metrics.value(s.server, "leat_handshakes_under_way") == CLIENTS * TOPICS
    end)
    local waiting = other:value [[select count(*) from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query like '%leat_internal.position(%']]
    other:run "commit"
    other:close()

    assert.is_true(tonumber(waiting) <= 2, waiting)
    for _, client in ipairs(clients) do
      for _ = 1, TOPICS do
        local snapshot = client:expect("snapshot")
        assert.equal(snapshot.id, snapshot.seq)
        assert.equal(("bare:%d"):format(snapshot.id), snapshot.topic)
      end
    end
  end)

  it("that reads does so at the position that it has", function()
    s.session:publish("late:1", "1")

    local snapshot = s:connect():subscribe("late:1")

    assert.same({ 1, 7 }, { snapshot.seq, snapshot.data.seven })
  end)
end)
