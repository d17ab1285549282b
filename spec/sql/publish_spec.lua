-- leat.publish: part of the caller's transaction, numbered at its commit.

local postgres = require "spec.support.postgres"

describe("leat.publish", function()
  local db, session

  lazy_setup(function()
    db = postgres.database [[
      create function state_of(sql text) returns text language plpgsql as $$
      begin
        execute sql;
        return 'ok';
      exception when others then
        return sqlstate;
      end $$;
    ]]
    session = db.session
  end)
  lazy_teardown(function() db:drop() end)

  -- The outbox of a topic, "seq kind data" a row.
  local function outbox(topic)
    local lines = {}
    for _, row in ipairs(session:rows(
      "select seq, kind, data from leat.event where topic = " .. session:quote(topic) .. " order by seq")) do
      lines[#lines + 1] = ("%s %s %s"):format(row.seq, row.kind, row.data)
    end
    return lines
  end

  local function left_pending()
    return session:value [[
      select count(*) from leat_internal.pending]]
  end

  it("numbers a topic's events from 1, in the order of their commits", function()
    session:publish("order", '{"n": 1}')
    session:publish("order", '{"n": 2}')

    assert.same({ '1 event {"n": 1}', '2 event {"n": 2}' }, outbox("order"))
    assert.equal("2", session:value("select seq from leat.topic where name = 'order'"))
  end)

  it("keeps the order of the calls within a transaction, topic by topic", function()
    session:run "begin"
    for n = 1, 50 do
      session:publish("calls:a", tostring(n))
      session:publish("calls:b", tostring(-n))
    end
    session:run "commit"

    local a, b = outbox("calls:a"), outbox("calls:b")
    for n = 1, 50 do
      assert.equal(("%d event %d"):format(n, n), a[n])
      assert.equal(("%d event %d"):format(n, -n), b[n])
    end
  end)

  -- Sequential scans are off there, and count as so costly that Postgres would compile every statement that has one.
  it("runs a trigger of one's own on the outbox without compiling it", function()
    session:run [[
      create table own (jit text);
      create function note_own() returns trigger language plpgsql as $$
      begin
        insert into own values (current_setting('jit'));
        return null;
      end $$;
      create trigger own after insert on leat.event for each row when (new.topic like 'own:%')
        execute function note_own();
      set jit = on]]
    finally(function() session:run "reset jit; drop trigger own on leat.event" end)

    session:publish("own:1", "1")
    session:run "begin; select leat.publish('own:2', '1'), leat.publish('own:3', '1'); commit"

    assert.same({ { jit = "off" }, { jit = "off" }, { jit = "off" } }, session:rows "select jit from own")
    assert.equal("on", session:value "show jit")
  end)

  it("publishes many events of many topics by one statement", function()
    session:run "select leat.publish('bulk:' || n % 100, to_jsonb(n)) from generate_series(1, 2000) n"

    assert.equal("0", session:value [[
      select count(*) from leat.topic t where t.name like 'bulk:%' and (
        t.seq <> 20 or (select array_agg(e.seq order by e.data) from leat.event e where e.topic = t.name)
                       <> array(select generate_series(1, 20)::bigint))]])
    assert.equal("100", session:value "select count(*) from leat.topic where name like 'bulk:%'")
  end)

  it("leaves nothing of a transaction that is rolled back", function()
    session:publish("rollback", "1")
    session:run "begin"
    session:publish("rollback", "2")
    session:publish("rollback:other", "2")
    session:run "rollback"
    session:publish("rollback", "3")

    assert.same({ "1 event 1", "2 event 3" }, outbox("rollback"))
    assert.same({}, outbox("rollback:other"))
    assert.is_nil(session:value "select seq from leat.topic where name = 'rollback:other'")
  end)

  it("follows savepoints", function()
    session:run "begin"
    session:run "savepoint first"
    session:publish("savepoint", '"gone, the first"')
    session:run "rollback to first"
    session:publish("savepoint", '"kept"')
    session:run "savepoint second"
    session:publish("savepoint", '"gone, the second"')
    session:publish("savepoint", '"gone, the third"')
    session:run "rollback to second"
    session:run "commit"
    session:run "begin"
    session:publish("savepoint", '"before"')
    session:run "savepoint third"
    session:publish("savepoint", '"released"')
    session:run "release third"
    session:publish("savepoint", '"after"')
    session:run "commit"

    assert.same({ '1 event "kept"', '2 event "before"', '3 event "released"', '4 event "after"' },
      outbox("savepoint"))
  end)

  it("loses nothing where an exception block undoes a part", function()
    session:run [[
      do $$
      begin
        perform leat.publish('block', '1');
        begin
          perform leat.publish('block', '2');
          perform 1 / 0;
        exception when division_by_zero then
          perform leat.publish('block', '3');
        end;
      end $$]]

    assert.same({ "1 event 1", "2 event 3" }, outbox("block"))
  end)

  it("loses nothing where constraints are made immediate on the way", function()
    session:run "begin"
    session:publish("immediate", "1")
    session:publish("immediate", "2")
    session:run "set constraints all immediate"
    session:publish("immediate", "3")
    session:publish("immediate", "4")
    session:run "set constraints all deferred"
    session:publish("immediate", "5")
    session:publish("immediate", "6")
    session:run "commit"

    assert.same({ "1 event 1", "2 event 2", "3 event 3", "4 event 4", "5 event 5", "6 event 6" },
      outbox("immediate"))
  end)

  it("takes publications from a deferred trigger of the application's", function()
    session:run [[
      create table orders (id int);
      create function tell() returns trigger language plpgsql as $$
      begin
        perform leat.publish('orders', to_jsonb(new.id));
        perform leat.publish('orders', to_jsonb(-new.id));
        return null;
      end $$;
      create constraint trigger tell after insert on orders deferrable initially deferred
        for each row execute function tell()]]
    session:run "begin"
    session:publish("orders", "0")
    session:run "insert into orders values (1), (2)"
    session:run "commit"

    assert.same({ "1 event 0", "2 event 1", "3 event -1", "4 event 2", "5 event -2" }, outbox("orders"))
  end)

  it("loses nothing where settings are reset on the way", function()
    session:run "begin"
    session:publish("reset", "1")
    session:run "reset all"
    session:publish("reset", "2")
    session:run "reset all"
    session:publish("reset", "3")
    session:run "commit"

    assert.same({ "1 event 1", "2 event 2", "3 event 3" }, outbox("reset"))
  end)

  it("leaves nothing pending", function()
    session:run "select leat.publish('pending:' || n % 3, to_jsonb(n)) from generate_series(1, 10) n"
    session:publish("pending", "1")

    assert.equal("0", left_pending())
  end)

  -- Postgres plans the commit's statements for the rows that are queued at that time, and keeps the plans. So they must
  -- not scan a table, though it may be empty.
  it("reads no other rows at commit, though the queue was empty when the session began", function()
    local function scans()
      return session:value [[
        select sum(seq_scan) from pg_stat_xact_all_tables where schemaname in ('leat', 'leat_internal')]]
    end

    session:run "vacuum leat_internal.pending"
    session:run "set leat.report = on; set synchronous_commit = off"
    for _, count in ipairs { 1, 2, 20 } do
      session:run "begin isolation level repeatable read"
      session:run(("select leat.publish('queue', to_jsonb(n)) from generate_series(1, %d) n"):format(count))
      local before = scans()
      session:run "set constraints all immediate"
      assert.equal(before, scans())
      session:run "commit"
    end
    session:run "reset all"
  end)

  it("shows no number before the commit", function()
    local other = require("spec.support.pg").connect(db.url)
    session:publish("visible", "1")
    session:run "begin"
    session:publish("visible", "2")

    local before = other:value "select seq from leat_internal.position('visible')"
    session:run "commit"
    local after = other:value "select seq from leat_internal.position('visible')"
    other:close()

    assert.equal("1", before)
    assert.equal("2", after)
  end)

  it("keeps exact data", function()
    local data = '{"big": 9007199254740993, "list": [], "nothing": null, "text": "\\u2028 😀 \\"quoted\\""}'
    session:publish("data", data)

    assert.equal("t", session:value(
      "select data = " .. session:quote(data) .. "::jsonb from leat.event where topic = 'data'"))
  end)

  describe("refuses", function()
    local function state_of(topic, data)
      return session:value(("select state_of(%s)"):format(
        session:quote(("select leat.publish(%s, %s)"):format(topic, data))))
    end

    for what, topic in pairs {
      ["an empty topic"] = "''",
      ["a topic that is NULL"] = "null",
      ["a newline in a topic"] = "E'a\\nb'",
      ["DEL in a topic"] = "E'a\\x7f'",
      ["a C1 control character in a topic"] = "U&'a\\0085'",
      ["a topic of 256 bytes"] = "repeat('ä', 128)",
    } do
      it(what, function() assert.equal("22023", state_of(topic, "'1'")) end)
    end

    it("data that is NULL", function() assert.equal("22004", state_of("'a'", "null")) end)

    it("nothing else", function()
      assert.equal("ok", state_of("repeat('ä', 127) || 'x'", "'1'"))
      assert.equal("ok", state_of("'a b/c\"😀'", "'null'"))
    end)
  end)

  it("commits synchronously in a session that does not", function()
    -- A deferred trigger that is queued later runs later, just before the commit.
    session:run [[
      create table probe (id int);
      create table probed (setting text);
      create function probe() returns trigger language plpgsql as $$
      begin
        insert into probed values (current_setting('synchronous_commit'));
        return null;
      end $$;
      create constraint trigger probe after insert on probe deferrable initially deferred
        for each row execute function probe()]]
    local function probe(topic)
      session:run "begin"
      if topic then session:publish(topic, "1") end
      session:run "insert into probe values (1)"
      session:run "commit"
      local setting = session:value "select setting from probed"
      session:run "delete from probed"
      return setting
    end
    session:run "set synchronous_commit = off"

    local quiet, publishing = probe(), probe("synchronous")
    session:run "set leat.synchronous_commit = off"
    local opted_out = probe("synchronous")
    local afterwards = session:value "show synchronous_commit"
    session:run "reset all"

    assert.equal("off", quiet)
    assert.equal("on", publishing)
    assert.equal("off", opted_out)
    assert.equal("off", afterwards)
  end)
end)
