-- leat_internal.attend: whether the database goes on with what servers and clients have seen.

local cjson = require "cjson"
local cluster = require "spec.support.cluster"
local loop = require "spec.support.loop"
local pg = require "spec.support.pg"
local postgres = require "spec.support.postgres"
local psql = require "spec.support.psql"

-- What a server keeps of leat_internal.attend's answer, and asks the next time.
local Server = {}
Server.__index = Server

local function new_server() return setmetatable({ anchors = {} }, Server) end

local function encode(list) return #list > 0 and cjson.encode(list) or "[]" end

function Server:attend(session)
  local function text(value) return value and session:quote(value) or "null" end
  session:run("set jit = off") -- as a server has it
  local row = session:rows(("select * from leat_internal.attend(%s, %s, %s)"):format(
    text(self.fingerprint), text(self.history), text(encode(self.anchors))))[1]
  self.fingerprint, self.history, self.timeline = row.fingerprint, row.history, row.timeline
  return row.verdict, row
end

-- Every entry that the outbox has now. The time stays text: cjson writes 14 digits of a number.
function Server:see_all(session)
  self.anchors = {}
  for i, row in ipairs(session:rows [[
    select e.topic, i.history || '-' || t.epoch as epoch, e.seq,
           (date_part('epoch', e.created_at) * 1000000)::bigint as at
      from leat_internal.installation i, leat.event e join leat.topic t on t.name = e.topic]]) do
    self.anchors[i] = { topic = row.topic, epoch = row.epoch, seq = tonumber(row.seq), at = row.at }
  end
end

