-- What leat.watch refuses, to whom, and in whose name it works; leat.unwatch.

local loop = require "spec.support.loop"
local pg = require "spec.support.pg"
local postgres = require "spec.support.postgres"
local psql = require "spec.support.psql"
local watching = require "spec.support.watching"

describe("leat.watch", function()
  local db, session, watched

  lazy_setup(function()
    db = postgres.database()
    session = db.session
    watched = watching.of(session)
  end)
  lazy_teardown(function() db:drop() end)

  describe("refuses", function()
    lazy_setup(function()
      session:run [[
        create table target (id int primary key, v text, at timestamptz, j jsonb, f float8, "b{r" int);
        create view target_view as select * from target;
        create materialized view target_kept as select * from target;
        create temporary table target_temporary (id int);
        create unlogged table target_unlogged (id int);
        create sequence target_sequence;
        create extension if not exists file_fdw;
        create server files foreign data wrapper file_fdw;
        create foreign table target_foreign (id int) server files options (filename '/dev/null')]]
    end)

    for what, case in pairs {
      ["a view"] = { "'target_view', 'a'", "cannot watch public.target_view: it is a view" },
      ["a materialized view"] = { "'target_kept', 'a'", "it is a view" },
      ["a foreign table"] = { "'target_foreign', 'a'", "it is a foreign table" },
      ["a temporary table"] = { "'target_temporary', 'a'", "it is temporary or unlogged" },
      ["an unlogged table"] = { "'target_unlogged', 'a'", "it is temporary or unlogged" },
      ["a sequence"] = { "'target_sequence', 'a'", "it is not a table" },
      ["Leat's own tables"] = { "'leat.event', 'a'", "it is one of Leat's own tables" },
      ["a table that is not there"] = { "'nowhere', 'a'", 'relation "nowhere" does not exist' },
      ["a column that is not there"] = { "'target', 'a:{nope}'", 'table public.target has no column "nope"' },
      ["a column in other letters"] = { "'target', 'a:{ID}'", 'table public.target has no column "ID"' },
      ["a system column"] = { "'target', 'a:{ctid}'", 'has no column "ctid"' },
      ["a column whose text depends on the session"] =
        { "'target', 'a:{at}'", 'column "at" of type timestamp with time zone cannot be in a topic' },
      ["a column of JSON"] = { "'target', 'a:{j}'", 'column "j" of type jsonb' },
      ["a column of floating point"] = { "'target', 'a:{f}'", 'column "f" of type double precision' },
      ["a brace that is not closed"] = { "'target', 'a:{id'", 'malformed topic template: "a:{id"' },
      ["a brace that is not opened"] = { "'target', 'a:id}'", "malformed topic template" },
      ["braces around nothing"] = { "'target', 'a:{}'", "malformed topic template" },
      ["braces in braces"] = { "'target', 'a:{b{r}'", "malformed topic template" },
      ["an empty template"] = { "'target', ''", "malformed topic template" },
      ["a control character"] = { "'target', E'a\\n{id}'", "malformed topic template" },
      ["256 bytes before any column"] = { "'target', repeat('x', 256) || '{id}'", "malformed topic template" },
      ["NULL"] = { "'target', null", "must not be NULL" },
    } do
      it(what, function()
        assert.matches(case[2], watched:refusal("select leat.watch(" .. case[1] .. ")"), 1, true)
      end)
    end

    it("whoever was not given the right", function()
      local role = db.name .. "_owner"
      session:run("create role " .. role)
      session:run("grant usage on schema leat, leat_internal to " .. role)
      session:run("create schema own authorization " .. role)
      session:run("set role " .. role)
      session:run "create table own.mine (id int primary key, v text)"
      local err = watched:refusal "select leat.watch('own.mine', 'mine')"
      local also = watched:refusal [[create trigger t after insert on own.mine
        for each row execute function leat_internal.on_change()]]
      session:run "reset role"
      session:run("select leat_internal.grant_watcher('" .. role .. "')")
      session:run("set role " .. role)
      session:run "select leat.watch('own.mine', 'mine')"
      session:run "insert into own.mine values (1, 'a')"
      session:run "select leat.unwatch('own.mine')"
      session:run "insert into own.mine values (2, 'b')"
      session:run "reset role"
      session:run("drop owned by " .. role)
      session:run("drop role " .. role)

      assert.matches("permission denied for function watch", err, 1, true)
      assert.matches("permission denied for function", also, 1, true)
      assert.same({ "insert 1:a" }, watched:log("mine"))
    end)
  end)

  it("cannot make the owner run what a writer's search_path finds first", function()
    local role = db.name .. "_evil"
    session:run "create table trap (id int primary key, room int, v text)"
    watched:watch("trap", "trap:{room}:{v}")
    session:run("create role " .. role)
    session:run("create schema evil authorization " .. role)
    session:run("grant all on trap to " .. role)
    session:run("set role " .. role)
    session:run [[
      create table evil.seen (who text);
      create function evil.spy() returns boolean language plpgsql as $$
      begin
        insert into evil.seen values (current_user);
        return true;
      end $$;
      create domain evil.text as pg_catalog.text check (evil.spy());
      create domain evil.jsonb as pg_catalog.jsonb check (evil.spy());
      create domain evil.oid as pg_catalog.oid check (evil.spy());
      create function evil.equal(pg_catalog.text, pg_catalog.text) returns boolean language sql
        return evil.spy() and $1 operator(pg_catalog.=) $2;
      create operator evil.= (leftarg = pg_catalog.text, rightarg = pg_catalog.text, function = evil.equal);
      create function evil.join(pg_catalog.text, pg_catalog.text) returns pg_catalog.text language sql
        return case when evil.spy() then $1 operator(pg_catalog.||) $2 end;
      create operator evil.|| (leftarg = pg_catalog.text, rightarg = pg_catalog.text, function = evil.join);
      create function evil.plus(integer, integer) returns integer language sql
        return case when evil.spy() then $1 operator(pg_catalog.+) $2 end;
      create operator evil.+ (leftarg = integer, rightarg = integer, function = evil.plus);
      create function evil.get(pg_catalog.jsonb, pg_catalog.text) returns pg_catalog.text language sql
        return case when evil.spy() then $1 operator(pg_catalog.->>) $2 end;
      create operator evil.->> (leftarg = pg_catalog.jsonb, rightarg = pg_catalog.text, function = evil.get);
      create function evil.to_jsonb(anyelement) returns pg_catalog.jsonb language plpgsql as $$
      begin
        return case when evil.spy() then pg_catalog.to_jsonb($1) end;
      end $$;
      create function evil.quote_ident(pg_catalog.text) returns pg_catalog.text language sql
        return case when evil.spy() then $1 end;
      set search_path = evil, pg_catalog, public;
      insert into trap values (1, 1, 'a');
      update trap set room = 2;
      update trap set v = 'b';
      truncate trap;
      insert into trap values (1, 1, 'a')]]
    session:run "reset all"
    session:run "reset role"

    local count = session:value("select count(*) from evil.seen where who <> '" .. role .. "'")
    local total = #watched:log("trap:1:a") + #watched:log("trap:2:a") + #watched:log("trap:2:b")
    session:run("drop owned by " .. role .. " cascade")
    session:run("drop role " .. role)
    assert.equal("0", count)
    assert.equal(7, total)
  end)

  it("publishes for roles that know nothing of Leat", function()
    local role = db.name .. "_writer"
    session:run "create table foreign_to_leat (id int primary key, v text)"
    watched:watch("foreign_to_leat", "roles")
    session:run("create role " .. role)
    session:run("grant all on foreign_to_leat to " .. role)
    session:run("set role " .. role)
    session:run "insert into foreign_to_leat values (1, 'a')"
    session:run "truncate foreign_to_leat"
    session:run "insert into foreign_to_leat values (2, 'b')"
    session:run "reset role"
    session:run("drop owned by " .. role)
    session:run("drop role " .. role)

    assert.same({ "insert 1:a", "resync", "insert 2:b" }, watched:log("roles"))
  end)
end)

