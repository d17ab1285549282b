-- Topics are reset, and nobody tells the server: their numbering begins anew, and old positions are worth nothing.

local follower = require "spec.support.follower"
local loop = require "spec.support.loop"
local pg = require "spec.support.pg"
local stage = require "spec.support.stage"

local APP = [[
  local leat = require "leat"
  local app = leat.app()
  app:topic("lines:{id:int}", {
    subscribe = function(ctx, args)
      return leat.subscribe_authorized(ctx, args, {
        snapshot = function(db, row)
          return db:rows("select body from lines where id = $1 order by n", row.id)
        end,
      })
    end,
  })
  return app
]]

local SCHEMA = "create table lines (n bigint generated always as identity, id int, body text)"

local RESETS = {
  ["deleted"] = "delete from leat.topic where name = 'lines:1'",
  ["truncated"] = "truncate leat.topic",
  ["given a new epoch"] = "select leat.renew_epochs()",
}

describe("a topic that is", function()
  local s

  before_each(function()
    s = stage.open { app = APP, schema = SCHEMA, env = { LEAT_COMPARE_INTERVAL_MS = 200 } }
  end)
  after_each(function()
    s:settle()
    s:close()
  end)

  local function write(first, last)
    s.session:run(([[
      with l as (insert into lines (id, body) select 1, 'line ' || i from generate_series(%d, %d) i returning body)
      select leat.publish('lines:1', to_jsonb(body)) from l]]):format(first, last))
  end

  local function lines()
    local list = {}
    for _, row in ipairs(s.session:rows("select body from lines order by n")) do list[#list + 1] = row.body end
    return list
  end

  -- One that has the lines as a list.
  local function reader(epoch, seq)
    local f
    f = follower.new("lines:1", {
      snapshot = function(data)
        f.lines = {}
        for _, line in ipairs(data) do f.lines[#f.lines + 1] = line.body end
      end,
      event = function(body) f.lines[#f.lines + 1] = body end,
    })
    f.epoch, f.seq = epoch, seq
    return f:on(s:connect())
  end

  for what, sql in pairs(RESETS) do
    it(what .. " and left alone is read anew by its subscribers", function()
      write(1, 5)
      local live = { reader(), reader(), reader() }
      for _, f in ipairs(live) do f:await_position(s.session) end
      local old = live[1].epoch

      s.session:run(sql)

      for _, f in ipairs(live) do
        f:await_position(s.session)
        assert.not_equal(old, f.epoch)
        assert.same({ 2, 0, lines() }, { f.snapshots, f.events, f.lines })
      end
    end)

    it(what .. " and numbered up to where it was is read anew, too", function()
      write(1, 5)
      local live = reader():await_position(s.session)
      local seq = live.seq

      s.session:run("begin")
      s.session:run(sql)
      s.session:run("delete from lines where body = 'line 2'")
      for n = 6, 10 do write(n, n) end
      s.session:run("commit")
      live:await_position(s.session)
      write(11, 15)
      live:await_position(s.session)

      assert.is_true(live.seq >= seq + 5)
      assert.same({ 2, lines() }, { live.snapshots, live.lines })
    end)

    it(what .. " has no events for positions that were before", function()
      write(1, 5)
      local before = reader():await_position(s.session)
      before.client:close()
      s.session:run(sql)
      write(6, 10)

      for seq = 0, 10 do
        local back = reader(before.epoch, seq):await_position(s.session)
        assert.same({ 1, 0, lines() }, { back.snapshots, back.resumes, back.lines })
      end
    end)
  end

  it("truncated while the server looks at it costs neither of them more than a wait", function()
    write(1, 5)
    local live = reader():await_position(s.session)
    local onlooker = pg.connect(s.db.url)

    -- TRUNCATE takes this lock first, and then the one on leat.event.
    s.session:run("begin")
    s.session:run("lock table leat.topic in access exclusive mode")
    loop.eventually(function()
      return onlooker:value([[
        select count(*) from pg_locks where not granted
          and database = (select oid from pg_database where datname = current_database())]]) ~= "0"
    end, nil, "the server's comparison")
    s.session:run(RESETS.truncated)
    s.session:run("commit")

    live:await_position(s.session)
    assert.equal(0, s.server:count_log("repair failed"))
    onlooker:close()
  end)

  it("deleted before it ever had an event is another one, too", function()
    local live = reader():await_position(s.session)
    local old = live.epoch

    s.session:run(RESETS.truncated)
    live:await_position(s.session)
    write(1, 3)
    live:await_position(s.session)

    assert.not_equal(old, live.epoch)
    assert.same({ 3, lines() }, { live.seq, live.lines })
  end)
end)
