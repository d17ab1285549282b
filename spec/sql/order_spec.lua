-- The order of what a transaction publishes is the order in which it did, whatever it does to its session.

local pg = require "spec.support.pg"
local postgres = require "spec.support.postgres"
local support = require "spec.support.watching"

-- What may stand between two publications of a transaction.
local between = {
  ["nothing"] = "",
  ["RESET ALL"] = "reset all",
  ["DISCARD SEQUENCES and TEMP"] = "discard sequences; discard temp",
  ["DISCARD PLANS"] = "discard plans",
  ["a forged setting, local"] = "set local leat.publishing = 'x'",
  ["a forged setting, of the session"] = "set leat.publishing = '1+'",
  ["the transaction's own id as a setting"] = "select set_config('leat.publishing', pg_current_xact_id()::text, true)",
  ["... and a plus"] = "select set_config('leat.publishing', pg_current_xact_id()::text || '+', true)",
  ["... and one that is set back in a savepoint"] = [[
    savepoint s; set local leat.publishing = 'y'; rollback to s]],
  ["a savepoint that is rolled back"] = "savepoint s; select leat.publish('t', '\"gone\"'); rollback to s",
  ["a savepoint that is released"] = "savepoint s; select 1; release s",
  ["an exception that is caught"] = [[
    do $$ begin perform leat.publish('t', '"gone"'); raise 'no'; exception when others then null; end $$]],
  ["SET CONSTRAINTS IMMEDIATE and back"] = "set constraints all immediate; set constraints all deferred",
  ["SET CONSTRAINTS IMMEDIATE"] = "set constraints all immediate",
  ["another role's settings"] = "set session authorization default; reset session authorization",
  ["another search_path"] = "set local search_path = pg_temp, public",
}

