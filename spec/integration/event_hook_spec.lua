-- The event hook: once an event and worker, between the outbox and the subscribers.

local stage = require "spec.support.stage"

local APP = [[
local leat = require "leat"
local app = leat.app()
app:topic("hooked:{id:int}", {
  subscribe = function(ctx, args)
    return leat.subscribe_authorized(ctx, { id = args.id }, {
      snapshot = function(db) return db:rows("select id, word from words order by id") end,
    })
  end,
  event = function(ctx, event, args)
    if event.data.fail then error("hook failed") end
    if event.data.deny then return leat.deny("forbidden") end
    if event.data.wait then ctx.db:exec("select pg_sleep(0.1)") end
    if event.data.hang then ctx.db:exec("select pg_sleep(60)") end
    if event.data.loop then while true do end end
    local row = ctx.db:one("select id, word from words where id = $1", event.data.id)
    return { topic = event.topic, seq = event.seq, arg = args.id, word = row and row.word,
      calls = ctx.db:one("select nextval('calls') as n").n }
  end,
})
return app
]]

local function open(variables)
  return stage.open { app = APP, env = variables, log = { "handler=event" }, schema = [[
    create table words (id int primary key, word text);
    create sequence calls;
    insert into words values (1, 'one'), (2, 'two')]] }
end

-- Publishes something for which the hook gives no data: a snapshot comes in place of it.
local function assert_replaced(s, client, flag)
  local seq = client:subscribe("hooked:1").seq

  s.session:publish("hooked:1", ('{"%s": true, "raw": "secret"}'):format(flag))
  local snapshot, text = client:expect("snapshot")

  assert.is_nil(snapshot.id)
  assert.is_true(snapshot.seq >= seq + 1)
  assert.is_nil(text:find("secret", 1, true))
  assert.is_true(s:metrics()['leat_resyncs_total{reason="hook"}'] >= 1)
  return snapshot
end

describe("an event hook", function()
  local s

  lazy_setup(function() s = open { LEAT_SCRIPT_BUDGET_MS = 50 } end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  it("makes of an event what is sent, once for all subscribers", function()
    local clients, seq = {}, nil
    for i = 1, 5 do
      clients[i] = s:connect()
      seq = clients[i]:subscribe("hooked:1").seq
    end

    s.session:publish("hooked:1", '{"id": 2}')

    for _, client in ipairs(clients) do
      local event = client:expect("event")
      assert.equal(seq + 1, event.seq)
      assert.same({ topic = "hooked:1", seq = seq + 1, arg = 1, word = "two", calls = 1 }, event.data)
    end
  end)

  it("keeps the order, however many events there are", function()
    local client = s:connect()
    local seq = client:subscribe("hooked:1").seq
    s.session:run([[select leat.publish('hooked:1', '{"id": 1}') from generate_series(1, 200)]])

    for i = 1, 200 do assert.equal(seq + i, client:expect("event").seq) end
  end)

  it("is overtaken by no signal", function()
    local client = s:connect()
    client:subscribe("hooked:1")
    s.session:publish("hooked:1", '{"id": 1, "wait": true}')
    s.session:run([[
      select leat.signal('hooked:1', '1'), leat.signal('hooked:1', '2', 'key'), leat.signal('hooked:1', '3')]])

    client:expect("event")
    local signals = {}
    for i = 1, 3 do signals[i] = client:expect("signal").data end
    table.sort(signals) -- those that conflate are kept apart from the others
    assert.same({ 1, 2, 3 }, signals)
  end)

  for what, flag in pairs { ["fails"] = "fail", ["denies"] = "deny", ["never ends"] = "loop" } do
    it("that " .. what .. " lets no raw data through: a fresh snapshot comes instead", function()
      local client = s:connect()

      local snapshot = assert_replaced(s, client, flag)
      s.session:publish("hooked:1", '{"id": 1}')

      assert.equal(snapshot.seq + 1, client:expect("event").seq)
    end)
  end

  it("is not passed by who resumes from before it could run", function()
    local first = s:connect()
    local snapshot = first:subscribe("hooked:2")
    first:close()
    s:settle()
    s.session:publish("hooked:2", '{"id": 1, "raw": "secret"}')
    local client = s:connect()

    client:send { op = "subscribe", id = 1, topic = "hooked:2", since = { epoch = snapshot.epoch, seq = snapshot.seq } }

    local _, text = client:expect("snapshot", 1)
    assert.is_nil(text:find("secret", 1, true))
  end)
end)

describe("an event hook that hangs", function()
  it("ends after control_timeout_ms, and lets no raw data through, either", function()
    local s = open { LEAT_CONTROL_TIMEOUT_MS = 400 }

    assert_replaced(s, s:connect(), "hang")

    s:settle()
    s:close()
  end)
end)
