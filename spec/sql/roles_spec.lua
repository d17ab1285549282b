-- The rights of each kind of role on schemas leat and leat_internal.

local env = require "spec.support.env"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"

describe("a publisher", function()
  local db, session, role

  lazy_setup(function()
    db = postgres.database()
    session = db.session
    role = db.name .. "_role"
    session:run("create role " .. role)
    session:run("select leat_internal.grant_publisher('" .. role .. "')")
    session:run("create schema evil authorization " .. role)
    session:run("set role " .. role)
  end)
  lazy_teardown(function()
    session:run "reset role"
    session:run("drop owned by " .. role)
    session:run("drop role " .. role)
    db:drop()
  end)
  after_each(function()
    session:run "reset all"
    session:run("set role " .. role)
  end)

  local function as_owner(sql)
    session:run "reset role"
    local value = session:value(sql)
    session:run("set role " .. role)
    return value
  end

  it("publishes, revokes, signals and asks for a resync", function()
    session:publish("mine", "1")
    session:run "select leat.publish('mine', '2'), leat.revoke('mine', '7'), leat.publish('yours', '3')"
    session:run "select leat.signal('mine', '4'), leat.resync('mine')"

    assert.equal("4", as_owner "select seq from leat.topic where name = 'mine'")
    assert.equal("1", as_owner "select seq from leat.topic where name = 'yours'")
  end)

  local forbidden = {
    "select * from leat.topic",
    "select * from leat.event",
    "select * from leat.watched",
    "insert into leat.event values ('a', 1, 'event', '1')",
    "update leat.topic set seq = 1",
    "select * from leat_internal.pending",
    "insert into leat_internal.pending values ('1', 1, 'a', 'event', '1')",
    "select nextval('leat_internal.publication')",
    "select * from leat.allowed",
    "delete from leat_internal.rule",
    "select leat.allow('postgres', 'a')",
    "select leat.disallow('postgres')",
    "select leat_internal.check_allowed('a')",
    "delete from leat_internal.pending",
    "select * from leat_internal.secret",
    "update leat_internal.installation set epoch = 'x'",
    "select leat_internal.enqueue('a', 'event', '1')",
    "select leat_internal.sequence_many('1')",
    "select leat_internal.adopt_epoch('a')",
    "select leat_internal.trim('0 s', 0, 1)",
    "select * from leat_internal.position('a')",
    "select leat_internal.grant_server('public')",
    "select leat.renew_epochs()",
    "select leat.watch('pg_class', 'a')",
  }

  local function assert_forbidden(statements)
    for _, sql in ipairs(statements) do
      local ok, err = pcall(session.run, session, sql)

      assert.is_false(ok, sql)
      assert.matches("permission denied", err, 1, true)
    end
  end

  it("reaches nothing else", function()
    assert_forbidden(forbidden)
  end)

  it("reaches nothing else with USAGE on schema leat_internal, either", function()
    session:run("reset role; grant usage on schema leat_internal to " .. role .. "; set role " .. role)
    local ok, err = pcall(assert_forbidden, forbidden)
    session:run("reset role; revoke usage on schema leat_internal from " .. role .. "; set role " .. role)

    assert.is_true(ok, err)
  end)

  it("cannot have trigger functions of Leat do their work elsewhere", function()
    session:publish("kept", "1")
    session:run "create table evil.mine (name text, topic text, kind text, data jsonb)"
    session:run("reset role; grant usage on schema leat_internal to " .. role .. "; set role " .. role)
    for _, name in ipairs { "before_topics_deleted", "after_topics_deleted", "after_events_truncated", "on_commit",
                            "on_change", "after_statement", "on_truncate" } do
      local sql = ("create trigger t before truncate on evil.mine for each statement"
        .. " execute function leat_internal.%s()"):format(name)

      local ok, err = pcall(session.run, session, sql)

      assert.is_false(ok, name)
      assert.matches("permission denied for function leat_internal." .. name, err, 1, true)
    end
    -- Nor where the right was given by mistake.
    session:run("reset role; grant execute on all functions in schema leat_internal to " .. role
      .. "; set role " .. role)
    for _, name in ipairs { "before_topics_deleted", "after_topics_deleted", "after_events_truncated" } do
      session:run("create or replace trigger t before truncate on evil.mine for each statement "
        .. "execute function leat_internal." .. name .. "()")
      local ok, err = pcall(session.run, session, "truncate evil.mine")
      assert.is_false(ok, name)
      assert.matches("this trigger function belongs to leat.", err, 1, true)
    end
    session:run [[
      create constraint trigger c after insert on evil.mine deferrable initially deferred
        for each row execute function leat_internal.on_commit()]]
    local ok, err = pcall(session.run, session, "insert into evil.mine values ('a', E'a\nb', 'event', '1')")
    session:run("reset role; revoke execute on all functions in schema leat_internal from " .. role
      .. "; revoke usage on schema leat_internal from " .. role .. "; set role " .. role)

    assert.is_false(ok)
    assert.matches("this trigger function belongs to leat_internal.pending", err, 1, true)
    assert.equal("1", as_owner "select count(*) from leat.event where topic = 'kept'")
  end)

  it("cannot make the owner run what its search_path finds first", function()
    session:run [[
      create table evil.seen (who text);
      create function evil.spy(text) returns boolean language plpgsql as $$
      begin
        insert into evil.seen values (current_user);
        return true;
      end $$;
      create domain evil.text as pg_catalog.text check (evil.spy(value));
      create function evil.equal(pg_catalog.text, pg_catalog.text) returns boolean language sql
        return evil.spy($1) and $1 operator(pg_catalog.=) $2;
      create operator evil.= (leftarg = pg_catalog.text, rightarg = pg_catalog.text, function = evil.equal);
      create function evil.plus(bigint, integer) returns bigint language sql
        return case when evil.spy('+') then $1 operator(pg_catalog.+) $2 end;
      create operator evil.+ (leftarg = bigint, rightarg = integer, function = evil.plus);
      create function evil.pg_notify(pg_catalog.text, pg_catalog.text) returns boolean language sql
        return evil.spy($1);
      create function evil.set_config(pg_catalog.text, pg_catalog.text, boolean) returns pg_catalog.text
        language sql return case when evil.spy($1) then $2 end;
    ]]
    session:run "set search_path = evil, pg_catalog, public"
    session:run [[select leat.publish('hijack', '1')]]
    session:run [[select leat.publish('hijack', '2'), leat.publish('hijack', '3'), leat.revoke('hijack')]]
    session:run "select leat.publish('hijack', to_jsonb(repeat('x', 10000)))"
    pcall(session.run, session, "select leat.publish('', '1')")
    session:run "set search_path = public"

    assert.equal("5", as_owner "select seq from leat.topic where name = 'hijack'")
    assert.equal("0", as_owner("select count(*) from evil.seen where who <> '" .. role .. "'"))
  end)
end)

