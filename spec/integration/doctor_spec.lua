-- What keeps a server from serving is found by check and by serve at its start, in one sentence each.

local env = require "spec.support.env"
local files = require "spec.support.files"
local fixtures = require "spec.support.fixtures"
local pgbouncer = require "spec.support.pgbouncer"
local pg = require "spec.support.pg"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local server = require "spec.support.server"

describe("the database as a server finds it", function()
  local db, folder, app, role, role_url

  lazy_setup(function()
    db = postgres.database(fixtures.schema)
    folder = files.folder()
    app = folder .. "/app.lua"
    files.write(app, fixtures.app)
    role = "doctor_" .. db.name
    db.session:run("create role " .. role .. " login; select leat_internal.grant_server('" .. role .. "');"
      .. "grant select, insert on users, rooms, notes to " .. role)
    role_url = db.url:gsub("^(%a+://)[^@/]*@?", "%1" .. role .. "@", 1)
  end)
  lazy_teardown(function()
    db.session:run("drop owned by " .. role .. "; drop role " .. role)
    db:drop()
    files.remove(folder)
  end)

  local function leat(command, variables)
    variables.LEAT_APP, variables.LEAT_LISTEN = app, "127.0.0.1:0"
    local code, out, err = process.run(env.binary(), { args = { command }, env = variables })
    assert.is_nil(err:find("Sanitizer", 1, true), err)
    return code, out .. err
  end

  local function both_say(text, variables)
    for _, command in ipairs { "check", "serve" } do
      local code, said = leat(command, variables or { LEAT_DATABASE_URL = role_url })
      assert.equal(command == "check" and 2 or 1, code, command .. ": " .. said)
      assert.is_not_nil(said:find(text, 1, true), command .. ": " .. said)
    end
  end

  it("is locked by somebody whom check and serve name", function()
    local other = pg.connect(db.url)
    other:run "begin; set application_name = 'the culprit'; lock table leat.topic in access exclusive mode"
    local pid = other:value "select pg_backend_pid()"
    finally(function() other:close() end)

    both_say(("positions cannot be read: the database did not answer in time: it waits for a lock of backend %s (the"
      .. " culprit, of "):format(pid), { LEAT_DATABASE_URL = role_url, LEAT_CONTROL_TIMEOUT_MS = 1000 })
  end)

  it("is fine after grant_server", function()
    local code, said = leat("check", { LEAT_DATABASE_URL = role_url })

    assert.equal(0, code, said)
    for _, fact in ipairs { "database: ok (PostgreSQL ", "schema: ok (version ", "listener: ok (" } do
      assert.is_not_nil(said:find(fact, 1, true), said)
    end
    server.start({ url = role_url, app = app }):stop()
  end)

  it("cannot be published to where transactions are read-only, say, which check finds and serve warns of", function()
    db.session:run("alter role " .. role .. " set default_transaction_read_only = on")
    finally(function() db.session:run("alter role " .. role .. " reset default_transaction_read_only") end)
    local problem = "publishing fails: cannot execute INSERT in a read-only transaction"

    local code, said = leat("check", { LEAT_DATABASE_URL = role_url })
    local s = server.start { url = role_url, app = app, log = { "publishing fails", "read-only", "history" } }
    s:await_log("publishing fails")
    s:stop()

    assert.equal(2, code, said)
    assert.is_not_nil(said:find("error: " .. problem, 1, true), said)
  end)

  it("is left as it was by check", function()
    local function state()
      return db.session:value("select md5(string_agg(x, ' ')) from (select i::text from leat_internal.installation i"
        .. " union all select t::text from leat.topic t union all select e::text from leat.event e) y (x)")
    end
    local before = state()

    leat("check", { LEAT_DATABASE_URL = role_url })

    assert.equal(before, state())
  end)

  local faults = {
    { "revoke usage on schema leat from %s", "grant usage on schema leat to %s", "no right to use schema leat" },
    { "revoke usage on schema leat_internal from %s", "grant usage on schema leat_internal to %s",
      "no right to use schema leat_internal" },
    { "revoke select on leat.event from %s", "grant select on leat.event to %s", "may not read leat.event" },
    { "revoke select on leat_internal.migration from %s", "grant select on leat_internal.migration to %s",
      "may not read leat_internal.migration" },
    { "revoke execute on function leat_internal.attend(text, text, jsonb) from %s",
      "grant execute on function leat_internal.attend(text, text, jsonb) to %s",
      "may not execute leat_internal.attend" },
  }
  for _, name in ipairs { "leat.topic", "leat.event", "leat_internal.installation", "leat_internal.migration" } do
    faults[#faults + 1] = { "alter table " .. name .. " enable row level security",
      "alter table " .. name .. " disable row level security", "row security may hide rows of " .. name }
  end
  for _, fault in ipairs(faults) do
    it("is refused because: " .. fault[3], function()
      db.session:run((fault[1]:format(role)))
      local ok, err = pcall(both_say, fault[3])
      db.session:run((fault[2]:format(role)))
      if not ok then error(err, 0) end
    end)
  end

  it("is served, with a warning, where only trimming is not allowed; check fails", function()
    db.session:run("revoke execute on function leat_internal.trim(interval, bigint, integer) from " .. role)

    local code, said = leat("check", { LEAT_DATABASE_URL = role_url })
    local s = server.start { url = role_url, app = app, log = { "may not execute leat_internal.trim", "trimming" } }

    assert.equal(2, code)
    assert.matches("may not execute leat_internal.trim: leat migrate --grant-server " .. role, said, 1, true)
    s:await_log("may not execute leat_internal.trim")
    s:stop()
    db.session:run("grant execute on function leat_internal.trim(interval, bigint, integer) to " .. role)
  end)

  it("tells of watches that do not fire", function()
    db.session:run "select leat.watch('notes', 'room:{room_id}'); alter table notes disable trigger all"

    local code, said = leat("check", { LEAT_DATABASE_URL = role_url })
    local s = server.start { url = role_url, app = app, log = { "notes" } }

    assert.equal(2, code)
    assert.matches("error: [^\n]*notes", said)
    s:await_log("WARN database [^\n]*notes")
    s:stop()
    db.session:run "select leat.unwatch('notes')"
  end)

  it("must be the one that listen_url leads to", function()
    both_say("a notification does not arrive", {
      LEAT_DATABASE_URL = role_url, LEAT_LISTEN_URL = db.admin_url, LEAT_CONTROL_TIMEOUT_MS = 2000 })
  end)

  it("must be that one for a server with await_database, too, because waiting does not mend it", function()
    both_say("a notification does not arrive", { LEAT_DATABASE_URL = role_url, LEAT_LISTEN_URL = db.admin_url,
      LEAT_CONTROL_TIMEOUT_MS = 500, LEAT_AWAIT_DATABASE = "true" })
  end)

  describe("through PgBouncer", function()
    if not pgbouncer.program() then
      pending("is not installed")
      return
    end
    local bouncer
    after_each(function() bouncer:stop() end)

    it("is fine in session mode", function()
      bouncer = pgbouncer.start(role_url, "session")

      local code, said = leat("check", { LEAT_DATABASE_URL = bouncer.url })

      assert.equal(0, code, said)
    end)

    it("cannot be listened to in transaction mode", function()
      bouncer = pgbouncer.start(role_url, "transaction")

      both_say("listen_url leads through a pooler in transaction mode",
        { LEAT_DATABASE_URL = bouncer.url, LEAT_MAX_STATEMENTS = 0 })
    end)

    it("cannot be asked with prepared statements in transaction mode", function()
      bouncer = pgbouncer.start(role_url, "transaction")

      both_say("set max_statements = 0", { LEAT_DATABASE_URL = bouncer.url, LEAT_LISTEN_URL = role_url })
    end)

    it("in transaction mode must have the formats by itself", function()
      local session = pg.connect(db.url)
      session:run("alter role " .. role .. " set bytea_output = 'escape'")
      bouncer = pgbouncer.start(role_url, "transaction")

      local code, said = leat("check",
        { LEAT_DATABASE_URL = bouncer.url, LEAT_LISTEN_URL = role_url, LEAT_MAX_STATEMENTS = 0 })
      session:run("alter role " .. role .. " reset bytea_output")
      session:close()

      assert.equal(0, code, said)
      assert.matches("warning: bytea_output is escape", said, 1, true)
    end)
  end)
end)
