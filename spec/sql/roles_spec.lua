-- Who may do what in schema leat.

local env = require "spec.support.env"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"

describe("a role with USAGE on schema leat", function()
  local db, session, role

  lazy_setup(function()
    db = postgres.database()
    session = db.session
    role = db.name .. "_role"
    session:run("create role " .. role)
    session:run("grant usage on schema leat to " .. role)
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

  it("reaches nothing else", function()
    for _, sql in ipairs {
      "select * from leat.topic",
      "select * from leat.event",
      "insert into leat.event values ('a', 1, 'event', '1')",
      "update leat.topic set seq = 1",
      "select * from leat.pending",
      "insert into leat.pending values ('1', 'event', '1')",
      "delete from leat.pending_more",
      "update leat.installation set epoch = 'x'",
      "select leat.enqueue('a', 'event', '1')",
      "select leat.sequence_many('1')",
      "select leat.adopt_epoch('a')",
      "select leat.trim('0 s', 0, 1)",
      "select leat.renew_epochs()",
    } do
      local ok, err = pcall(session.run, session, sql)

      assert.is_false(ok, sql)
      assert.matches("permission denied", err, 1, true)
    end
  end)

  it("cannot have trigger functions of Leat do their work elsewhere", function()
    session:publish("kept", "1")
    session:run "create table evil.mine (name text, topic text, kind text, data jsonb)"
    for _, name in ipairs { "before_topics_deleted", "after_topics_deleted", "after_events_truncated", "on_commit",
                            "on_change", "after_statement", "on_truncate" } do
      local sql = ("create trigger t before truncate on evil.mine for each statement execute function leat.%s()")
        :format(name)

      local ok, err = pcall(session.run, session, sql)

      assert.is_false(ok, name)
      assert.matches("permission denied for function leat." .. name, err, 1, true)
    end
    -- Nor where the right was given by mistake.
    session:run("reset role; grant execute on all functions in schema leat to " .. role .. "; set role " .. role)
    for _, name in ipairs { "before_topics_deleted", "after_topics_deleted", "after_events_truncated" } do
      session:run("create or replace trigger t before truncate on evil.mine for each statement "
        .. "execute function leat." .. name .. "()")
      local ok, err = pcall(session.run, session, "truncate evil.mine")
      assert.is_false(ok, name)
      assert.matches("this trigger function belongs to leat.", err, 1, true)
    end
    session:run [[
      create constraint trigger c after insert on evil.mine deferrable initially deferred
        for each row execute function leat.on_commit()]]
    local ok, err = pcall(session.run, session, "insert into evil.mine values ('a', E'a\nb', 'event', '1')")
    session:run("reset role; revoke execute on all functions in schema leat from " .. role .. "; set role " .. role)

    assert.is_false(ok)
    assert.matches("this trigger function belongs to leat.pending", err, 1, true)
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

describe("the right to execute functions of schema leat", function()
  local db, session, roles

  lazy_setup(function()
    db = postgres.database()
    session = db.session
    roles = { db.name .. "_none", db.name .. "_publisher", db.name .. "_server" }
    for _, role in ipairs(roles) do session:run("create role " .. role) end
    session:run(("select leat.grant_publisher('%s'), leat.grant_server('%s')"):format(roles[2], roles[3]))
  end)
  lazy_teardown(function()
    for _, role in ipairs(roles) do session:run("drop owned by " .. role .. "; drop role " .. role) end
    db:drop()
  end)

  local function executable(role)
    local list = {}
    for _, row in ipairs(session:rows(([[
      select p.oid::regprocedure::text as name from pg_proc p
       where p.pronamespace = 'leat'::regnamespace and has_function_privilege('%s', p.oid, 'execute')
       order by 1]]):format(role))) do list[#list + 1] = row.name end
    return list
  end

  local everybody = {
    "leat.first_revoked(timestamp with time zone)", -- leat.position and what it is made of: with the caller's rights
    "leat.is_confirmed(timestamp with time zone,oid,oid)",
    'leat."position"(text)',
    "leat.publish(text,jsonb)",
    "leat.refuse_position(text)",
    "leat.resync(text)",
    "leat.revoke(text,text)",
    "leat.signal(text,jsonb)",
  }

  local function with(more)
    local list = { table.unpack(everybody) }
    for _, name in ipairs(more) do list[#list + 1] = name end
    table.sort(list)
    return list
  end

  local function sorted(list)
    table.sort(list)
    return list
  end

  it("of everybody is the public interface", function()
    assert.same(with {}, sorted(executable(roles[1])))
  end)

  it("of a publisher is the same", function()
    assert.same(with {}, sorted(executable(roles[2])))
  end)

  it("of the server's role is that, and what a server does", function()
    assert.same(with {
      "leat.attend(text,text,jsonb)",
      "leat.problems()",
      'leat."trim"(interval,bigint,integer)',
    }, sorted(executable(roles[3])))
  end)

  it("lets the server's role do what a server does", function()
    session:run("set role " .. roles[3])
    session:publish("served", "1")
    local seq = session:value "select seq from leat.position('served')"
    local verdict = session:value "select verdict from leat.attend(null, null, null)"
    local problems = session:value "select count(*) from leat.problems()"
    local version = session:value "select count(*) > 0 from leat.migration"
    local trimmed = session:value "select leat.trim('0 s', null, 10)"
    session:run "reset role"

    assert.same({ "1", "known", "0", "t", "1" }, { seq, verdict, problems, version, trimmed })
  end)

  it("is given by leat migrate, to a role of any name", function()
    local role = db.name .. " it's"
    local quoted = '"' .. role .. '"'
    session:run("create role " .. quoted)
    local code, out, err = process.run(env.binary(), {
      args = { "migrate", "--grant-server", role, "--grant-publisher=" .. role },
      env = { LEAT_DATABASE_URL = db.url },
    })
    local may = session:value(("select has_function_privilege(%s, 'leat.problems()', 'execute')")
      :format(session:quote(role)))
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
