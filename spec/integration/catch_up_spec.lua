-- What the ring no longer holds is fetched once for all who lack it.

local loop = require "spec.support.loop"
local stage = require "spec.support.stage"

local APP = [==[
local leat = require "leat"
local app = leat.app()
app:topic("t:{id:int}", {
  subscribe = function(ctx)
    return leat.subscribe_authorized(ctx, {}, { share = "all", snapshot = function() return {} end })
  end,
})
return app
]==]

local CLIENTS, EVENTS = 50, 600

describe("a topic's subscribers", function()
  local s

  after_each(function()
    s:settle()
    s:close()
  end)

  local function open(variables)
    variables.LEAT_WORKERS = 1
    s = stage.open { app = APP, env = variables }
  end

  local function publish()
    s.session:run(([[
      select leat.publish('t:1', to_jsonb(repeat('x', 1000))) from generate_series(1, %d)]]):format(EVENTS))
  end

  local function expect_all(clients)
    for _, client in ipairs(clients) do
      for seq = 1, EVENTS do assert.equal(seq, client:expect("event").seq) end
    end
  end

  local function subscribe_all()
    local clients = {}
    for i = 1, CLIENTS do
      clients[i] = s:connect {}
      clients[i]:subscribe("t:1")
    end
    return clients
  end

  local function queries() return s:metrics().leat_query_seconds_count end

  it("catch up together when their worker was left behind", function()
    open { LEAT_WORKER_MAIL_BYTES = 4096 }
    local clients, before = subscribe_all(), queries()

    publish()
    expect_all(clients)

    assert.is_true(s:metrics().leat_workers_left_behind_total > 0)
    assert.is_true(queries() - before < CLIENTS, queries() - before .. " queries")
  end)

  it("get a snapshot where the answer would be too large", function()
    open { LEAT_MAX_SNAPSHOT_BYTES = 65536, LEAT_RING_EVENTS = 8 }
    local first = s:connect {}
    local epoch = first:subscribe("t:1").epoch
    first:close()
    loop.eventually(function() return s:metrics().leat_topics == 0 end)
    publish()

    local client = s:connect {}
    client:send { op = "subscribe", id = 1, topic = "t:1", since = { epoch = epoch, seq = 0 } }
    client:expect("resumed", 1)

    assert.equal(EVENTS, client:expect("snapshot").seq)
    s.session:publish("t:1", "1")
    assert.equal(EVENTS + 1, client:expect("event").seq)
  end)

  it("catch up together when they come back to a topic that nobody held", function()
    open { LEAT_HISTORY_EVENTS = 100 }
    local first = s:connect {}
    local epoch = first:subscribe("t:1").epoch
    first:close()
    loop.eventually(function() return s:metrics().leat_topics == 0 end)
    publish()
    local clients, before = {}, queries()
    for i = 1, CLIENTS do clients[i] = s:connect {} end

    for _, client in ipairs(clients) do
      client:send { op = "subscribe", id = 1, topic = "t:1", since = { epoch = epoch, seq = 0 } }
    end
    for _, client in ipairs(clients) do client:expect("resumed", 1) end
    expect_all(clients)

    -- They ask together whether they can go on from there; what follows is fetched by the hundred, for those together
    -- that are there by then. Alone each would need seven queries.
    assert.is_true(queries() - before < 3 * CLIENTS + 10, queries() - before .. " queries")
  end)
end)
