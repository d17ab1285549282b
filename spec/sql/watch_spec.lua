-- leat.watch: an existing table's changes, as events.

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

  describe("publishes", function()
    it("inserts, updates and deletes, with the row and what it was", function()
      session:run "create table plain (id int primary key, room_id bigint, v text)"
      watched:watch("plain", "plain:{room_id}")
      session:run "insert into plain values (1, 7, 'a')"
      session:run "update plain set v = 'b'"
      session:run "delete from plain"

      assert.same({
        { action = "insert", table = "public.plain", row = { id = 1, room_id = 7, v = "a" } },
        { action = "update", table = "public.plain", row = { id = 1, room_id = 7, v = "b" },
          old = { id = 1, room_id = 7, v = "a" } },
        { action = "delete", table = "public.plain", old = { id = 1, room_id = 7, v = "b" } },
      }, watched:events("plain:7"))
    end)

    it("a row that changes its topic as a delete there and an insert here", function()
      session:run "create table moving (id int primary key, room int, v text)"
      watched:watch("moving", "moving:{room}")
      session:run "insert into moving values (1, 1, 'a')"
      session:run "update moving set room = 2, v = 'b'"

      assert.same({ "insert 1:a", "delete 1:a" }, watched:log("moving:1"))
      assert.same({ "insert 1:b" }, watched:log("moving:2"))
    end)

    it("nothing for a row with NULL in a column of the template", function()
      session:run "create table nulls (id int primary key, a int, b text, v text)"
      watched:watch("nulls", "nulls:{a}:{b}")
      session:run "insert into nulls values (1, 1, null, 'a'), (2, null, 'x', 'b'), (3, 1, '', 'c')"
      session:run "update nulls set b = 'x' where id = 1"
      session:run "update nulls set a = null where id = 1"
      session:run "delete from nulls where id <> 3"

      assert.same({ "insert 1:a", "delete 1:a" }, watched:log("nulls:1:x"))
      assert.same({ "insert 3:c" }, watched:log("nulls:1:"))
      assert.equal("2", session:value "select count(*) from leat.topic where name like 'nulls:%'")
    end)

    it("nothing for an update that changes nothing", function()
      session:run "create table same (id int primary key, v text, j json, p point, n numeric)"
      watched:watch("same", "same")
      session:run [[insert into same values (1, 'a', '{"a": 1}', '(1,2)', 1.0)]]
      session:run "update same set v = v, j = j, p = p, n = 1.0"
      session:run "update same set n = 1.00"

      assert.equal(2, #watched:events("same"))
    end)

    it("nothing for a row whose topic nobody could subscribe to", function()
      session:run "create table odd (id int primary key, name text, v text)"
      watched:watch("odd", "{name}")
      session:run [[insert into odd values
        (1, '', 'a'), (2, E'a\nb', 'b'), (3, repeat('x', 256), 'c'), (4, 'odd', 'd')]]
      session:run "update odd set name = 'odd' where id = 2"
      session:run "update odd set name = '' where id = 4"

      assert.same({ "insert 4:d", "insert 2:b", "delete 4:d" }, watched:log("odd"))
    end)

    it("values exactly", function()
      session:run [[create table exact (id int primary key, b bigint, n numeric, t text, j jsonb, a int[],
        sum numeric generated always as (b + 1) stored)]]
      watched:watch("exact", "exact:{b}")
      session:run [[insert into exact values (1, 9223372036854775806, 1.50, E'é"\\\t😀', '{"x": [null]}', '{1,null}')]]

      assert.equal("t", session:value [[
        select data -> 'row' = (select to_jsonb(e) from exact e) and data #>> '{row,b}' = '9223372036854775806'
               and data #>> '{row,n}' = '1.50' and data #>> '{row,sum}' = '9223372036854775807'
          from leat.event where topic = 'exact:9223372036854775806']])
    end)

    it("large values in full, also those that an update leaves as they are", function()
      session:run "create table large (id int primary key, body text, v text)"
      session:run "alter table large alter body set storage external"
      watched:watch("large", "large")
      session:run "insert into large values (1, repeat('é', 100000), 'a')"
      session:run "update large set v = 'b'"
      session:run "delete from large"

      for _, event in ipairs(watched:events("large")) do
        for _, which in ipairs { "row", "old" } do
          if event[which] then assert.equal(200000, #event[which].body, event.action .. " " .. which) end
        end
      end
      assert.equal(3, #watched:events("large"))
    end)

    it("to several topics where there are several templates", function()
      session:run "create table several (id int primary key, owner text, v text)"
      watched:watch("several", "several")
      watched:watch("several", "several of {owner}")
      session:run "insert into several values (1, 'Ann', 'a')"
      session:run "update several set owner = 'Bob'"

      assert.same({ "insert 1:a", "update 1:a 1:a" }, watched:log("several"))
      assert.same({ "insert 1:a", "delete 1:a" }, watched:log("several of Ann"))
      assert.same({ "insert 1:a" }, watched:log("several of Bob"))
    end)

    it("with nothing of a transaction that is rolled back, and of savepoints", function()
      session:run "create table undone (id int primary key, v text)"
      watched:watch("undone", "undone")
      session:run "begin"
      session:run "insert into undone values (1, 'a')"
      session:run "savepoint s"
      session:run "insert into undone values (2, 'b')"
      session:run "rollback to s"
      session:run "insert into undone values (3, 'c')"
      session:run "commit"
      session:run "begin"
      session:run "delete from undone"
      session:run "rollback"

      assert.same({ "insert 1:a", "insert 3:c" }, watched:log("undone"))
    end)

  end)

  describe("takes", function()
    it("quoted names, and braces that are meant as such", function()
      session:run [[create schema "My ""App"""]]
      session:run [[create table "My ""App"""."Order Lines" (id int primary key, "Order ""No""" text, v text)]]
      watched:watch([["My ""App"""."Order Lines"]], [[{{order}}:{Order "No"}\]])
      session:run [[insert into "My ""App"""."Order Lines" values (1, 'A''1{', 'a')]]

      local event = watched:events([[{order}:A'1{\]])[1]
      assert.equal([["My ""App"""."Order Lines"]], event.table)
      assert.equal("A'1{", event.row[ [[Order "No"]] ])
      watched:unwatch([["My ""App"""."Order Lines"]], [[{{order}}:{Order "No"}\]])
      assert.equal("0", session:value "select count(*) from leat.watched where topic_template like '%Order%'")
    end)

    it("columns of each kind whose text is always the same", function()
      session:run [[
        create type mood as enum ('so so', 'fine');
        create domain short as text check (length(value) < 9);
        create domain shorter as short;
        create table kinds (id int2 primary key, v text, a int, b bigint, c numeric, d text, e varchar, f uuid,
          g bool, h date, i mood, j shorter, k char(3), l oid)]]
      watched:watch("kinds", "{id}/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{a}")
      session:run "set datestyle = 'German'"
      session:run [[insert into kinds values (1, 'v', 2, 3, 4.50, 'd', 'e', '00000000-0000-0000-0000-000000000001',
        true, '2024-02-01', 'so so', 'j', 'k', 5)]]
      session:run "reset datestyle"

      assert.same({ "insert 1:v" },
        watched:log("1/2/3/4.50/d/e/00000000-0000-0000-0000-000000000001/true/2024-02-01/so so/j/k  /5/2"))
    end)

    it("a session that quotes all names", function()
      session:run "create table parted (id int primary key, v text) partition by list (id)"
      session:run "create table parted_1 partition of parted for values in (1)"
      session:run "create table whole (id int primary key, v text)"
      watched:watch("parted", "parted")
      watched:watch("whole", "whole")
      session:run "set quote_all_identifiers = on"
      session:run "insert into parted values (1, 'a'); insert into whole values (1, 'b')"
      session:run "reset quote_all_identifiers"

      assert.equal("public.parted", watched:events("parted")[1].table)
      assert.equal("public.whole", watched:events("whole")[1].table)
    end)

    it("being called twice as once", function()
      session:run "create table twice (id int primary key, v text)"
      watched:watch("twice", "twice")
      watched:watch("twice", "twice")
      session:run "insert into twice values (1, 'a')"

      assert.same({ "insert 1:a" }, watched:log("twice"))
      assert.equal("1", session:value [[select count(*) from leat.watched where "table" = 'twice'::regclass]])
    end)

    it("being rolled back", function()
      session:run "create table tried (id int primary key, v text)"
      session:run "begin"
      watched:watch("tried", "tried")
      session:run "rollback"
      session:run "insert into tried values (1, 'a')"

      assert.same({}, watched:log("tried"))
    end)
  end)

  describe("sees what is written by", function()
    lazy_setup(function()
      session:run "create table ways (id int primary key, v text)"
      watched:watch("ways", "ways")
    end)
    before_each(function()
      session:run "delete from ways"
      session:run "delete from leat.topic where name = 'ways'"
    end)

    it("COPY", function()
      psql.run(db.url, "copy ways from stdin;\n1\ta\n2\tb\n\\.\n")

      assert.same({ "insert 1:a", "insert 2:b" }, watched:log("ways"))
    end)

    it("ON CONFLICT", function()
      session:run "insert into ways values (1, 'a')"
      session:run [[insert into ways values (1, 'b'), (2, 'b') on conflict (id) do update set v = excluded.v]]
      session:run [[insert into ways values (1, 'c'), (3, 'c') on conflict do nothing]]

      assert.same({ "insert 1:a", "update 1:a 1:b", "insert 2:b", "insert 3:c" }, watched:log("ways"))
    end)

    it("MERGE", function()
      if tonumber(session:value "show server_version_num") < 150000 then return pending "needs PostgreSQL 15" end
      session:run "insert into ways values (1, 'a'), (2, 'a')"
      session:run [[merge into ways w using (values (1), (2), (3)) n (id) on w.id = n.id
        when matched and n.id = 1 then delete when matched then update set v = 'm'
        when not matched then insert values (n.id, 'm')]]

      assert.same({ "insert 1:a", "insert 2:a", "delete 1:a", "update 2:a 2:m", "insert 3:m" }, watched:log("ways"))
    end)

    it("what replication applies", function()
      session:run "set session_replication_role = replica"
      session:run "insert into ways values (1, 'a')"
      session:run "reset session_replication_role"

      assert.same({ "insert 1:a" }, watched:log("ways"))
    end)

    it("a session that makes constraints immediate", function()
      session:run "begin"
      session:run "set constraints all immediate"
      session:run "insert into ways values (1, 'a')"
      session:run "update ways set v = 'b'"
      session:run "commit"

      assert.same({ "insert 1:a", "update 1:a 1:b" }, watched:log("ways"))
    end)
  end)

  describe("tells the rows as they came to be", function()
    it("where a trigger modifies them before they are written", function()
      session:run [[
        create table modified (id int primary key, room text, v text);
        create function modify() returns trigger language plpgsql as $$
        begin
          new.v := new.v || '!';
          new.room := upper(new.room);
          return new;
        end $$;
        create trigger zz before insert or update on modified for each row execute function modify()]]
      watched:watch("modified", "modified:{room}")
      session:run "insert into modified values (1, 'x', 'a')"

      assert.same({ "insert 1:a!" }, watched:log("modified:X"))
    end)

    it("where a trigger writes to a row that the same statement wrote", function()
      session:run [[
        create table nested (id int primary key, v text);
        create function nest() returns trigger language plpgsql as $$
        begin
          update nested set v = v || '+' where id = 2 and new.id = 1 and pg_trigger_depth() = 1;
          return null;
        end $$;
        create trigger aa after update on nested for each row execute function nest()]]
      watched:watch("nested", "nested")
      session:run "insert into nested values (1, 'a'), (2, 'a')"
      session:run "update nested set v = 'b'"

      assert.same({ "insert 1:a", "insert 2:a", "update 1:a 1:b", "update 2:a 2:b", "update 2:b 2:b+" },
        watched:log("nested"))
    end)

    it("where keys cascade", function()
      session:run [[
        create table parents (id int primary key, v text);
        create table children (id int primary key, parent int references parents on delete cascade on update cascade,
          v text default 'c')]]
      watched:watch("parents", "family")
      watched:watch("children", "family of {parent}")
      session:run "insert into parents values (1, 'p')"
      session:run "insert into children values (10, 1), (11, 1)"
      session:run "update parents set id = 2"
      session:run "delete from parents"

      assert.same({ "insert 1:p", "update 1:p 2:p", "delete 2:p" }, watched:log("family"))
      assert.same({ "insert 10:c", "insert 11:c", "delete 10:c", "delete 11:c" }, watched:log("family of 1"))
      assert.same({ "insert 10:c", "insert 11:c", "delete 10:c", "delete 11:c" }, watched:log("family of 2"))
    end)

    it("where constraints and triggers of the application's are deferred", function()
      session:run [[
        create table late (id int primary key, after int references late deferrable initially deferred, v text);
        create function finish() returns trigger language plpgsql as $$
        begin
          update late set v = 'late' where id = new.id;
          return null;
        end $$;
        create constraint trigger finish after insert on late deferrable initially deferred
          for each row execute function finish()]]
      watched:watch("late", "late")
      session:run "begin"
      session:run "insert into late values (1, 2, 'a')"
      session:run "insert into late values (2, null, 'b')"
      session:run "commit"

      assert.same({ "insert 1:a", "insert 2:b", "update 1:a 1:late", "update 2:b 2:late" }, watched:log("late"))
    end)
  end)

  it("keeps each topic in the order of its commits, however writers overlap", function()
    session:run "create table busy (id int primary key, room int, n int not null, v text)"
    session:run "insert into busy select n, n % 3, 0, 'a' from generate_series(1, 20) n"
    watched:watch("busy", "busy:{room}")
    local writers = {}
    for w = 1, 4 do
      local lines = {}
      for n = 1, 50 do
        lines[n] = ("begin; update busy set n = n + 1, room = %d where id = %d;"
          .. " update busy set n = n + 1 where id = %d; commit;")
          :format((w + n) % 3, (w * n) % 10 + 1, (w + n) % 10 + 11)
      end
      writers[w] = psql.start(db.url, table.concat(lines, "\n"))
    end
    for _, p in ipairs(writers) do assert.equal(0, p:wait(), table.concat(p.err, "\n")) end

    -- Who replays a topic's events has that topic's rows.
    for room = 0, 2 do
      local rows = {}
      for id = 1, 20 do if id % 3 == room then rows[id] = 0 end end
      for _, event in ipairs(watched:events("busy:" .. room)) do
        if event.old then
          assert.equal(event.old.n, rows[event.old.id])
          rows[event.old.id] = nil
        end
        if event.row then rows[event.row.id] = event.row.n end
      end
      local list = {}
      for id = 1, 20 do list[#list + 1] = rows[id] and ("%d:%d"):format(id, rows[id]) end
      local stored = session:value(
        "select string_agg(id || ':' || n, ',' order by id) from busy where room = " .. room)
      assert.equal(stored, table.concat(list, ","))
    end
  end)
end)
