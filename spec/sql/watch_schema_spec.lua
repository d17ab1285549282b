-- leat.watch where tables are partitioned, truncated, altered, dumped.

local env = require "spec.support.env"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
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

  describe("on a partitioned table", function()
    before_each(function()
      session:run [[
        create table parted (id int, part int, room int, v text) partition by list (part);
        create table parted_1 partition of parted for values in (1);
        create table parted_2 (gone int, v text, room int, part int, id int);
        alter table parted_2 drop gone]]
      session:run [[select leat.watch('parted', 'parted:{room}')]]
    end)
    after_each(function()
      session:run "drop table parted"
      session:run "drop table if exists parted_2"
      session:run "delete from leat.topic where name like 'parted%'"
    end)

    it("covers its partitions, also later ones, under the table's name", function()
      session:run "alter table parted attach partition parted_2 for values in (2)"
      session:run "insert into parted values (1, 1, 5, 'a'), (2, 2, 5, 'b')"
      session:run "insert into parted_2 values ('c', 5, 2, 3)"
      session:run "update parted set part = 2 where id = 1"

      assert.same({ "insert 1:a", "insert 2:b", "insert 3:c", "delete 1:a", "insert 1:a" }, watched:log("parted:5"))
      for _, event in ipairs(watched:events("parted:5")) do assert.equal("public.parted", event.table) end
    end)

    it("follows a renamed column, and a renamed table", function()
      session:run "alter table parted attach partition parted_2 for values in (2)"
      session:run "alter table parted rename room to place"
      session:run "alter table parted rename to parting"
      session:run "insert into parting values (1, 1, 5, 'a'), (2, 2, 6, 'b')"
      session:run "alter table parting rename to parted"

      assert.same({ "insert 1:a" }, watched:log("parted:5"))
      assert.same({ "insert 2:b" }, watched:log("parted:6"))
      assert.equal("public.parting", watched:events("parted:6")[1].table)
    end)

    it("asks for a resync when it, or one partition, is truncated", function()
      session:run "alter table parted attach partition parted_2 for values in (2)"
      session:run "insert into parted values (1, 1, 5, 'a'), (2, 2, 6, 'b')"

      session:run "truncate parted_1"
      assert.same({ "insert 1:a", "resync" }, watched:log("parted:5"))
      assert.same({ "insert 2:b" }, watched:log("parted:6"))
      session:run "truncate parted"
      assert.same({ "insert 2:b", "resync" }, watched:log("parted:6"))
    end)

    it("has nothing to do with a partition that was detached", function()
      session:run "insert into parted values (1, 1, 5, 'a')"
      session:run "alter table parted detach partition parted_1"
      session:run "insert into parted_1 values (2, 1, 5, 'b')"
      session:run "truncate parted_1"
      session:run "select leat.unwatch('parted_1')"

      assert.same({ "insert 1:a" }, watched:log("parted:5"))
      assert.equal("0", session:value "select count(*) from pg_trigger where tgrelid = 'parted_1'::regclass")
      session:run "drop table parted_1"
    end)

    it("publishes no row twice to a topic", function()
      session:run "select leat.watch('parted_2', 'parted:{room}')"
      session:run "select leat.watch('parted_1', 'parted:{room}')"
      session:run "insert into parted values (1, 1, 5, 'a')"

      assert.same({ "insert 1:a" }, watched:log("parted:5"))
      assert.matches("already exists",
        watched:refusal "alter table parted attach partition parted_2 for values in (2)")
      session:run "select leat.unwatch('parted')"
      session:run "alter table parted attach partition parted_2 for values in (2)"
      assert.matches("its partition public.parted_2 is watched by itself",
        watched:refusal "select leat.watch('parted', 'parted:{room}')", 1, true)
    end)

    it("is unwatched with all partitions", function()
      session:run "select leat.unwatch('parted', 'parted:{room}')"
      session:run "insert into parted values (1, 1, 5, 'a')"

      assert.same({}, watched:log("parted:5"))
      assert.equal("0", session:value [[select count(*) from pg_trigger
        where tgrelid in ('parted'::regclass, 'parted_1'::regclass)]])
    end)

    it("may have one partition watched", function()
      session:run "select leat.unwatch('parted')"
      session:run "select leat.watch('parted_1', 'parted one')"
      session:run "alter table parted attach partition parted_2 for values in (2)"
      session:run "insert into parted values (1, 1, 5, 'a'), (2, 2, 5, 'b')"

      assert.same({ "insert 1:a" }, watched:log("parted one"))
      assert.equal("public.parted_1", watched:events("parted one")[1].table)
    end)
  end)

  describe("when the table is truncated", function()
    it("asks for a resync of the topics that were in it", function()
      session:run "create table emptied (id int primary key, room int, v text)"
      session:run "insert into emptied values (1, 1, 'a'), (2, 2, 'a'), (3, 2, 'a'), (4, null, 'a')"
      watched:watch("emptied", "emptied:{room}")
      session:run "insert into emptied values (5, 1, 'b')"
      session:run "insert into emptied values (6, 3, 'b')"
      session:run "delete from emptied where id = 6"

      local announced = psql.announcements(db.url, "truncate emptied")

      table.sort(announced, function(a, b) return a.topic < b.topic end)
      assert.equal(2, #announced)
      assert.same({ "y", "emptied:1", "y", "emptied:2" },
        { announced[1].kind, announced[1].topic, announced[2].kind, announced[2].topic })
      session:run "insert into emptied values (7, 1, 'c')"
      assert.same({ "insert 5:b", "resync", "insert 7:c" }, watched:log("emptied:1"))
    end)

    it("lets a transaction truncate and alter what it wrote", function()
      session:run "create table worked (id int primary key, v text)"
      watched:watch("worked", "worked")
      session:run "begin"
      session:run "insert into worked values (1, 'a')"
      session:run "alter table worked alter v set not null"
      session:run "update worked set v = 'b'"
      session:run "truncate worked"
      session:run "insert into worked values (2, 'c')"
      session:run "alter table worked alter id type bigint"
      session:run "commit"

      assert.same({ "insert 1:a", "update 1:a 1:b", "resync", "insert 2:c" }, watched:log("worked"))
    end)

    it("takes that back with the transaction", function()
      session:run "create table kept (id int primary key, v text)"
      watched:watch("kept", "kept")
      session:run "insert into kept values (1, 'a')"
      session:run "begin"
      session:run "truncate kept"
      session:run "rollback"

      assert.same({ "insert 1:a" }, watched:log("kept"))
    end)

    it("publishes what follows in the transaction", function()
      session:run "create table refilled (id int primary key, v text)"
      watched:watch("refilled", "refilled")
      session:run "insert into refilled values (1, 'a')"
      session:run "begin"
      session:run "truncate refilled"
      session:run "insert into refilled values (1, 'b')"
      session:run "commit"

      assert.same({ "insert 1:a", "resync", "insert 1:b" }, watched:log("refilled"))
    end)
  end)

  describe("when the table's columns change", function()
    before_each(function()
      session:run "create table changing (id int primary key, room int, v text)"
      session:run [[select leat.watch('changing', 'changing:{room}')]]
      session:run "insert into changing values (1, 1, 'a')"
    end)
    after_each(function()
      session:run "drop table changing"
      session:run "delete from leat.topic where name like 'changing:%'"
    end)

    it("tells the new ones, and no longer those that are gone", function()
      session:run "alter table changing add extra int default 9"
      session:run "update changing set v = 'b'"
      session:run "alter table changing drop extra"
      session:run "alter table changing alter id type bigint"
      session:run "update changing set v = 'c'"

      local list = watched:events("changing:1")
      assert.same({ id = 1, room = 1, v = "b", extra = 9 }, list[2].row)
      assert.same({ id = 1, room = 1, v = "c" }, list[3].row)
    end)

    it("follows the renames of a template's column, whoever takes its name", function()
      session:run "alter table changing rename room to old_room"
      session:run "update changing set v = 'b'"
      session:run "alter table changing add room int default 2"
      session:run "update changing set v = 'c'"

      assert.same({ "insert 1:a", "update 1:a 1:b", "update 1:b 1:c" }, watched:log("changing:1"))
      assert.same({}, watched:log("changing:2"))
      assert.equal("changing:{old_room}",
        session:value [[select topic_template from leat.watched where "table" = 'changing'::regclass]])
    end)

    it("is called again with the new name as with the old one", function()
      session:run "alter table changing rename room to place"
      session:run "select leat.watch('changing', 'changing:{place}')"
      session:run "update changing set v = 'b'"
      session:run "alter table changing add room int default 2"
      session:run "select leat.watch('changing', 'changing:{room}')"
      session:run "update changing set v = 'c'"

      assert.same({ "insert 1:a", "update 1:a 1:b", "update 1:b 1:c" }, watched:log("changing:1"))
      assert.same({ "update 1:b 1:c" }, watched:log("changing:2"))
      session:run "select leat.unwatch('changing', 'changing:{place}')"
      assert.equal("changing:{room}",
        session:value [[select string_agg(topic_template, ',') from leat.watched where "table" = 'changing'::regclass]])
    end)

    it("keeps a template's column from being dropped or made another type", function()
      assert.matches("depends on column room", watched:refusal "alter table changing drop room", 1, true)
      assert.matches('depends on column "room"', watched:refusal "alter table changing alter room type bigint", 1, true)
      session:run "select leat.unwatch('changing')"
      session:run "alter table changing drop room"
    end)

    it("goes when the table goes, and is told of as one that does not fire if another table takes its place", function()
      local function fires()
        return session:value [[
          select string_agg(fires::text, ',') from leat.watched where topic_template like 'changing%']]
      end
      session:run "drop table changing"
      assert.is_nil(fires())

      session:run "create table changing (id int primary key, room int, v text)"
      assert.equal("false", fires())
    end)
  end)

  it("survives a dump and its restore", function()
    session:run [[
      create table dumped (id int primary key, gone int, room int, place int, v text);
      alter table dumped drop gone]]
    watched:watch("dumped", "dumped:{room}:{id}")
    session:run "alter table dumped rename room to a"
    session:run "alter table dumped rename place to room"
    local code, dump, err = process.run(env.pg_program("pg_dump"), { args = { "-t", "dumped", "-d", db.url } })
    assert.equal(0, code, err)

    session:run "drop table dumped"
    psql.run(db.url, dump .. "\nreset all; insert into dumped values (1, 2, 3, 'a');")

    assert.same({ "insert 1:a" }, watched:log("dumped:2:1"))
    assert.equal("dumped:{a}:{id}",
      session:value [[select topic_template from leat.watched where "table" = 'dumped'::regclass]])
  end)
end)
