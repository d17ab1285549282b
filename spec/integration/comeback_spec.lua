-- After a restart the server knows no topic. Clients that come back at once share the question whether the outbox leads
-- on from where they are, and each gets the answer of its own topic and position.

local loop = require "spec.support.loop"
local pg = require "spec.support.pg"
local stage = require "spec.support.stage"

local APP = [==[
local leat = require "leat"
local app = leat.app()
app:topic("t:{id:int}", {
  subscribe = function(ctx)
    return leat.subscribe_authorized(ctx, {}, { snapshot = function() return {} end })
  end,
})
return app
]==]

local CLIENTS, EVENTS = 48, 5
local ENV = { LEAT_WORKERS = 1, LEAT_TRIM_INTERVAL_MS = 86400000, LEAT_COMPARE_INTERVAL_MS = 60000 }

-- The events that a client has; from each of these but the last one the outbox leads on.
local HAS = { EVENTS, EVENTS - 2, 0 }

describe("many clients that come back to a server that was restarted", function()
  local s

  before_each(function()
    s = stage.open { app = APP, env = ENV }
    s.session:run(([[
      select leat.publish('t:' || t, to_jsonb(n)) from generate_series(1, %d) t, generate_series(1, %d) n]]):format(
      CLIENTS, EVENTS))
    s.session:run "delete from leat.event where seq = 1"
    s:stop()
    s:serve(ENV)
    s.server:await_log "history verdict=known" -- it reads the table that specs lock
  end)
  after_each(function()
    s:settle()
    s:close()
  end)

  local function epoch(topic)
    return s.session:value(("select epoch from leat_internal.position('%s')"):format(topic))
  end

  local function queries() return s:metrics().leat_query_seconds_count end

  -- All of them have asked, by a query or not, before one gets an answer. Returns them, and what lets go of the table.
  local function come_back(topic_of, locked)
    local clients, since = {}, {}
    for i = 1, CLIENTS do
      clients[i] = s:connect()
      since[i] = { epoch = epoch(topic_of(i)), seq = HAS[1 + i % #HAS] }
    end
    local other = pg.connect(s.db.url)
    other:run("begin; lock table " .. locked .. " in access exclusive mode")
    for i, client in ipairs(clients) do
      client:send { op = "subscribe", id = i, topic = topic_of(i), since = since[i] }
    end
    loop.eventually(function() return s:metrics()['leat_subscriptions{state="reading"}'] == CLIENTS end)
    return clients, function()
      other:run "commit"
      other:close()
    end
  end

  local function waiting_queries()
    return tonumber(s.session:value [[select count(*) from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query like '%leat_internal.position(%']])
  end

  local function expect_their_own(clients, topic_of)
    for i, client in ipairs(clients) do
      local has = HAS[1 + i % #HAS]
      local answer = client:expect(has > 0 and "resumed" or "snapshot", i)
      assert.same({ topic_of(i), has > 0 and has or EVENTS }, { answer.topic, answer.seq })
    end
    for t = 1, CLIENTS do s.session:publish("t:" .. t, "1") end
    for i, client in ipairs(clients) do
      local has = HAS[1 + i % #HAS]
      for seq = has > 0 and has + 1 or EVENTS + 1, EVENTS + 1 do
        local event = client:expect("event")
        assert.same({ topic_of(i), seq }, { event.topic, event.seq })
      end
    end
  end

  for name, topic_of in pairs {
    ["each to a topic of its own"] = function(i) return "t:" .. i end,
    ["all to one topic"] = function() return "t:1" end,
  } do
    it("ask together, " .. name, function()
      local before = queries()

      local clients, let_go = come_back(topic_of, "leat_internal.installation")
      local waiting = waiting_queries()
      let_go()

      assert.is_true(waiting <= 2, waiting .. " queries wait")
      expect_their_own(clients, topic_of)
      -- Some are shared questions, the others fetch the events of one topic each: for a third of the clients at most.
      local caused = queries() - before
      assert.is_true(caused < CLIENTS, caused .. " queries")
    end)
  end

  it("wait for a lock on the outbox, and others get their snapshots meanwhile", function()
    local function own(i) return "t:" .. i end
    local clients, let_go = come_back(own, "leat.event")

    assert.equal(0, s:connect():subscribe("t:" .. CLIENTS + 1).seq)

    let_go()
    expect_their_own(clients, own)
  end)
end)
