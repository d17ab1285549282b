-- A standby takes over: what the clients have is replaced by what it knows, and its numbers are not taken for those of
-- the primary that is gone.

local cluster = require "spec.support.cluster"
local fixtures = require "spec.support.fixtures"
local follower = require "spec.support.follower"
local loop = require "spec.support.loop"
local pg = require "spec.support.pg"
local stage = require "spec.support.stage"

-- As an application names them to libpq: whichever accepts writes.
local Pair = {}
Pair.__index = Pair

function Pair:url(database)
  return ("postgresql://postgres@/%s?host=%s,%s&target_session_attrs=read-write"):format(database,
    self.primary.dir, self.standby.dir)
end

Pair.database = cluster.database

local function pair()
  local primary = cluster.new()
  return setmetatable({ primary = primary, standby = primary:standby() }, Pair)
end

function Pair:remove()
  self.standby:remove()
  self.primary:remove()
end

describe("when a standby is promoted", function()
  local p, s

  local function stop_stalled_primary()
    p.primary:resume()
    p.primary:stop("immediate")
  end

  before_each(function()
    p = pair()
    s = stage.open { cluster = p, app = fixtures.app, schema = fixtures.schema, log = { "WARN" },
      env = { LEAT_DATABASE_CONNECT_TIMEOUT_MS = 300 } }
  end)
  after_each(function()
    if p.primary.paused then stop_stalled_primary() end
    local ok, err = pcall(s.close, s)
    p:remove()
    if not ok then error(err) end
  end)

  local function write(first, last)
    for n = first, last do
      s.session:run(([[
        with n as (insert into notes (room_id, body) values (1, 'note %d') returning body)
        select leat.publish('room:1', to_jsonb(n)) from n]]):format(n))
    end
  end

  -- One that has room 1's notes as a list.
  local function reader()
    local f
    f = follower.new("room:1", {
      snapshot = function(data)
        f.notes = {}
        for _, note in ipairs(data.notes) do f.notes[#f.notes + 1] = note.body end
      end,
      event = function(data) f.notes[#f.notes + 1] = data.body end,
    })
    return f
  end

  local function notes()
    local list = {}
    for _, row in ipairs(s.session:rows("select body from notes order by id")) do list[#list + 1] = row.body end
    return list
  end

  local function await_standby()
    local behind = "select count(*) from pg_stat_replication where replay_lsn = pg_current_wal_lsn()"
    loop.eventually(function() return s.session:value(behind) == "1" end, nil, "a standby that has everything")
  end

  -- From here on the standby hears nothing new.
  local function cut_replication()
    local standby = pg.connect(p.standby:url("postgres"))
    standby:run("alter system set primary_conninfo = ''")
    standby:run("select pg_reload_conf()")
    standby:close()
    loop.eventually(function() return s.session:value("select count(*) from pg_stat_replication") == "0" end, nil,
      "the end of the replication")
  end

  local function fail_over()
    s.session:close()
    p.primary:stop("immediate")
    p.standby:promote()
    s.session = pg.connect(s.db.url)
    s.db.session = s.session
  end

  it("lacking the last events, their numbers are given anew and nobody takes one for the other", function()
    local live = reader():on(s:connect { token = "alice" })
    write(1, 5)
    live:await_position(s.session)
    local known = { epoch = live.epoch, seq = live.seq }
    await_standby()
    cut_replication()
    write(6, 8)
    live:await_position(s.session)
    local lost = { epoch = live.epoch, seq = live.seq }
    assert.equal("note 8", live.notes[8])

    fail_over()
    -- As many as were lost, before the server can know: by its number, the last one is the one that it has.
    write(9, 11)
    live:await_position(s.session, 20000)
    write(12, 20)
    live:await_position(s.session)

    assert.same({ "note 5", "note 9" }, { live.notes[5], live.notes[6] })
    assert.same(notes(), live.notes)
    assert.same({ 2, 17, 17 }, { live.snapshots, live.seq, #live.notes })
    assert.not_equal(lost.epoch, live.epoch)
    assert.not_equal(lost.epoch:sub(1, 8), live.epoch:sub(1, 8))
    for _, since in ipairs { known, lost } do
      local back = reader()
      back.epoch, back.seq = since.epoch, since.seq
      back:on(s:connect { token = "bob" }):await_position(s.session)
      assert.same({ 1, 0, notes() }, { back.snapshots, back.resumes, back.notes })
    end
    s:settle()
  end)

  it("in place of a primary that hangs, everybody begins anew there", function()
    local live = reader():on(s:connect { token = "alice" })
    write(1, 5)
    live:await_position(s.session)
    await_standby()
    s.session:close()

    p.primary:pause()
    p.standby:promote()
    s.session = pg.connect(p.standby:url(s.db.name))
    s.db.session = s.session
    write(6, 10)
    live:await_position(s.session, 30000)

    assert.same({ 2, 10 }, { live.snapshots, live.seq })
    assert.same(notes(), live.notes)
    stop_stalled_primary()
    s:settle()
  end)

  it("lacking nothing, nothing is lost and everybody begins anew", function()
    local live, away = reader():on(s:connect { token = "alice" }), reader():on(s:connect { token = "bob" })
    write(1, 3)
    away:await_position(s.session).client:close()
    write(4, 5)
    live:await_position(s.session)
    local before = live.epoch
    await_standby()

    fail_over()
    live:await_position(s.session, 20000)
    assert.same({ 2, 5 }, { live.snapshots, live.seq })
    write(6, 10)
    live:await_position(s.session)
    away:on(s:connect { token = "bob" }):await_position(s.session)

    assert.equal(10, #notes())
    assert.same(notes(), live.notes)
    assert.same(notes(), away.notes)
    assert.same({ 2, 0 }, { away.snapshots, away.resumes })
    assert.not_equal(before, live.epoch)
    s:settle()
  end)
end)
