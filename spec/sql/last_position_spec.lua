-- Where a transaction's topics stand after its commit: leat.last_position, and the report that a server asks for.

local cjson = require "cjson"
local postgres = require "spec.support.postgres"
local psql = require "spec.support.psql"

describe("leat.last_position", function()
  local db, session

  lazy_setup(function()
    db = postgres.database "create table notes (id int, body text)"
    session = db.session
  end)
  lazy_teardown(function() db:drop() end)
  before_each(function() session:run "discard all" end)

  local function last(topic)
    local text = session:value("select leat.last_position(" .. session:quote(topic) .. ")")
    return text and cjson.decode(text)
  end

  local function position(topic)
    local name = session:quote(topic)
    local row = session:rows("select epoch, seq from leat_internal.position(" .. name .. ")")[1]
    return { topic = topic, epoch = row.epoch, seq = tonumber(row.seq) }
  end

  local function seq(topic)
    local found = last(topic)
    return found and found.seq
  end

  it("is the topic's position, as clients see it", function()
    for _, topic in ipairs { "chat:1", "with spaces  in it ", "käse 🧀, %2C" } do
      session:publish(topic, "1")
      session:publish(topic, "2")

      assert.same(position(topic), last(topic))
      assert.equal(2, seq(topic))
    end
  end)

  it("names every topic of the transaction, whatever was written to it, and no other one", function()
    assert.is_nil(last "many:a")
    session:publish("many:other", "1")
    session:run [[
      begin;
      select leat.publish('many:a', '1'), leat.publish('many:a', '2'), leat.revoke('many:b'), leat.resync('many:c');
      commit]]

    assert.same(position "many:a", last "many:a")
    assert.same({ 2, 1, 1 }, { seq "many:a", seq "many:b", seq "many:c" })
    assert.is_nil(last "many:other")
    assert.is_nil(last "many")
  end)

  it("is that of the last transaction of the session that published and was committed", function()
    session:publish("tx:a", "1")
    session:run "begin; select leat.publish('tx:a', '2'); rollback"
    assert.equal(1, seq "tx:a")
    session:run "insert into notes values (1, 'not published')"
    assert.equal(1, seq "tx:a")

    session:run "begin; select leat.publish('tx:a', '2'); set constraints all immediate; rollback"
    assert.equal(1, seq "tx:a")
    session:publish("tx:b", "1")
    assert.same({ nil, 1 }, { seq "tx:a", seq "tx:b" })
  end)

  it("is known before the commit if the constraints are made immediate", function()
    session:run "begin; select leat.publish('now:a', '1'); set constraints all immediate"
    assert.equal(1, seq "now:a")
    session:run "savepoint s; select leat.publish('now:a', '2'); select leat.publish('now:b c', '1')"
    assert.same({ 2, 1 }, { seq "now:a", seq "now:b c" })
    session:run "rollback to savepoint s"
    assert.same({ 1, nil }, { seq "now:a", seq "now:b c" })
    session:run "select leat.publish('now:d', '1'), leat.publish('now:d', '2'); commit"

    assert.same({ 1, nil, 2 }, { seq "now:a", seq "now:b c", seq "now:d" })
  end)

  it("names at most 32 topics of a transaction, the first by name", function()
    session:run "select leat.publish('bound:' || lpad(n::text, 2, '0'), '1') from generate_series(1, 40) n"

    assert.same({ 1, 1, nil, nil }, { seq "bound:01", seq "bound:32", seq "bound:33", seq "bound:40" })
  end)

  it("names the last 32 of a transaction whose constraints are immediate", function()
    session:run "begin; set constraints all immediate"
    for n = 1, 40 do session:publish("late:" .. n, "1") end
    session:run "commit"

    assert.same({ nil, nil, 1, 1 }, { seq "late:1", seq "late:8", seq "late:9", seq "late:40" })
  end)

  it("is forgotten by DISCARD ALL", function()
    session:publish("discard", "1")
    session:run "discard all"

    assert.is_nil(last "discard")
  end)

  it("tells of the events of a watch", function()
    session:run "select leat.watch('notes', 'note:{id}')"
    session:run "insert into notes values (7, 'watched')"

    assert.equal(1, seq "note:7")
  end)

  it("is for those who may publish, also if that was granted before there were positions", function()
    local role = db.name .. "_position"
    session:run("create role " .. role)
    session:run("grant usage on schema leat to " .. role)
    session:run("set role " .. role)
    local ok, err = pcall(last, "granted")
    session:run("reset role")
    session:run("select leat_internal.grant_publisher('" .. role .. "')")
    session:run("set role " .. role)
    session:publish("granted", "1")
    local found = seq "granted"
    session:run "reset role"
    session:run("drop owned by " .. role .. "; drop role " .. role)

    assert.is_false(ok)
    assert.matches("permission denied for function last_position", err, 1, true)
    assert.equal(1, found)
  end)

  it("gives no right by a setting that somebody made up", function()
    for _, made_up in ipairs { "x", "1\nx y z", "1\n", "\n\n", "1\nepoch 9999999999999999999999 forged" } do
      session:run("set leat.positions = " .. session:quote(made_up))
      pcall(last, "z")
      session:run("begin; set constraints all immediate; select leat.publish('forged', '1')")
      session:run("select set_config('leat.positions', pg_current_xact_id() || E'\\n' || "
        .. session:quote(made_up) .. ", false)")
      session:publish("forged", "2")
      assert.same(position "forged", last "forged")
      session:run "rollback"
    end
  end)
end)

describe("the report of positions", function()
  local db

  lazy_setup(function() db = postgres.database() end)
  lazy_teardown(function() db:drop() end)

  -- What psql was told beside the answers.
  local function told(script)
    local p = psql.start(db.url, script)
    assert.equal(0, p:wait())
    return table.concat(p.err, "\n")
  end

  it("comes to a session that asks for it, whatever it hears otherwise", function()
    local out = told [[
      set client_min_messages = error;
      set leat.report = on;
      \set VERBOSITY verbose
      begin;
      select leat.publish('b c', '1'), leat.publish('a', '1'), leat.publish('a', '2');
      select 'committing';
      commit;]]

    local timeline, a, b = out:match("INFO:  LEAT0: (%x+)\n(%S+ 2 a)\n(%S+ 1 b c)\n")
    assert.equal("00000001", timeline, out)
    assert.equal(a:match("^%S+"), b:match("^%S+"))
  end)

  it("comes to nobody else", function()
    assert.equal("", told "select leat.publish('quiet', '1'); select leat.publish('quiet', '1'), leat.revoke('quiet')")
  end)

  it("lets no setting of a publisher's stop it from publishing", function()
    assert.equal("", told "set leat.report = 'nonsense'; select leat.publish('quiet', '1')")
  end)
end)
