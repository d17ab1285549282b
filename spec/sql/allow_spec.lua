-- leat.allow: which topics a role may publish to.

local pg = require "spec.support.pg"
local postgres = require "spec.support.postgres"

describe("leat.allow", function()
  local db, session, roles

  lazy_setup(function()
    db = postgres.database "create table notes (id int primary key, room text)"
    session = db.session
    roles = { service = db.name .. "_service", other = db.name .. "_other", group = db.name .. "_group" }
    for _, role in pairs(roles) do
      session:run(("create role %s; select leat_internal.grant_publisher('%s')"):format(role, role))
    end
    session:run("grant insert on notes to " .. roles.service)
  end)
  lazy_teardown(function()
    for _, role in pairs(roles) do session:run("drop owned by " .. role .. "; drop role " .. role) end
    db:drop()
  end)
  before_each(function() session:run("set role " .. roles.service) end)
  after_each(function()
    session:run "reset all; reset role; delete from leat_internal.rule; select leat_internal.apply_rules()"
  end)

  local function as_owner(sql)
    local before = session:value "select current_setting('role')"
    session:run("reset role; " .. sql .. "; set role " .. before)
  end

  local function allow(role, pattern)
    as_owner(("select leat.allow('%s', %s)"):format(role, session:quote(pattern)))
  end

  --- Returns the words of those topics that the session's role may publish to.
  local function allowed(topics)
    local list = {}
    for _, topic in ipairs(topics) do
      local ok, err = pcall(session.run, session, ("select leat.publish(%s, '1')"):format(session:quote(topic)))
      if ok then
        list[#list + 1] = topic
      else
        assert.matches("may not publish to topic", err, 1, true)
      end
    end
    return list
  end

  it("limits nobody while it was not called", function()
    assert.same({ "a", "b:1" }, allowed { "a", "b:1" })
  end)

  it("limits a role to its patterns, and no other role", function()
    allow(roles.service, "chat:{id:int}")
    allow(roles.service, "lobby")

    assert.same({ "chat:1", "chat:-7", "lobby" },
      allowed { "chat:1", "chat:-7", "chat:01", "chat:x", "chat:1x", "xchat:1", "lobby", "lobby2", "other" })
    session:run("reset role; set role " .. roles.other)
    assert.same({ "chat:x", "other" }, allowed { "chat:x", "other" })
  end)

  it("reads patterns as app:topic does", function()
    local uuid = "0b8f6a4e-0d5c-4f0e-9d3a-2f6f3a1f9c11"
    for pattern, topics in pairs {
      ["a.b*[x]"] = { { "a.b*[x]" }, { "aXb*[x]", "a.bx" } },
      ["{kind}:{id:uuid}"] = { { "x:" .. uuid }, { "x:y:" .. uuid, ":" .. uuid, "x:" .. uuid:upper() } },
      ["{a}-{b:int}"] = { { "p-5" }, { "p-q-5", "p:q-5" } },
      ["file:{path}.txt"] = { { "file:a:b/c.txt" }, { "file:.txt", "file:a.txt2" } },
      ["é\\{x}$"] = { { "é\\1$" }, { "e\\1$", "é\\$" } },
    } do
      allow(roles.service, pattern)
      local all = {}
      for _, list in ipairs(topics) do for _, topic in ipairs(list) do all[#all + 1] = topic end end

      assert.same(topics[1], allowed(all), pattern)
      as_owner(("select leat.disallow('%s', %s)"):format(roles.service, session:quote(pattern)))
    end
  end)

  it("refuses what is no pattern", function()
    for _, pattern in ipairs { "", "chat:{", "chat:}", "{}", "{1}", "{a:float}", "{a}{b}", "{a}:{a}", "a\nb",
                               ("x"):rep(1025) } do
      local ok, err = pcall(allow, roles.service, pattern)
      session:run("reset role; set role " .. roles.service)

      assert.is_false(ok, pattern)
      assert.matches("malformed topic pattern", err, 1, true)
    end
  end)

  it("is for all that a role can say to a topic", function()
    allow(roles.service, "mine")

    for _, call in ipairs { "publish('%s', '1')", "revoke('%s')", "revoke('%s', 'me')", "resync('%s')",
                            "signal('%s', '1')" } do
      session:run("select leat." .. call:format("mine"))
      local ok, err = pcall(session.run, session, "select leat." .. call:format("yours"))

      assert.is_false(ok, call)
      assert.matches("may not publish to topic \"yours\"", err, 1, true)
    end
  end)

  it("is not for a watch: who may write to the table makes its events", function()
    as_owner "select leat.watch('notes', 'room:{room}')"
    allow(roles.service, "mine")
    session:run "insert into notes values (1, 'x')"
    session:run "reset role"

    assert.equal("1", session:value "select count(*) from leat.event where topic = 'room:x'")
    session:run "truncate notes"
    assert.equal("event resync", session:value [[
      select string_agg(kind, ' ' order by seq) from leat.event where topic = 'room:x']])
  end)

  it("of a group is for its members, with what they are allowed themselves", function()
    as_owner(("grant %s to %s"):format(roles.group, roles.service))
    allow(roles.group, "group:{x}")
    local first = allowed { "group:1", "mine", "other" }
    allow(roles.service, "mine")
    local second = allowed { "group:1", "mine", "other" }
    as_owner(("revoke %s from %s"):format(roles.group, roles.service))
    local third = allowed { "group:1", "mine", "other" }

    assert.same({ "group:1" }, first)
    assert.same({ "group:1", "mine" }, second)
    assert.same({ "mine" }, third)
  end)

  it("is for the session's role, whatever function is between", function()
    as_owner(([[
      create function tell(topic text) returns void language sql security definer as
        $$ select leat.publish(topic, '1') $$;
      alter function tell owner to %s]]):format(roles.other))
    allow(roles.service, "mine")
    local ok, err = pcall(session.run, session, "select tell('yours')")

    assert.is_false(ok)
    assert.matches("role " .. roles.service .. " may not publish", err, 1, true)
    as_owner "drop function tell"
  end)

  it("cannot be escaped by settings, and does not limit the owner and superusers", function()
    allow(roles.service, "mine")
    for _, sql in ipairs { "set leat.role = 'x'", "set search_path = pg_temp, public", "reset all" } do
      session:run(sql)
      assert.same({}, allowed { "yours" }, sql)
    end
    session:run "reset role"
    assert.same({ "yours" }, allowed { "yours" })
  end)

  it("reaches sessions that have published before, at their next statement, and is taken back so", function()
    session:run "reset role"
    local other = pg.connect(db.url)
    other:run("set role " .. roles.service)
    for _ = 1, 7 do other:publish("yours", "1") end
    allow(roles.service, "mine")
    local limited = pcall(other.publish, other, "yours", "2")
    session:run(("select leat.disallow('%s')"):format(roles.service))
    other:publish("yours", "3")
    other:close()

    assert.is_false(limited)
    assert.equal("t", session:value "select not leat_internal.has_rules()")
  end)

  for _, level in ipairs { "repeatable read", "serializable" } do
    it("holds in a transaction in " .. level:upper() .. " that began before it was called", function()
      local function publishes(change)
        local other = pg.connect(db.url)
        other:run("set role " .. roles.service)
        other:run(("begin isolation level %s; select 1"):format(level))
        session:run("reset role; " .. change)
        local ok, err = pcall(other.publish, other, "yours", "1")
        other:run "rollback"
        local again = pcall(other.publish, other, "yours", "1")
        other:close()
        return { ok or err:match "could not serialize access" or err, again }
      end
      local service = "'" .. roles.service .. "'"

      assert.same({ "could not serialize access", false }, publishes(("select leat.allow(%s, 'mine')"):format(service)))
      assert.same({ "could not serialize access", true }, publishes(("select leat.allow(%s, 'yours')"):format(service)))
      assert.same({ "could not serialize access", false },
        publishes(("select leat.disallow(%s, 'yours')"):format(service)))
      assert.same({ true, true }, publishes(("select leat.disallow(%s, 'mine')"):format(service)))
    end)
  end

  it("lets a transaction in REPEATABLE READ that sees the rules publish by them", function()
    allow(roles.service, "mine")
    session:run "begin isolation level repeatable read; select leat.publish('mine', '1')"
    local ok, err = pcall(session.run, session, "select leat.publish('yours', '1')")
    session:run "rollback"

    assert.is_false(ok)
    assert.matches("may not publish to topic \"yours\"", err, 1, true)
  end)

  it("follows a role that is renamed while a session has it by SET ROLE", function()
    local one, other = db.name .. "_one", db.name .. "_two"
    session:run("reset role; create role " .. one .. " login; select leat_internal.grant_publisher('" .. one .. "')")
    allow(one, "mine")
    local theirs = pg.connect(db.url)
    theirs:run("set session authorization " .. one)
    theirs:run("set role " .. one)
    session:run(("reset role; alter role %s rename to %s; create role %s"):format(one, other, one))
    local ok, err = pcall(theirs.publish, theirs, "yours", "1")
    theirs:run("set role " .. other)
    theirs:publish("mine", "1")
    theirs:close()
    session:run(("drop role %s; drop owned by %s; drop role %s"):format(one, other, other))

    assert.is_false(ok)
    assert.matches("that is another one since SET ROLE", err, 1, true)
  end)

  it("goes with its transaction", function()
    session:run "reset role; begin"
    allow(roles.service, "mine")
    session:run "rollback"
    session:run("set role " .. roles.service)

    assert.same({ "yours" }, allowed { "yours" })
  end)

  it("called twice is as called once; leat.allowed lists what is allowed", function()
    allow(roles.service, "b")
    allow(roles.service, "b")
    allow(roles.service, "a:{x}")
    session:run "reset role"

    assert.equal("a:{x} b", session:value(([[
      select string_agg(topic_pattern, ' ' order by topic_pattern) from leat.allowed where role = '%s'::regrole]])
      :format(roles.service)))
  end)

  it("takes a role and a topic of any name", function()
    local name = ([[%s "it's" %%I \ é ]]):format(db.name) .. ("x"):rep(63)
    local quoted = '"' .. name:gsub('"', '""') .. '"'
    session:run "reset role"
    session:run("create role " .. quoted)
    session:run(("select leat_internal.grant_publisher(%s)"):format(session:quote(name)))
    local pattern = [[it's "%s" \1 $$ é {x}]]
    session:run(("select leat.allow(%s, %s)"):format(session:quote(quoted), session:quote(pattern)))
    session:run("set role " .. quoted)
    local list = allowed { [[it's "%s" \1 $$ é 'y']], "yours" }
    session:run "reset role"
    session:run("select leat.disallow(" .. session:quote(quoted) .. ")")
    session:run("drop owned by " .. quoted .. "; drop role " .. quoted)

    assert.same({ [[it's "%s" \1 $$ é 'y']] }, list)
  end)
end)