describe("a transaction that publishes", function()
  local db, session

  lazy_setup(function()
    db = postgres.database "create table notes (id int primary key, v int)"
    session = db.session
  end)
  lazy_teardown(function() db:drop() end)
  after_each(function() session:run "reset all; select leat.unwatch('notes'); truncate leat.topic, notes" end)

  local function log(topic)
    return session:value(("select string_agg(case kind when 'event' then data::text else kind end, ' ' order by seq)"
      .. " from leat.event where topic = '%s'"):format(topic))
  end

  -- Some are committed one by one, and many at once (0012_fewer_steps.sql).
  for _, count in ipairs { 2, 9, 15, 16, 100 } do
    it(("numbers each topic's entries in their order, %d of them"):format(count), function()
      local calls, logs, revoked = {}, { a = {}, b = {}, c = {} }, { a = 0, b = 0, c = 0 }
      for n = 1, count do
        local topic = ({ "b", "c", "a" })[n % 3 + 1]
        local entries = logs[topic]
        if n % 7 == 3 then
          calls[n], entries[#entries + 1] = ("leat.revoke('%s')"):format(topic), "revoke"
          revoked[topic] = #entries
        elseif n % 7 == 5 then
          calls[n], entries[#entries + 1] = ("leat.resync('%s')"):format(topic), "resync"
        else
          calls[n], entries[#entries + 1] = ("leat.publish('%s', '%d')"):format(topic, n), tostring(n)
        end
      end

      session:run("begin; select " .. table.concat(calls, ", ") .. "; commit")

      for topic, expected in pairs(logs) do
        if #expected > 0 then
          assert.equal(table.concat(expected, " "), log(topic))
          assert.equal(("%d %d"):format(#expected, revoked[topic]), session:value(
            ("select seq || ' ' || greatest(revoked, 0) from leat.topic where name = '%s'"):format(topic)))
          assert.equal(tostring(#expected),
            session:value(("select leat.last_position('%s') ->> 'seq'"):format(topic)))
        end
      end
      assert.equal("0", session:value "select count(*) from leat_internal.pending")
    end)
  end

  for what, sql in pairs(between) do
    it("keeps its order across " .. what, function()
      session:run "begin"
      for n = 1, 4 do
        session:run(("select leat.publish('t', '%d')"):format(n))
        if sql ~= "" then session:run(sql) end
      end
      session:run "select leat.revoke('t')"
      session:run "commit"

      assert.equal("1 2 3 4 revoke", log "t")
      assert.equal("5", session:value "select seq from leat.topic where name = 't'")
      assert.equal("0", session:value [[
        select count(*) from leat_internal.pending]])
    end)

    it("keeps the order of a watched table's changes across " .. what, function()
      support.of(session):watch("notes", "t")
      session:run "begin; insert into notes values (1, 0)"
      for n = 1, 3 do
        if sql ~= "" then session:run(sql:gsub("leat.publish%(.-%)", "1")) end
        session:run("update notes set v = " .. n)
      end
      session:run "commit"

      assert.equal("0 1 2 3", session:value [[
        select string_agg(data -> 'row' ->> 'v', ' ' order by seq) from leat.event where topic = 't']])
    end)
  end

  it("takes back what a savepoint published, the first publication included", function()
    session:run [[
      begin;
      savepoint a; select leat.publish('t', '1'), leat.publish('u', '1'); rollback to a;
      select leat.publish('t', '2');
      savepoint b; select leat.publish('t', '3'); release b;
      savepoint c; select leat.publish('t', '4'); savepoint d; select leat.publish('t', '5'); rollback to c;
      select leat.publish('t', '6');
      commit]]

    assert.equal("2 3 6", log "t")
    assert.is_nil(log "u")
  end)

  for _, first in ipairs { "event", "revoke", "resync" } do
    for _, second in ipairs { "event", "revoke", "resync" } do
      it(("publishes each once: %s, %s, event"):format(first, second), function()
        local calls = { event = "publish('t', '1')", revoke = "revoke('t')", resync = "resync('t')" }
        session:run "begin"
        for _, kind in ipairs { first, second, "event" } do session:run("select leat." .. calls[kind]) end
        session:run "commit"

        assert.equal(("%s %s event"):format(first, second), session:value [[
          select string_agg(kind, ' ' order by seq) from leat.event where topic = 't']])
      end)
    end
  end

  it("publishes once what a savepoint had committed already, and took back", function()
    session:run [[
      begin;
      select leat.publish('t', '1');
      savepoint s; set constraints all immediate; select leat.publish('t', '2'); rollback to s;
      commit]]

    assert.equal("1", log "t")
  end)

  it("keeps order when publications and changes of settings come at random", function()
    local seed = os.time()
    math.randomseed(seed)
    local names = {}
    for name in pairs(between) do names[#names + 1] = name end
    table.sort(names)
    for round = 1, 40 do
      local expected = { a = {}, b = {} }
      session:run "begin"
      for n = 1, math.random(1, 8) do
        local topic = math.random(2) == 1 and "a" or "b"
        local value = ("%d%02d"):format(round, n)
        session:run(("select leat.publish('%s', '%s')"):format(topic, value))
        table.insert(expected[topic], value)
        local sql = between[names[math.random(#names)]]
        if sql ~= "" then session:run((sql:gsub("'t'", "'" .. topic .. "'"))) end
      end
      session:run "commit"
      for topic, values in pairs(expected) do
        local got = session:value(("select coalesce(string_agg(data::text, ' ' order by seq), '') from leat.event"
          .. " where topic = '%s' and data::text like '%d__'"):format(topic, round))
        assert.equal(table.concat(values, " "), got, ("seed %d, round %d"):format(seed, round))
      end
    end
  end)

  it("lets nothing malformed in, whatever is set", function()
    local role = db.name .. "_forger"
    session:run("create role " .. role .. "; select leat_internal.grant_publisher('" .. role .. "'); set role " .. role)
    session:run "set leat.publishing = '1'; set leat.synchronous_commit = 'nonsense'"
    local topic = pcall(session.run, session, "select leat.publish(E'a\\nb', '1')")
    session:run "select leat.publish('fine', '1')"
    session:run("reset role; drop owned by " .. role .. "; drop role " .. role)

    assert.is_false(topic)
    assert.equal("fine", session:value "select string_agg(name, ' ') from leat.topic")
  end)

  it("of one topic after another waits for nobody who does it the other way round", function()
    local other = pg.connect(db.url)
    session:run "begin; select leat.publish('a', '1'); reset all; select leat.publish('b', '1')"
    other:run "begin; select leat.publish('b', '2'); select leat.publish('a', '2'); commit"
    session:run "commit"
    other:close()

    assert.equal("2 1", log "a")
    assert.equal("2 1", log "b")
  end)
end)

describe("max_event_bytes", function()
  local db, session

  lazy_setup(function()
    db = postgres.database "create table notes (id int primary key, v text, j jsonb)"
    session = db.session
  end)
  lazy_teardown(function() db:drop() end)
  before_each(function()
    session:run "truncate leat.topic, notes; update leat_internal.installation set max_event_bytes = 2097152"
  end)

  local function refusal(sql)
    local ok, err = pcall(session.run, session, sql)
    assert.is_false(ok)
    return err
  end

  it("bounds an event's data, exactly", function()
    session:run "update leat_internal.installation set max_event_bytes = 10000"
    session:run "select leat.publish('t', to_jsonb(repeat('x', 9998)))"

    assert.matches("data of the event is larger than 10000 bytes",
      refusal "select leat.publish('t', to_jsonb(repeat('x', 9999)))", 1, true)
    session:run [[
      do $$ begin
        perform leat.publish('t', to_jsonb(repeat('x', 9999)));
      exception when program_limit_exceeded then
        null;
      end $$]]
    assert.equal("1", session:value "select count(*) from leat.event")
  end)

  it("is 2 MiB at first", function()
    session:run "select leat.publish('t', to_jsonb(repeat('x', 2097150)))"
    refusal "select leat.publish('t', to_jsonb(repeat('x', 2097151)))"
  end)

  it("counts text, not what jsonb needs", function()
    refusal "select leat.publish('t', (select jsonb_agg('1e131071'::jsonb) from generate_series(1, 20)))"
    refusal "select leat.publish('t', (select jsonb_agg('1e131071'::jsonb) from generate_series(1, 20000)))"
    refusal [[select leat.publish('t', to_jsonb(repeat(E'\x01', 1000000)))]]
    session:run "select leat.publish('t', '1e131071')"
  end)

  it("makes a resync of a watched table's change that is larger", function()
    support.of(session):watch("notes", "t")
    session:run "insert into notes values (1, repeat('x', 3000000))"
    session:run "insert into notes select 2, 'small', jsonb_agg('1e131071'::jsonb) from generate_series(1, 9999)"
    session:run "insert into notes values (3, 'small')"

    assert.equal("resync resync event", session:value "select string_agg(kind, ' ' order by seq) from leat.event")
  end)
end)