describe("a privilege on schemas leat and leat_internal", function()
  local db, session, roles

  lazy_setup(function()
    db = postgres.database()
    session = db.session
    roles = { publisher = db.name .. "_publisher", server = db.name .. "_server", watcher = db.name .. "_watcher" }
    for kind, role in pairs(roles) do
      session:run(("create role %s; select leat_internal.grant_%s('%s')"):format(role, kind, role))
    end
  end)
  lazy_teardown(function()
    for _, role in pairs(roles) do session:run("drop owned by " .. role .. "; drop role " .. role) end
    db:drop()
  end)

  --- All privileges that were granted to one role, or to PUBLIC, as "usage on leat".
  local function granted_to(role)
    local list = {}
    for _, row in ipairs(session:rows(([[
      with ours as (select oid, nspname, nspacl, nspowner from pg_namespace where nspname in ('leat', 'leat_internal')),
      acl (object, item) as (
        select nspname::text, coalesce(nspacl, acldefault('n', nspowner)) from ours
        union all
        select format('%%s.%%s', o.nspname, c.relname),
               coalesce(c.relacl, acldefault((case c.relkind when 'S' then 's' else 'r' end)::"char", c.relowner))
          from ours o join pg_class c on c.relnamespace = o.oid and c.relkind in ('r', 'v', 'm', 'S', 'f', 'p')
        union all
        select format('%%s.%%s(%%s)', o.nspname, c.relname, a.attname), a.attacl
          from ours o join pg_class c on c.relnamespace = o.oid join pg_attribute a on a.attrelid = c.oid
         where a.attacl is not null
        union all
        select format('%%s.%%s(%%s)', o.nspname, p.proname,
                      (select string_agg(format_type(t.type, null), ',' order by t.at)
                         from unnest(p.proargtypes) with ordinality t (type, at))),
               coalesce(p.proacl, acldefault('f', p.proowner))
          from ours o join pg_proc p on p.pronamespace = o.oid)
      select lower(x.privilege_type) || ' on ' || acl.object as privilege
        from acl cross join lateral aclexplode(acl.item) x
       where x.grantee = %s]]):format(role and "'" .. role .. "'::regrole" or "0"))) do
      list[#list + 1] = row.privilege
    end
    table.sort(list)
    return list
  end

  local function sorted(list)
    table.sort(list)
    return list
  end

  it("is given to nobody by default", function()
    assert.same({}, granted_to(nil))
  end)

  local publisher = {
    "execute on leat.last_position(text)",
    "execute on leat.publish(text,jsonb)",
    "execute on leat.resync(text)",
    "execute on leat.revoke(text,text)",
    "execute on leat.signal(text,jsonb,text)",
    "usage on leat",
  }

  it("of a publisher is to publish, and to reach that", function()
    assert.same(publisher, granted_to(roles.publisher))
  end)

  it("without one, a role with USAGE on schema leat cannot publish", function()
    local role = db.name .. "_nobody"
    session:run(("create role %s; grant usage on schema leat to %s; set role %s"):format(role, role, role))
    for _, call in ipairs { "publish('a', '1')", "revoke('a')", "resync('a')", "signal('a', '1')" } do
      local ok, err = pcall(session.run, session, "select leat." .. call)

      assert.is_false(ok, call)
      assert.matches("permission denied for function", err, 1, true)
    end
    session:run("reset role; drop owned by " .. role .. "; drop role " .. role)
  end)

  it("of the server's role is a publisher's, and what a server does", function()
    local list = {
      "execute on leat_internal.attend(text,text,jsonb)",
      "execute on leat_internal.first_revoked(timestamp with time zone)",
      "execute on leat_internal.is_confirmed(timestamp with time zone,oid,oid)",
      "execute on leat_internal.position(text)",
      "execute on leat_internal.problems()",
      "execute on leat_internal.refuse_position(text)",
      "execute on leat_internal.trim(interval,bigint,integer)",
      "execute on leat_internal.vanished_watches()",
      "select on leat.event",
      "select on leat.topic",
      "select on leat_internal.installation",
      "select on leat_internal.migration",
      "select on leat_internal.trimming",
      "usage on leat_internal",
    }
    table.move(publisher, 1, #publisher, #list + 1, list)

    assert.same(sorted(list), granted_to(roles.server))
  end)

  it("of a watcher is what leat.watch calls with the caller's rights", function()
    local list = {
      "execute on leat.unwatch(regclass,text)",
      "execute on leat.watch(regclass,text)",
      "delete on leat_internal.own_note",
      "select on leat.watched",
      "select on leat_internal.own_note",
      "usage on leat",
      "usage on leat_internal",
    }
    for _, name in ipairs {
      "after_statement()", "check_partitions(regclass,name)", "check_relation(regclass)",
      "check_template(regclass,text)", "drop_watch(regclass,name)", "enable_triggers()", "first_argument(bytea)",
      "forget_watch(oid,name)", "note_watch(oid,name,text)",
      "is_topic(text)", "may_be_in_topic(oid)", "on_change()", "on_truncate()", "parse_template(text)",
      "put_row_trigger(oid,text,text[])", "put_truncate_trigger(oid,text,text[])", "put_watch(regclass,text,text[])",
      "refuse_relation(regclass,text,text)", "refuse_template(text,text)", "rename_columns(text[],text[])",
      "render_template(text[])", "second_argument(bytea)", "storage(oid)", "template_columns(text[])",
      "watch_name(text)", "watch_triggers(oid,name)", "watched_columns(oid,name)", "watched_parts(oid,name,text)",
      "watched_relation(oid,name)",
    } do list[#list + 1] = "execute on leat_internal." .. name end

    assert.same(sorted(list), granted_to(roles.watcher))
  end)

  it("is on ten functions, two tables and two views in schema leat", function()
    local names = "allow disallow last_position publish renew_epochs resync revoke signal unwatch watch"
    assert.equal(names, session:value [[
      select string_agg(p.proname, ' ' order by p.proname) from pg_proc p where p.pronamespace = 'leat'::regnamespace]])
    assert.equal("allowed event topic watched", session:value [[
      select string_agg(c.relname, ' ' order by c.relname) from pg_class c
       where c.relnamespace = 'leat'::regnamespace and c.relkind <> 'i']])
  end)

  it("is enough for the server's role to do what a server does", function()
    session:run("set role " .. roles.server)
    session:publish("served", "1")
    local seq = session:value "select seq from leat_internal.position('served')"
    local verdict = session:value "select verdict from leat_internal.attend(null, null, null)"
    local problems = session:value "select count(*) from leat_internal.problems()"
    local version = session:value "select count(*) > 0 from leat_internal.migration"
    local trimmed = session:value "select leat_internal.trim('0 s', null, 10)"
    session:run "reset role"

    assert.same({ "1", "known", "0", "t", "1" }, { seq, verdict, problems, version, trimmed })
  end)

  it("is given by leat migrate, to a role of any name", function()
    local role = db.name .. " it's"
    local quoted = '"' .. role .. '"'
    session:run("create role " .. quoted)
    local code, out, err = process.run(env.binary(), {
      args = { "migrate", "--grant-server", role, "--grant-publisher=" .. role, "--grant-watcher", role },
      env = { LEAT_DATABASE_URL = db.url },
    })
    local may = session:value(("select has_function_privilege(%s, 'leat_internal.problems()', 'execute')"
      .. " and has_function_privilege(%s, 'leat.watch(regclass, text)', 'execute')")
      :format(session:quote(role), session:quote(role)))
    session:run("drop owned by " .. quoted .. "; drop role " .. quoted)

    assert.equal(0, code, err)
    assert.matches("grant_server: " .. role, out, 1, true)
    assert.equal("t", may)
    local failed, _, why = process.run(env.binary(), {
      args = { "migrate", "--grant-server", "nobody at all" }, env = { LEAT_DATABASE_URL = db.url } })
    assert.equal(1, failed)
    assert.matches("nobody at all", why, 1, true)
  end)
end)
