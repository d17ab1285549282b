-- leat_internal.problems: what is wrong with the installation; and what leat.watch mends of it.

local postgres = require "spec.support.postgres"
local psql = require "spec.support.psql"
local support = require "spec.support.watching"

describe("leat_internal.problems", function()
  local db, session, watched

  before_each(function()
    db = postgres.database [[
      create table notes (id int primary key, v text);
      create table parted (id int primary key, v text) partition by range (id);
      create table parted_1 partition of parted for values from (0) to (10);
    ]]
    session = db.session
    watched = support.of(session)
    watched:watch("notes", "notes")
    watched:watch("parted", "parted")
  end)
  after_each(function() db:drop() end)

  local function problems()
    local list = {}
    for _, row in ipairs(session:rows "select * from leat_internal.problems()") do
      list[#list + 1] = ("%s: %s: %s"):format(row.severity, row.problem, row.remedy)
    end
    return table.concat(list, "\n")
  end

  local function health(relation)
    local row = session:rows(([[select is_fresh, fires from leat.watched where "table" = '%s'::regclass]])
      :format(relation))[1]
    return row.is_fresh .. row.fires
  end

  it("are none where all is well", function()
    assert.equal("", problems())
    assert.equal("tt", health "notes")
    assert.equal("tt", health "parted")
  end)

  for what, sql in pairs {
    ["were switched off and on"] = "alter table notes disable trigger all; alter table notes enable trigger all",
    ["are switched off"] = "alter table notes disable trigger all",
    ["are for replication only"] = "do $$ declare n name; begin for n in select tgname from pg_trigger "
      .. "where tgrelid = 'notes'::regclass loop execute format('alter table notes enable replica trigger %I', n); "
      .. "end loop; end $$",
  } do
    it("tell of a watch whose triggers " .. what .. ", and leat.watch mends it", function()
      session:run(sql)

      assert.equal("ff", health "notes")
      assert.matches("error: the watch of public.notes by 'notes' does not publish every change", problems(), 1, true)
      assert.matches("select leat.watch('public.notes', 'notes')", problems(), 1, true)
      watched:watch("notes", "notes")
      assert.equal("", problems())
      assert.equal("tt", health "notes")
      psql.run(db.url, [[
        set session_replication_role = replica;
        insert into notes values (1, 'a');
        truncate notes]])
      assert.same({ "insert 1:a", "resync" }, watched:log "notes")
    end)
  end

  it("tell of a partition's triggers, whether they came with the watch or with the partition", function()
    session:run "alter table parted_1 disable trigger all"
    assert.equal("ff", health "parted")
    assert.matches("of public.parted_1 is disabled", problems(), 1, true)
    watched:watch("parted", "parted")
    assert.equal("tt", health "parted")

    session:run "create table parted_2 partition of parted for values from (10) to (20)"
    assert.equal("ft", health "parted")
    assert.matches("warning: the watch of public.parted by 'parted' is not complete", problems(), 1, true)
    watched:watch("parted", "parted")
    assert.equal("", problems())
    psql.run(db.url, [[
      set session_replication_role = replica;
      insert into parted_2 values (11, 'b');
      truncate parted_2]])
    assert.same({ "insert 11:b", "resync" }, watched:log "parted")
  end)

  it("tell of a part of a watch that is missing, or left", function()
    local name = session:value "select watch from leat.watched where topic_template = 'notes'"
    session:run("drop trigger " .. name .. "_truncate on notes; drop trigger " .. name .. "_statement on notes")

    assert.equal("ft", health "notes")
    assert.matches("warning: the watch of public.notes by 'notes' is not complete: trigger " .. name
      .. "_truncate of public.notes is missing", problems(), 1, true)
    watched:watch("notes", "notes")
    assert.equal("", problems())

    session:run("drop trigger " .. name .. " on notes")
    assert.matches("error: a part of a watch is left on public.notes: trigger " .. name .. "_truncate", problems(),
      1, true)
    watched:watch("notes", "notes")
    assert.equal("", problems())
  end)

  local function drop_triggers(relation)
    for _, row in ipairs(session:rows(("select tgname from pg_trigger where tgrelid = '%s'::regclass"
      .. " and tgname like 'leat_watch_%%'"):format(relation))) do
      session:run(("drop trigger %s on %s"):format(row.tgname, relation))
    end
  end

  for what, sql in pairs {
    ["lost all its triggers"] = "",
    ["is of a table in whose place there is another one"] = [[alter table notes rename to old_notes;
      create table notes (like old_notes including all); drop table old_notes]],
  } do
    it("tell of a watch that " .. what .. ", and leat.watch mends it", function()
      if sql == "" then drop_triggers "notes" else session:run(sql) end

      assert.equal("ff", health "notes")
      assert.matches("error: the watch of public.notes by 'notes' does not publish every change: trigger leat_watch_%x+"
        .. " of public.notes is missing: select leat.watch%('public.notes', 'notes'%)", (problems()))
      watched:watch("notes", "other:{id}")
      assert.equal("1", session:value "select count(*) from leat.watched where topic_template = 'notes' and not fires")
      watched:watch("notes", "notes")
      assert.equal("", problems())
      session:run "insert into notes values (1, 'a')"
      assert.same({ "insert 1:a" }, watched:log "notes")
    end)
  end

  it("tell no longer of a vanished watch after leat.unwatch, or without the table", function()
    drop_triggers "notes"
    session:run "select leat.unwatch('notes', 'notes')"
    assert.equal("", problems())

    watched:watch("notes", "notes")
    drop_triggers "notes"
    session:run "select leat.unwatch('notes')"
    assert.equal("", problems())

    watched:watch("notes", "notes")
    session:run "drop table notes"
    assert.equal("", problems())
  end)

  it("are not silenced by somebody who may watch, but not that table", function()
    local role = db.name .. "_watcher"
    session:run(("create role %s; select leat_internal.grant_watcher('%s'); set role %s"):format(role, role, role))
    finally(function() session:run(("reset role; drop owned by %s; drop role %s"):format(role, role)) end)
    session:run "reset role"
    drop_triggers "notes"
    session:run("set role " .. role)

    for _, sql in ipairs {
      "select leat.unwatch('notes', 'notes')", "select leat.unwatch('notes')",
      "select leat_internal.forget_watch(w.\"table\", w.watch) from leat.watched w",
    } do
      local ok, err = pcall(session.run, session, sql)
      assert.is_false(ok, sql)
      assert.matches("must be owner of table", err, 1, true)
    end
    session:run "delete from leat_internal.own_note"
    assert.equal("0", session:value "select count(*) from leat_internal.own_note")
    session:run "reset role"

    assert.matches("the watch of public.notes by 'notes' does not publish every change", problems(), 1, true)
    session:run(("grant create on schema public to %s; alter table notes owner to %s; set role %s")
      :format(role, role, role))
    session:run "select leat.unwatch('notes', 'notes')"
    session:run "reset role; alter table notes owner to current_user"
    session:run("revoke create on schema public from " .. role)
    assert.equal("", problems())
  end)

  -- Whoever may watch may call these two, for any table.
  it("believe the triggers of a watch, and not who notes or forgets it", function()
    local count = "select count(*) from leat_internal.noted_watch"
    local before = session:value(count)
    session:run "create table unwatched (id int primary key)"
    session:run "select leat_internal.note_watch('unwatched'::regclass, 'leat_watch_1', 'unwatched')"
    assert.equal(before, session:value(count))

    session:run "select leat_internal.forget_watch(w.\"table\", w.watch) from leat.watched w"
    assert.equal(before, session:value(count))
    assert.equal("", problems())
  end)

  it("tell nothing of a watched table that was renamed, and of one whose column was", function()
    session:run [[alter table notes rename to renamed; create table notes (id int primary key);
      alter table renamed rename column v to w]]
    assert.equal("", problems())
    watched:watch("renamed", "w:{w}")
    session:run "alter table renamed rename column w to x"
    watched:watch("renamed", "w:{x}")
    session:run "select leat.unwatch('renamed')"
    assert.equal("", problems())
    assert.equal("0", session:value "select count(*) from leat_internal.noted_watch where table_name = 'renamed'")
  end)

  it("tell of Leat's own triggers, and leat.watch mends them", function()
    session:run "alter table leat_internal.pending disable trigger all"
    session:run "alter table leat.topic enable trigger after_deleted"

    assert.matches("error: trigger on_commit of leat_internal.pending is disabled", problems(), 1, true)
    assert.matches("error: trigger after_deleted of leat.topic does not fire for replicated changes", problems(),
      1, true)
    watched:watch("notes", "notes")
    assert.equal("", problems())
    psql.run(db.url, "set session_replication_role = replica; select leat.publish('replicated', '1')")
    assert.equal("1", session:value "select seq from leat_internal.position('replicated')")
  end)

  it("tell of publications that were committed while nobody took them", function()
    session:run "alter table leat_internal.pending disable trigger all"
    session:publish("lost", "1")
    session:run "alter table leat_internal.pending enable always trigger on_commit"

    assert.matches("error: 1 publications were committed while trigger on_commit", problems(), 1, true)
  end)

  it("tell of a column that was renamed, and of tables that are not Leat's", function()
    session:run "create table leat.notes (id int)"
    watched:watch("notes", "by:{v}")
    session:run "alter table notes rename column v to w"

    assert.matches("warning: leat.notes stands in schema leat", problems(), 1, true)
    assert.matches("note: the watch of public.notes by 'by:{w}' is slower", problems(), 1, true)
    assert.matches("alter table leat.notes set schema public", problems(), 1, true)
    watched:watch("notes", "by:{w}")
    session:run "drop table leat.notes"
    assert.equal("", problems())
  end)

  it("tell what becomes of the tables of a role named leat", function()
    session:run "begin; create role leat; grant create on schema leat to leat"
    assert.matches("warning: tables that role leat makes without naming a schema land in schema leat", problems(),
      1, true)
    session:run "alter role leat set search_path = public"
    local after = problems()
    session:run "rollback"

    assert.equal("", after)
  end)
end)

describe("TRUNCATE by a test suite that cleans up", function()
  local db, session

  before_each(function()
    db = postgres.database()
    session = db.session
    session:publish("before", "1")
  end)
  after_each(function() db:drop() end)

  local function position() return session:rows("select epoch, seq from leat_internal.position('before')")[1] end

  for _, sql in ipairs {
    "truncate leat.topic",
    "truncate leat.event",
    "truncate leat.topic, leat.event",
    "truncate leat.event, leat.topic cascade",
    "truncate leat.event, leat_internal.pending, leat.topic, leat_internal.trimming"
      .. " restart identity cascade",
  } do
    it("resets all topics: " .. sql, function()
      local before = position()

      session:run(sql)

      assert.equal("0", position().seq)
      assert.not_equal(before.epoch, position().epoch)
      session:publish("before", "2")
      assert.equal("1", position().seq)
      assert.equal("1", session:value "select count(*) from leat.event")
    end)
  end

  for _, table in ipairs { "installation", "migration", "secret" } do
    for _, sql in ipairs { "truncate leat_internal.%s", "truncate leat.event, leat.topic, leat_internal.%s cascade",
                           "delete from leat_internal.%s" } do
      sql = sql:format(table)
      it("is refused where Leat would not work any more: " .. sql, function()
        local ok, err = pcall(session.run, session, sql)

        assert.is_false(ok)
        assert.matches("of leat_internal." .. table .. " is refused", err, 1, true)
        session:publish("before", "2")
        assert.equal("2", position().seq)
      end)
    end
  end
end)
