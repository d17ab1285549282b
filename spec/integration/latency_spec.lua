-- How long things take, as /metrics and the operator's socket tell it: from commit to client, and the stages of a
-- handshake.

local control = require "spec.support.control"
local metrics = require "spec.support.metrics"
local pg = require "spec.support.pg"
local stage = require "spec.support.stage"

local APP = [[
local leat = require "leat"
local app = leat.app()

local function subscribe(ctx, args)
  ctx.db:one("select id from places where id = $1", args.id)
  return leat.subscribe_authorized(ctx, { id = args.id }, {
    snapshot = function(db, row) return db:one("select id from places where id = $1", row.id) or { id = 0 } end,
  })
end

app:topic("place:{id:int}", { subscribe = subscribe })
app:topic("hooked:{id:int}", { subscribe = subscribe, event = function(ctx, event) return event.data end })
return app
]]

local COUNT = "leat_commit_to_client_seconds_count"
local SUM = "leat_commit_to_client_seconds_sum"

local function of_stage(part, name)
  return ('leat_handshake_stage_seconds_%s{stage="%s"}'):format(part, name)
end

describe("the time", function()
  local s, path

  before_each(function()
    path = control.path()
    s = stage.open { app = APP, schema = "create table places (id int primary key); insert into places values (1)",
      env = { LEAT_WORKERS = 1, LEAT_POOL_SIZE = 1, LEAT_CONTROL = path } }
  end)
  after_each(function()
    s:settle()
    s:close()
    control.remove(path)
  end)

  local function subscribe(n, topic)
    local clients = {}
    for i = 1, n do
      clients[i] = s:connect()
      clients[i]:subscribe(topic)
    end
    return clients
  end

  --- A commit that takes so many seconds from the moment when the event is numbered.
  local function publish_slowly(topic, seconds)
    s.session:run(([[begin; select leat.publish('%s', '1'); set constraints all immediate;
      select pg_sleep(%f); commit]]):format(topic, seconds))
  end

  describe("from commit to client", function()
    it("is noted once for an event, however many subscribers get it", function()
      local clients = subscribe(3, "place:1")

      publish_slowly("place:1", 0.3)

      for _, client in ipairs(clients) do client:expect("event") end
      metrics.await(s.server, COUNT, 1)
      assert.is_true(s:metrics()[SUM] >= 0.3)
      assert.equal(3, s:metrics().leat_deliveries_total)
    end)

    it("is noted for an event that the hook has made", function()
      local client = subscribe(1, "hooked:1")[1]

      publish_slowly("hooked:1", 0.3)

      client:expect("event")
      metrics.await(s.server, COUNT, 1)
      assert.is_true(s:metrics()[SUM] >= 0.3)
    end)

    it("is noted for an event whose data came from the outbox", function()
      local client = subscribe(1, "place:1")[1]

      s.session:run "select leat.publish('place:1', to_jsonb(repeat('x', 9000)))"

      client:expect("event")
      metrics.await(s.server, COUNT, 1)
      assert.equal(0, s:metrics().leat_early_events_total)
    end)

    it("is told on the operator's socket, for the last minute", function()
      local client = subscribe(1, "place:1")[1]
      publish_slowly("place:1", 0.3)
      client:expect("event")
      metrics.await(s.server, COUNT, 1)

      local answer = control.show(path, "summary")

      local told = answer.latency.commit_to_client
      assert.equal(1, told.count)
      assert.is_true(told.sum_s >= 0.3)
      assert.is_true(told.p50_s > 0.25 and told.p99_s >= told.p50_s)
      assert.equal(#answer.latency_bounds_s + 1, #told.ranges)
      assert.equal(60, answer.latency_window_s)
      local _, text = control.run(path, "show", "summary")
      assert.matches("\n +COUNT +SUM S +P50 S +P99 S\n", text)
      assert.matches("\ncommit to client +1 +%d+ ms +%d+ ms +%d+ ms\n", text)
    end)
  end)

  describe("of a handshake", function()
    it("is told by stage, and the stages add up", function()
      local other = pg.connect(s.db.url)
      other:run "begin; lock places in access exclusive mode"
      local clients = { s:connect(), s:connect() }
      for _, client in ipairs(clients) do client:send { op = "subscribe", id = 1, topic = "place:1" } end
      metrics.await(s.server, "leat_pg_pool_waiters", 1)

      other:run "select pg_sleep(1); rollback" -- long enough for what is between the stages to be little
      other:close()

      for _, client in ipairs(clients) do client:expect("snapshot") end
      metrics.await(s.server, of_stage("count", "replay"), 2)
      local all = s:metrics()
      local sum = 0
      for _, name in ipairs { "queue", "authorise", "arm", "read" } do
        assert.equal(2, all[of_stage("count", name)], name)
        sum = sum + all[of_stage("sum", name)]
      end
      assert.is_true(sum <= all.leat_handshake_seconds_sum)
      assert.is_true(sum > 0.9 * all.leat_handshake_seconds_sum)
    end)

    it("counts as queued while it waits for a connection of the pool", function()
      local other = pg.connect(s.db.url)
      other:run "begin; lock places in access exclusive mode"
      s:connect():send { op = "subscribe", id = 1, topic = "place:1" }
      local late = s:connect()
      late:send { op = "subscribe", id = 1, topic = "place:2" }
      metrics.await(s.server, "leat_pg_pool_waiters", 1)

      other:run "select pg_sleep(0.2); rollback"

      late:expect("snapshot")
      metrics.await(s.server, of_stage("count", "queue"), 2)
      local all = s:metrics()
      assert.is_true(all[of_stage("sum", "queue")] >= 0.2)
      assert.is_true(all[of_stage("sum", "authorise")] >= 0.2)
      assert.is_true(all[of_stage("sum", "authorise")] + all[of_stage("sum", "queue")] + all[of_stage("sum", "read")]
        <= all.leat_handshake_seconds_sum)
      other:close()
    end)

    it("has no replay if it was refused", function()
      local client = s:connect()

      client:send { op = "subscribe", id = 1, topic = "nothing:1" }

      client:expect("error")
      metrics.await(s.server, "leat_handshake_seconds_count", 1)
      assert.equal(0, s:metrics()[of_stage("count", "replay")])
      assert.equal(1, s:metrics()[of_stage("count", "authorise")])
    end)
  end)
end)