describe("leat.unwatch", function()
  local db, session

  lazy_setup(function()
    db = postgres.database "create table t (id int primary key, v text)"
    session = db.session
  end)
  lazy_teardown(function() db:drop() end)

  it("ends one watch, or all", function()
    session:run "select leat.watch('t', 'one'), leat.watch('t', 'two'), leat.watch('t', 'three')"
    session:run "select leat.unwatch('t', 'two')"
    session:run "insert into t values (1, 'a')"
    session:run "select leat.unwatch('t')"
    session:run "insert into t values (2, 'b')"

    assert.equal("one,three", session:value "select string_agg(topic, ',' order by topic) from leat.event")
    assert.equal("0", session:value "select count(*) from pg_trigger where tgrelid = 't'::regclass")
  end)

  it("of what is not watched does nothing", function()
    session:run "select leat.unwatch('t'), leat.unwatch('t', 'never'), leat.unwatch('t', 'a {')"
  end)

  it("lets a transaction that wrote before it publish what it wrote", function()
    local other = pg.connect(db.url)
    session:run "select leat.watch('t', 'last')"
    other:run "begin"
    other:run "insert into t values (3, 'c')"
    local waiting = psql.start(db.url, "select leat.unwatch('t');")
    loop.eventually(function()
      return session:value "select count(*) from pg_locks where relation = 't'::regclass and not granted" == "1"
    end)
    other:run "commit"
    other:close()

    assert.equal(0, waiting:wait())
    assert.equal("1", session:value "select count(*) from leat.event where topic = 'last'")
  end)
end)