describe("leat_internal.attend", function()
  local db, session, server

  before_each(function()
    db = postgres.database()
    session = db.session
    server = new_server()
  end)
  after_each(function() db:drop() end)

  -- As if Postgres had been started anew, or other files put in place.
  local function restart()
    session:run "update leat_internal.installation set fingerprint = 'old', started_at = 'epoch'"
  end

  local function position(topic) return session:value("select epoch from leat_internal.position('" .. topic .. "')") end

  it("renews the history where a topic that a server has seen was never made", function()
    session:run "select leat.publish('old', '1')"
    server:attend(session)
    server:see_all(session)
    table.insert(server.anchors, { topic = "new", epoch = server.anchors[1].epoch, seq = 3, at = server.anchors[1].at })
    restart()

    assert.equal("renewed", (server:attend(session)))
  end)

  it("knows the start that leat migrate has confirmed", function()
    local verdict, row = server:attend(session)

    assert.equal("known", verdict)
    assert.equal("00000001", row.timeline)
    assert.matches("^%x%x%x%x%x%x%x%x$", row.history)
    assert.equal(row.timeline .. "-" .. row.history .. "-", position("any"):sub(1, 18))
    assert.is_nil(row.anchor_topic)
  end)

  it("names the newest entry", function()
    session:publish("a", "1")
    session:publish("b", "1")
    session:publish("b", "2")

    local _, row = server:attend(session)
    server:see_all(session)

    local newest = { topic = row.anchor_topic, epoch = row.anchor_epoch, seq = tonumber(row.anchor_seq),
      at = row.anchor_at }
    assert.equal("b", newest.topic)
    assert.equal(2, newest.seq)
    for _, one in ipairs(server.anchors) do
      if one.topic == "b" and one.seq == 2 then assert.same(one, newest) end
    end
  end)

  it("goes on after a restart if what the server has seen is still there", function()
    server:attend(session)
    session:publish("kept", "1")
    server:see_all(session)
    local before = position("kept")
    restart()
    session:publish("kept", "2")

    assert.equal("continued", (server:attend(session)))
    assert.equal(before, position("kept"))
    assert.equal("known", (server:attend(session)))
  end)

  it("renews the history where a dump was loaded, though the server has seen what came after", function()
    server:attend(session)
    local before = position("loaded")
    session:run "update leat_internal.installation set relation = 'leat.topic'::regclass"
    session:publish("loaded", "1")
    server:see_all(session)

    assert.equal("renewed", (server:attend(session)))
    assert.not_equal(before, position("loaded"))
    assert.equal("known", (server:attend(session)))
  end)

  it("waits for the rest of a dump, and renews a history of which only half was loaded", function()
    session:run "create table kept as table leat_internal.secret"
    session:run "alter table leat_internal.secret disable trigger all; truncate leat_internal.secret"
    session:run "update leat_internal.installation set relation = 'leat.topic'::regclass"

    assert.equal("0", session:value "select count(*) from leat_internal.attend(null, null, null)")
    assert.equal("0", session:value "select count(*) from leat_internal.installation where relation = tableoid")
    session:run "insert into leat_internal.secret select * from kept"
    session:run "update leat_internal.secret set history = '00000000'"
    assert.equal("renewed", (server:attend(session)))
    assert.equal("1", session:value
      "select count(*) from leat_internal.secret join leat_internal.installation using (history)")
    assert.equal("known", (server:attend(session)))
  end)

  it("renews the history after a restart that no server has lived through", function()
    session:publish("kept", "1")
    local before = position("kept")
    restart()

    assert.equal("renewed", (new_server():attend(session)))
    assert.not_equal(before, position("kept"))
    assert.equal("known", (new_server():attend(session)))
  end)

  for what, sql in pairs {
    ["an entry is gone"] = "delete from leat.event where seq = 3; update leat.topic set seq = 2",
    ["an entry is another one"] = "update leat.event set created_at = created_at + interval '1 us' where seq = 3",
  } do
    it("renews the history, restart or not, when " .. what, function()
      for n = 1, 3 do session:publish("lost", tostring(n)) end
      server:attend(session)
      server:see_all(session)
      local before = position("lost")
      session:run(sql)

      local announced = psql.announcements(db.url, ("select verdict from leat_internal.attend(null, '%s', %s)"):format(
        server.history, session:quote(encode(server.anchors))))

      assert.not_equal(before, position("lost"))
      assert.equal(1, #announced)
      assert.equal("h  0 0", ("%s %s %d %d"):format(announced[1].kind, announced[1].topic, announced[1].seq,
        announced[1].at))
      assert.equal("known", (server:attend(session))) -- its anchors are of a history that is gone
    end)
  end

  it("does not take trimmed entries and topics that were reset for a restore", function()
    for n = 1, 3 do session:publish("trimmed", tostring(n)) end
    session:publish("reset", "1")
    server:attend(session)
    server:see_all(session)
    session:run "delete from leat.event where topic = 'trimmed' and seq <= 2"
    session:run "delete from leat.topic where name = 'reset'"

    assert.equal("known", (server:attend(session)))
    restart()
    assert.equal("continued", (server:attend(session)))
    session:run "delete from leat.event"
    restart()
    assert.equal("renewed", (server:attend(session)))
  end)

  it("believes no server about a history that another server has ended", function()
    session:publish("kept", "1")
    server:attend(session)
    server:see_all(session)
    restart()
    new_server():attend(session)
    local after = position("kept")

    assert.equal("known", (server:attend(session)))
    assert.equal(after, position("kept"))
    restart()
    server.history = "00000000"
    assert.equal("renewed", (server:attend(session)))
  end)

  it("is called by two at once as well as by one", function()
    restart()
    session:run "begin"
    local mine = new_server():attend(session)
    local theirs = psql.start(db.url, "select verdict from leat_internal.attend(null, null, null)")
    loop.eventually(function()
      return session:value "select count(*) from pg_locks where not granted" ~= "0"
    end, nil, "another server that waits")
    session:run "commit"

    assert.equal(0, theirs:wait())
    assert.equal("renewed", mine)
    assert.equal("known", table.concat(theirs.out))
  end)

  it("tells the key to nobody who may not call it", function()
    local role = db.name .. "_reader"
    session:run("create role " .. role .. "; grant usage on schema leat, leat_internal to " .. role
      .. "; grant select on all tables in schema leat, leat_internal to " .. role .. "; set role " .. role)
    local keys = session:value "select count(*) from leat_internal.secret"
    local ok, err = pcall(session.run, session, "select * from leat_internal.attend(null, null, null)")
    session:run("reset role; drop owned by " .. role .. "; drop role " .. role)

    assert.equal("0", keys)
    assert.is_false(ok)
    assert.matches("permission denied", err, 1, true)
  end)
end)

describe("leat_internal.position, where the history is not confirmed,", function()
  local db, session

  before_each(function()
    db = postgres.database()
    session = db.session
  end)
  after_each(function() db:drop() end)

  -- The SQLSTATE, as a DO block sees it.
  local function refusal(columns)
    return psql.run(db.url, ([[
      do $$
      begin
        perform %s from leat_internal.position('any');
        raise notice 'no error';
      exception when cannot_connect_now then
        perform set_config('spec.message', sqlerrm, false);
      end $$;
      select current_setting('spec.message', true)]]):format(columns))
  end

  for what, sql in pairs {
    ["after another start"] = "update leat_internal.installation set started_at = started_at - interval '1 us'",
    ["in a copy of the table"] = "update leat_internal.installation set relation = 1",
    ["where a dump was loaded"] = "update leat_internal.installation set relation = 'leat.topic'::regclass",
  } do
    it("is an error " .. what .. ", whatever columns are asked for", function()
      session:run(sql)

      for _, columns in ipairs { "*", "seq", "revoked", "1" } do
        assert.matches("history of schema leat is not confirmed", refusal(columns), 1, true)
      end
      session:run "select leat_internal.attend(null, null, null)"
      assert.equal("0", session:value "select seq from leat_internal.position('any')")
    end)
  end

  it("is an error where there is no row", function()
    session:run "alter table leat_internal.installation disable trigger all; delete from leat_internal.installation"

    for _, columns in ipairs { "*", "seq", "1" } do
      assert.matches("leat_internal.installation shows no row to role", refusal(columns), 1, true)
    end
  end)

  it("is an error where row security hides the row", function()
    local role = db.name .. "_blind"
    session:run("create role " .. role .. "; select leat_internal.grant_server('" .. role .. "')"
      .. "; alter table leat_internal.installation enable row level security; set role " .. role)
    local ok, err = pcall(session.run, session, "select seq from leat_internal.position('any')")
    session:run("reset role; drop owned by " .. role .. "; drop role " .. role)

    assert.is_false(ok)
    assert.matches("shows no row to role " .. role, err, 1, true)
  end)
end)

describe("a cluster that was restarted, or restored with its timeline", function()
  local c

  before_each(function() c = cluster.new() end)
  after_each(function() c:remove() end)

  it("gives no positions before a server has confirmed it", function()
    local db = c:database()
    local server = new_server()
    server:attend(db.session)
    db.session:publish("room", "1")
    server:see_all(db.session)
    local before = db.session:value "select epoch from leat_internal.position('room')"
    db.session:close()
    c:stop()
    c:start()
    db.session = pg.connect(db.url)

    local ok, err = pcall(db.session.run, db.session, "select * from leat_internal.position('room')")
    local verdict = server:attend(db.session)

    assert.is_false(ok)
    assert.matches("not confirmed", err, 1, true)
    assert.equal("continued", verdict)
    assert.equal(before, db.session:value "select epoch from leat_internal.position('room')")
  end)

  it("renews the history when entries are gone, also if others have taken their numbers", function()
    local db = c:database()
    local server = new_server()
    server:attend(db.session)
    db.session:publish("room", "1")
    local backup = c:backup()
    for n = 2, 4 do db.session:publish("room", tostring(n)) end
    server:see_all(db.session)
    local before = db.session:value "select epoch from leat_internal.position('room')"
    db.session:close()
    c:restore(backup)
    db.session = pg.connect(db.url)
    for n = 5, 9 do db.session:publish("room", tostring(n)) end

    assert.equal("renewed", (server:attend(db.session)))
    assert.not_equal(before, db.session:value "select epoch from leat_internal.position('room')")
    assert.equal("6", db.session:value "select seq from leat_internal.position('room')")
  end)
end)
