-- Who may do what in schema leat.

local postgres = require "spec.support.postgres"

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
      "insert into leat.pending values ('a', 'event', '1')",
      "delete from leat.pending_more",
      "update leat.installation set epoch = 'x'",
      "select leat.enqueue('a', 'event', '1')",
      "select leat.sequence_many('(0,1)')",
      "select leat.adopt_epoch('a')",
      "select leat.trim('0 s', 0, 1)",
      "select leat.renew_epochs()",
    } do
      local ok, err = pcall(session.run, session, sql)

      assert.is_false(ok, sql)
      assert.matches("permission denied", err, 1, true)
    end
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
