-- An earlier state of the database is put in place. Nobody goes on from a position of what is gone; where nothing is
-- gone, everybody does.

local cluster = require "spec.support.cluster"
local env = require "spec.support.env"
local fixtures = require "spec.support.fixtures"
local follower = require "spec.support.follower"
local loop = require "spec.support.loop"
local pg = require "spec.support.pg"
local process = require "spec.support.process"
local stage = require "spec.support.stage"

describe("an earlier state of the database", function()
  local c, s

  before_each(function()
    c = cluster.new()
    s = stage.open { cluster = c, app = fixtures.app, schema = fixtures.schema, log = { "WARN" } }
  end)
  after_each(function()
    local ok, err = pcall(s.close, s)
    c:remove()
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
  local function reader(since)
    local f
    f = follower.new("room:1", {
      snapshot = function(data)
        f.notes = {}
        for _, note in ipairs(data.notes) do f.notes[#f.notes + 1] = note.body end
      end,
      event = function(data) f.notes[#f.notes + 1] = data.body end,
    })
    if since then f.epoch, f.seq, f.notes = since.epoch, since.seq, since.notes end
    return f
  end

  local function notes()
    local list = {}
    for _, row in ipairs(s.session:rows("select body from notes order by id")) do list[#list + 1] = row.body end
    return list
  end

  local function position(f)
    return { epoch = f.epoch, seq = f.seq, notes = { table.unpack(f.notes) } }
  end

  local function reconnect()
    s.session:close()
    s.session = pg.connect(s.db.url)
    s.db.session = s.session
  end

  -- A live subscriber, and the position of one that is away.
  local function ten_seen()
    local live = reader():on(s:connect { token = "alice" })
    write(6, 10)
    live:await_position(s.session)
    assert.equal(10, live.seq)
    return live, position(live)
  end

  local function assert_anew(since)
    local back = reader(since):on(s:connect { token = "bob" })
    back:await(function() return back.snapshots + back.resumes > 0 end):await_position(s.session)
    assert.same({ 1, 0, 0 }, { back.snapshots, back.resumes, back.unasked })
    assert.same(notes(), back.notes)
  end


  local function copy_of_stopped()
    c:stop()
    local dir = c.dir .. "/copy"
    os.execute(("cp -a '%s' '%s'"):format(c.data, dir))
    c:start()
    reconnect()
    return dir
  end

  for name, backup in pairs {
    ["that pg_basebackup made"] = function() return c:backup() end,
    ["copied while it was stopped"] = copy_of_stopped,
  } do
    describe(name, function()
      it("under a running server begins everything anew, before the lost numbers come again", function()
        write(1, 5)
        local dir = backup()
        local live, since = ten_seen()

        c:restore(dir)
        reconnect()
        write(11, 13)

        live:await_position(s.session, 20000)
        assert.same({ 2, 8 }, { live.snapshots, live.seq })
        assert.same(notes(), live.notes)
        assert.equal(since.epoch:sub(1, 8), live.epoch:sub(1, 8))
        assert.not_equal(since.epoch, live.epoch)
        write(14, 18)
        assert_anew(since)
        live:await_position(s.session)
        assert.same(notes(), live.notes)
        s:settle()
      end)

      it("under a running server begins everything anew, after the lost numbers came again", function()
        write(1, 5)
        local dir = backup()
        local live, since = ten_seen()

        c:restore(dir)
        reconnect()
        write(11, 18)

        assert_anew(since)
        live:await_position(s.session, 20000)
        assert.equal(2, live.snapshots)
        assert.same(notes(), live.notes)
        s:settle()
      end)

      for _, when in ipairs { "before", "after" } do
        it("with a server started " .. when .. " the numbers came again", function()
          write(1, 5)
          local dir = backup()
          local live, since = ten_seen()
          live.client:close()
          s:stop()

          c:restore(dir)
          reconnect()
          if when == "before" then s:serve() end
          write(11, 18)
          if when == "after" then s:serve() end

          assert_anew(since)
          s:settle()
        end)
      end
    end)
  end

  it("is noticed by what a snapshot has shown, where no announcement was heard", function()
    write(1, 5)
    local dir = c:backup()
    local live = reader():on(s:connect { token = "alice" })
    live:await_position(s.session)
    c:pause()
    local down = s.server:await_log("listener lost", nil, 30000)
    assert.truthy(down)
    c:resume()
    s.server:await_log("listening pid=", #s.server.log, 30000)
    local _, since = ten_seen()

    c:restore(dir)
    reconnect()
    write(11, 18)

    assert_anew(since)
    s:settle()
  end)

  for _, mode in ipairs { "fast", "immediate" } do
    it("is none when Postgres is restarted (" .. mode .. ")", function()
      write(1, 5)
      local live, since = ten_seen()

      s.session:close()
      c:stop(mode)
      c:start()
      s.session = pg.connect(s.db.url)
      s.db.session = s.session
      write(11, 12)

      live:await(function() return live.seq == 12 end, 20000)
      assert.same({ 1, since.epoch }, { live.snapshots, live.epoch })
      assert.same(notes(), live.notes)
      local back = reader(since):on(s:connect { token = "bob" }):await_position(s.session)
      assert.same({ 0, 1 }, { back.snapshots, back.resumes })
      assert.same(notes(), back.notes)
      s:settle()
    end)
  end

  local function run(program, args)
    local code, out, err = process.run(env.pg_program(program), { args = args })
    if code ~= 0 then error(program .. ": " .. out .. err) end
  end

  -- All at once: then the server hears of the last lost number, and more, before it can ask what is true.
  for how, between in pairs { ["one by one"] = "select 1", ["all at once"] = "begin" } do
    it("loaded into the same database, as pg_restore --clean does, and written to " .. how, function()
      write(1, 5)
      local dump = s.folder .. "/dump"
      run("pg_dump", { "-Fc", "-f", dump, "-d", s.db.url })
      local live, since = ten_seen()

      run("pg_restore", { "--clean", "--if-exists", "-d", s.db.url, dump })
      reconnect()
      s.session:run(between)
      write(11, 18)
      if between == "begin" then s.session:run "commit" end

      live:await(function() return live.snapshots > 1 end, 40000):await_position(s.session)
      assert.same(notes(), live.notes)
      assert_anew(since)
      s:settle()
    end)
  end

  it("loaded by a transaction that also publishes, while the server listens", function()
    write(1, 5)
    local dump, script = s.folder .. "/dump", s.folder .. "/restore.sql"
    run("pg_dump", { "-Fc", "-f", dump, "-d", s.db.url })
    local live, since = ten_seen()

    run("pg_restore", { "--clean", "--if-exists", "-f", script, dump })
    local file = assert(io.open(script, "a"))
    for n = 11, 18 do
      file:write(([[
        with n as (insert into public.notes (room_id, body) values (1, 'note %d') returning body)
        select leat.publish('room:1', to_jsonb(n)) from n;
      ]]):format(n))
    end
    file:close()
    run("psql", { "-X1q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f", script, s.db.url })
    reconnect()

    live:await(function() return live.snapshots > 1 end, 40000):await_position(s.session)
    assert.same(notes(), live.notes)
    assert_anew(since)
    s:settle()
  end)

  it("loaded into a new database of the same name", function()
    write(1, 5)
    local dump = s.folder .. "/dump"
    run("pg_dump", { "-Fc", "-f", dump, "-d", s.db.url })
    local live, since = ten_seen()

    s.session:close()
    local admin = pg.connect(s.db.admin_url)
    admin:run("drop database " .. s.db.name .. " with (force)")
    admin:run("create database " .. s.db.name)
    admin:close()
    run("pg_restore", { "-d", s.db.url, dump })
    s.session = pg.connect(s.db.url)
    s.db.session = s.session
    write(11, 18)

    live:await(function() return live.snapshots > 1 end, 40000):await_position(s.session)
    assert.same(notes(), live.notes)
    assert_anew(since)
    s:settle()
  end)

  it("is said to be one by leat.renew_epochs, at once", function()
    write(1, 5)
    local live, since = ten_seen()

    s.session:run "select leat.renew_epochs()"

    live:await(function() return live.snapshots > 1 end)
    assert.not_equal(since.epoch, live.epoch)
    assert_anew(since)
    write(11, 12)
    live:await_position(s.session)
    assert.same(notes(), live.notes)
    loop.eventually(function() return s.server:find_log("history verdict=known") end)
    s:settle()
  end)
end)
