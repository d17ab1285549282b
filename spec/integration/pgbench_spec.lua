-- An existing application, pgbench (TPC-B), whose tables are watched: it knows nothing of it, and subscribers have
-- every balance at every moment.

local env = require "spec.support.env"
local follower = require "spec.support.follower"
local loop = require "spec.support.loop"
local process = require "spec.support.process"
local stage = require "spec.support.stage"

local APP = [[
  local leat = require "leat"
  local app = leat.app()

  local function topic(pattern, sql)
    app:topic(pattern, {
      subscribe = function(ctx, args)
        return leat.subscribe_authorized(ctx, { bid = args.bid }, {
          snapshot = function(db, row) return leat.json(db:one(sql, row.bid).data) end,
        })
      end,
    })
  end

  -- Balances as pairs of key and balance; the history has no key.
  topic("accounts:{bid:int}",
    "select json_agg(json_build_array(aid, abalance))::text as data from pgbench_accounts where bid = $1")
  topic("tellers:{bid:int}",
    "select json_agg(json_build_array(tid, tbalance))::text as data from pgbench_tellers where bid = $1")
  topic("branches:{bid:int}",
    "select json_agg(json_build_array(bid, bbalance))::text as data from pgbench_branches where bid = $1")
  topic("history:{bid:int}",
    "select json_build_object('count', count(*), 'sum', coalesce(sum(delta), 0))::text as data"
      .. " from pgbench_history where bid = $1")
  return app
]]

local WATCH = [[
  select leat.watch('pgbench_accounts', 'accounts:{bid}'), leat.watch('pgbench_tellers', 'tellers:{bid}'),
         leat.watch('pgbench_branches', 'branches:{bid}'), leat.watch('pgbench_history', 'history:{bid}')
]]

local SCALE, CLIENTS, TRANSACTIONS = 2, 8, 300
local BALANCES = {
  accounts = { key = "aid", balance = "abalance" },
  tellers = { key = "tid", balance = "tbalance" },
  branches = { key = "bid", balance = "bbalance" },
}

describe("pgbench on watched tables", function()
  local s, followers

  lazy_setup(function()
    s = stage.open { app = APP }
  end)
  lazy_teardown(function() s:close() end)

  local function pgbench(...)
    local args = { ... }
    args[#args + 1] = s.db.url
    return process.spawn(env.pg_program("pgbench"), { args = args })
  end

  local function follow(topic, hooks)
    followers[#followers + 1] = follower.new(topic, hooks):on(s:connect())
    return followers[#followers]
  end

  -- One that has the balances of a branch's rows, by key.
  local function follow_balances(kind, bid)
    local columns = BALANCES[kind]
    local f
    f = follow(kind .. ":" .. bid, {
      snapshot = function(pairs_of)
        f.balances = {}
        for _, pair in ipairs(pairs_of) do f.balances[pair[1]] = pair[2] end
      end,
      event = function(change)
        local key = change.row[columns.key]
        assert(change.old[columns.balance] == f.balances[key], "an update of another balance than ours")
        f.balances[key] = change.row[columns.balance]
      end,
    })
    f.kind, f.bid = kind, bid
  end

  -- One that has the number of a branch's transactions, and their sum.
  local function follow_history(bid)
    local f
    f = follow("history:" .. bid, {
      snapshot = function(data) f.count, f.sum = data.count, data.sum end,
      event = function(change) f.count, f.sum = f.count + 1, f.sum + change.row.delta end,
    })
    f.bid = bid
  end

  local function follow_everything()
    for bid = 1, SCALE do
      for kind in pairs(BALANCES) do follow_balances(kind, bid) end
      follow_history(bid)
    end
  end

  local function catch_up()
    local events = 0
    for _, f in ipairs(followers) do events = events + f:catch_up().events end
    return events
  end

  local function run(meanwhile)
    local bench = pgbench("-c", CLIENTS, "-j", "2", "-t", TRANSACTIONS)
    loop.eventually(function()
      meanwhile(catch_up())
      return not bench:running()
    end, 240000, "the end of pgbench")
    assert.equal(0, bench:wait(), bench:output())
    assert.is_not_nil(bench:output():find(("processed: %d/%d"):format(CLIENTS * TRANSACTIONS, CLIENTS * TRANSACTIONS),
      1, true), bench:output())
  end

  local function check_balances(f)
    local columns = BALANCES[f.kind]
    local left = {}
    for key, balance in pairs(f.balances) do left[key] = balance end
    for _, row in ipairs(s.session:rows(("select %s as key, %s as balance from pgbench_%s where bid = %d"):format(
      columns.key, columns.balance, f.kind, f.bid))) do
      local key = tonumber(row.key)
      if left[key] ~= tonumber(row.balance) then
        error(("%s %s: %s, it is %s"):format(f.topic, row.key, tostring(left[key]), row.balance))
      end
      left[key] = nil
    end
    assert.is_nil(next(left))
  end

  local function check_history(f)
    local row = s.session:rows("select count(*), coalesce(sum(delta), 0) as sum from pgbench_history where bid = "
      .. f.bid)[1]
    assert.same({ tonumber(row.count), tonumber(row.sum) }, { f.count, f.sum })
  end

  it("runs as ever, and subscribers end with the tables", function()
    local loaded = pgbench("-i", "-q", "-s", SCALE)
    assert.equal(0, loaded:wait(60000), loaded:output())
    s.session:run(WATCH)
    followers = {}
    follow_everything()

    local joined = false
    run(function(events)
      if not joined and events > 1000 then
        follow_everything() -- in the midst of it
        joined = true
      end
    end)
    assert.is_true(joined)
    -- Begins with TRUNCATE of the history: whoever has it takes it anew.
    run(function() end)

    for _, f in ipairs(followers) do
      f:await_position(s.session, 20000)
      if f.kind then check_balances(f) else check_history(f) end
      assert.equal(f.kind and 1 or 2, f.snapshots)
    end
    s:settle()
  end)
end)
