-- leat check: what would fail after the start is found before it. The database as such: doctor_spec.

local cjson = require "cjson"
local env = require "spec.support.env"
local files = require "spec.support.files"
local fixtures = require "spec.support.fixtures"
local pg = require "spec.support.pg"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"

describe("leat check", function()
  local db, folder

  lazy_setup(function()
    db = postgres.database(fixtures.schema)
    folder = files.folder()
    files.write(folder .. "/rooms.lua", 'return { of = function(db) return db:rows("select nothing from rooms") end }')
  end)
  lazy_teardown(function()
    db:drop()
    files.remove(folder)
  end)

  -- Checks an app of that text, behind its first line.
  local function check(text, options)
    options = options or {}
    local app = folder .. "/app.lua"
    files.write(app, 'local leat, app = require "leat", require "leat".app()\n' .. text .. "\nreturn app")
    local args = { "check", "--app", app, options.json and "--json" }
    local variables = { LEAT_DATABASE_URL = db.url }
    for name, value in pairs(options.variables or {}) do variables[name] = value end
    local code, out, err = process.run("sh", { args = { "-c", (options.limit or "") .. 'exec "$0" "$@"', env.binary(),
      table.unpack(args) }, env = variables })
    assert.is_nil(err:find("Sanitizer", 1, true), err)
    return code, out
  end

  local function found(text, out)
    assert.is_not_nil(out:find(text, 1, true), out)
  end

  local SUBSCRIBE = "{ subscribe = function(ctx, args) %s return { snapshot = function() return {} end } end }"

  it("finds nothing in the example's tables and statements", function()
    local code, out = check("app:topic('room:{id:int}', " .. SUBSCRIBE:format(
      [[local T = "select * from rooms" ctx.db:one(T .. " where id = $1", args.id)]]) .. ")")

    assert.equal(0, code, out)
    found("statements: ok (1 prepared)", out)
    assert.is_nil(out:find("warning:", 1, true), out)
  end)

  it("finds statements that Postgres refuses, with file and line", function()
    local code, out = check("app:topic('room:{id:int}', " .. SUBSCRIBE:format(
      "\nctx.db:one('select * from roms')\nctx.db:one('select titel from rooms')\nctx.db:exec('selct')"
      .. "\nctx.db:batch { { 'select 1' },\n{ 'select name from rooms', 1 } }") .. ")")

    assert.equal(2, code)
    found('app.lua:3: Postgres refuses this statement: relation "roms" does not exist', out)
    found('app.lua:4: Postgres refuses this statement: column "titel" does not exist', out)
    found('app.lua:5: Postgres refuses this statement: syntax error at or near "selct"', out)
    found('app.lua:7: Postgres refuses this statement: column "name" does not exist', out)
  end)

  it("finds statements that the server's role has no right for", function()
    local role = db.name .. "_plain"
    db.session:run(("create role %s login; select leat_internal.grant_server('%s'); create function secret(int)"
      .. " returns int language sql as 'select $1'; revoke execute on function secret(int) from public;"
      .. " grant select (id) on rooms to %s"):format(role, role, role))
    finally(function()
      db.session:run(("drop function secret(int); drop owned by %s; drop role %s"):format(role, role))
    end)
    local app = [[
      app:method("id", function(ctx, args) return ctx.db:one("select id from rooms where id = $1", args.id) end)
      app:method("all", function(ctx, args) return ctx.db:one("select * from rooms where id = $1", args.id) end)
      app:method("add", function(ctx) ctx.db:exec("insert into rooms default values") end)
      app:method("secret", function(ctx, args) return ctx.db:one("select secret($1)", args.id) end)
      app:method("time", function(ctx, args) return ctx.db:one("show timezone") end)
    ]]
    local url = db.url .. (db.url:find("?", 1, true) and "&" or "?") .. "user=" .. role

    local code, out = check(app, { variables = { LEAT_DATABASE_URL = url } })
    local with_roles = check(app .. [[app:method("as", function(ctx) ctx.db:exec("set local role web") end)]],
      { variables = { LEAT_DATABASE_URL = url } })

    assert.equal(2, code)
    local lacks = ": the server's role lacks a right for this statement: permission denied for "
    for line, what in pairs { [3] = "table rooms", [4] = "table rooms", [5] = "function secret" } do
      found("error: " .. folder .. "/app.lua:" .. line .. lacks .. what, out)
    end
    assert.equal(3, select(2, out:gsub("lacks a right", "")))
    assert.equal(0, with_roles)
  end)

  it("says so if the database does not answer about a statement", function()
    local other = pg.connect(db.url)
    finally(function() other:close() end)
    other:run "begin; lock table rooms in access exclusive mode"

    local code, out = check([[
      app:method("all", function(ctx) return ctx.db:rows("select * from rooms") end)
      app:method("bad", function(ctx) return ctx.db:rows("select * from roms") end)
    ]], { variables = { LEAT_CONTROL_TIMEOUT_MS = "300" } })

    assert.equal(2, code, out)
    found("app.lua:2: this statement was not examined, nor any after it: the database did not answer in time", out)
  end)

  it("reads the modules of the app, too", function()
    local code, out = check "require 'rooms'"

    assert.equal(2, code)
    found('rooms.lua:1: Postgres refuses this statement: column "nothing" does not exist', out)
  end)

  it("takes no folder for modules that would lead elsewhere", function()
    for _, name in ipairs { "/a;b", "/a?b" } do
      local code, out = check("", { variables = { LEAT_REQUIRE_FOLDERS = folder .. name } })

      assert.not_equal(0, code)
      found("a folder where require looks cannot have ';' or '?' in its name", out)
    end
  end)

  it("warns of SQL that is put together from variables", function()
    local code, out = check("app:topic('room:{id:int}', " .. SUBSCRIBE:format(
      [[ctx.db:one("select * from rooms where title = '" .. args.id .. "'")]]) .. ")")

    assert.equal(0, code)
    found("warning: " .. folder .. "/app.lua:2: SQL is put together from variables: pass values as $1", out)
  end)

  it("tells which of two patterns serves a name of both", function()
    local code, out = check("app:topic('room:{name}', " .. SUBSCRIBE:format "" .. ") app:topic('room:lobby', "
      .. SUBSCRIBE:format "" .. ") app:route('GET /a/{x}', print) app:route('GET /a/{n:int}', print)"
      .. " app:route('POST /a/{n:int}', print)")

    assert.equal(0, code, out)
    found('note: "room:lobby" and "room:{name}" have names in common: this may be meant; "room:lobby" belongs to'
      .. ' "room:lobby"', out)
    found('"/a/7" belongs to "/a/{n:int}"', out)
    assert.equal(2, select(2, out:gsub("names in common", "")))
  end)

  it("finds a handler without subscribe", function()
    local code, out = check "app:topic('room:{id}', { event = function() end })"

    assert.equal(2, code)
    found("error: ", out)
    found("has no subscribe function", out)
  end)

  it("compares the pools with what Postgres allows", function()
    local code, out = check("", { variables = { LEAT_POOL_SIZE = "1000", LEAT_WORKERS = "2" } })

    assert.equal(0, code, out)
    found("warning: the server opens up to 1003 connections (pool_size + 3)", out)
  end)

  it("finds timeouts of Postgres that end what Leat allows", function()
    local url = db.url .. "&options=" .. ("-cidle_session_timeout=60000 -cstatement_timeout=2000"):gsub("[= ]",
      { ["="] = "%3D", [" "] = "%20" })
    local code, out = check("", { variables = { LEAT_DATABASE_URL = url } })

    assert.equal(0, code, out)
    found("warning: statement_timeout = 2000 ms ends what max_timeout_ms = 30000 allows", out)
    found("warning: idle_session_timeout = 60000 ms ends connections that wait for work", out)
  end)

  it("compares the limit of open files with max_connections", function()
    local code, out = check("", { limit = "ulimit -n 1000; " })

    assert.equal(0, code, out)
    found("warning: 1000 files may be open at the same time here, and max_connections is 10000", out)
  end)

  it("finds the variable that is spelled wrongly, and lets those of others be", function()
    local code, out = check("", { variables = { LEAT_POOL_SIZ = "3", LEAT_PORT_8080_TCP = "tcp://10.0.0.1:8080" } })

    assert.equal(0, code, out)
    found("warning: the environment variable LEAT_POOL_SIZ is of no key; the one of key pool_size is LEAT_POOL_SIZE:",
      out)
    assert.is_nil(out:find("8080_TCP", 1, true), out)
  end)

  it("says all of it in JSON", function()
    local code, out = check([[app:route("GET /", function(ctx) ctx.db:one("select \"x\" from rooms") end)]],
      { json = true })
    local report = cjson.decode(out)

    assert.equal(2, code)
    assert.is_false(report.ok)
    assert.same({ 1, 0 }, { report.errors, report.warnings })
    assert.equal("error", report.findings[1].severity)
    found('column "x" does not exist', report.findings[1].problem)
    assert.is_true(#report.findings[1].remedy > 10)
    assert.equal("configuration", report.facts[1].what)
  end)

  it("says in JSON, too, that the configuration cannot be used", function()
    local code, out = check("", { json = true, variables = { LEAT_POOL_SIZE = "many" } })
    local report = cjson.decode(out)

    assert.equal(2, code)
    assert.is_false(report.ok)
    found("LEAT_POOL_SIZE", report.findings[1].problem)
  end)

  it("tells all mistakes of a configuration at once, each with its line", function()
    local file = folder .. "/leat.lua"
    files.write(file, [[
return { -- pool_size = 3
  listen = "nowhere", pool_size = "ten",
  retention = { seconds = -1,
    evnts = 3 },
  max_conections = 5,
}
]])
    local places = { listen = 2, pool_size = 2, ["retention.seconds"] = 3, ["retention.evnts"] = 4, max_conections = 5 }
    local args, variables = { "check", "--config", file }, { LEAT_WORKERS = "many", LEAT_DATABASE_URL = db.url }
    local code, _, err = process.run(env.binary(), { args = args, env = variables })
    assert.equal(2, code)
    for key, line in pairs(places) do
      assert.matches(("leat: %s:%d: [a-z ]*%s = [^\n]*: expected "):format(file:gsub("%p", "%%%0"), line, key), err)
    end
    found("leat: environment variable LEAT_WORKERS: workers = \"many\": expected", err)

    args[4] = "--json"
    local _, out = process.run(env.binary(), { args = args, env = variables })
    local report = cjson.decode(out)
    assert.same({ false, 6, 6 }, { report.ok, report.errors, #report.findings })
    for _, finding in ipairs(report.findings) do assert.is_true(#finding.remedy > 10, finding.problem) end
  end)

  it("has a remedy for a database that is not there, and for a schema that is not installed", function()
    local empty = postgres.empty_database()
    for _, url in ipairs { "postgresql://nobody@127.0.0.1:1/nothing", empty.url } do
      local code, out = check("", { json = true, variables = { LEAT_DATABASE_URL = url } })
      assert.equal(2, code)
      for _, finding in ipairs(cjson.decode(out).findings) do
        assert.is_true(#finding.remedy > 10, finding.problem)
      end
    end
    empty:drop()
  end)

  it("tells what is wrong from what to do about it, whatever words a path has", function()
    local tree = files.folder()
    finally(function() files.remove(tree) end)
    local home = tree .. "/a: run b"
    assert(os.execute(("mkdir -p '%s/bin' '%s/config/schema' '%s/lua' && cp %s '%s/bin/'")
      :format(home, home, home, env.binary(), home)))
    files.write(home .. "/app.lua", "return require('leat').app()")

    local code, out = process.run(home .. "/bin/leat",
      { args = { "check", "--json", "--app", home .. "/app.lua" }, env = { LEAT_DATABASE_URL = db.url } })

    assert.equal(2, code)
    assert.same({ { problem = home .. "/config/schema holds no migrations", severity = "error",
      remedy = "install this leat anew, with all of its files" } }, cjson.decode(out).findings)
  end)
end)

describe("leat migrate --plan", function()
  it("says what would be done, and does nothing", function()
    local db = postgres.empty_database()
    local function migrate(...)
      local variables = { LEAT_DATABASE_URL = db.url }
      local code, out, err = process.run(env.binary(), { args = { "migrate", ... }, env = variables })
      assert.equal(0, code, err)
      return out
    end

    local before = migrate("--plan", "--grant-server", "postgres")
    assert.equal("0", db.session:value "select count(*) from pg_namespace where nspname ~ '^leat'")
    migrate()

    assert.matches("would apply 0001_topics.sql (Topics, their numbering, and the outbox)\n", before, 1, true)
    assert.matches("schema leat would go from version 0 to %d+\n", before)
    assert.matches("would call grant_server: postgres", before, 1, true)
    assert.matches("^schema leat is at version %d+, nothing to do$", migrate "--plan")
    db:drop()
  end)

  -- A tree of its own, with migrations that follow the last one.
  it("says of each migration which servers work with it, and what to do with them", function()
    local db = postgres.database()
    local tree = files.folder()
    finally(function()
      files.remove(tree)
      db:drop()
    end)
    assert(os.execute(("mkdir -p %s/bin %s/config %s/lua && cp %s %s/bin/ && cp -r %s/config/schema %s/config/")
      :format(tree, tree, tree, env.binary(), tree, env.root(), tree)))
    local last = tonumber(db.session:value "select max(version) from leat_internal.migration")
    local function add(n, name, sql)
      files.write(("%s/config/schema/%04d_%s.sql"):format(tree, last + n, name), sql)
    end
    local function plan()
      local code, out, err = process.run(tree .. "/bin/leat",
        { args = { "migrate", "--plan" }, env = { LEAT_DATABASE_URL = db.url } })
      assert.equal(0, code, err)
      return out
    end
    local raise = "alter table leat_internal.migration alter column oldest_server set default %d;"

    add(1, "one", "-- One more thing.\n-- The default of oldest_server stays. default 99\nselect 1;")
    local goes_with = plan()
    add(2, "two", "-- Another.\n" .. raise:format(last))
    local goes_with_last = plan()
    add(3, "three", "-- And a third.\n" .. raise:format(last + 3))
    local goes_with_none = plan()

    local one = ("would apply %04d_one.sql (One more thing): servers that run go on\n"):format(last + 1)
    local two = ("would apply %04d_two.sql (Another): it needs servers of schema version %d or newer\n")
      :format(last + 2, last)
    local three = ("would apply %04d_three.sql (And a third): it needs servers of schema version %d or newer\n")
      :format(last + 3, last + 3)
    local function summary(n) return ("schema leat would go from version %d to %d\n"):format(last, last + n) end
    assert.equal(one .. summary(1) .. ("migrate first, while the servers run, then restart them with this version "
      .. "one by one: it needs version %d"):format(last + 1), goes_with)
    assert.equal(one .. two .. summary(2) .. ("stop servers that know a version below %d first; the others go on. "
      .. "Restart them with this version afterwards, one by one"):format(last), goes_with_last)
    assert.equal(one .. two .. three .. summary(3) .. ("stop the servers first: none that runs with version %d works "
      .. "with the new schema. Start this version afterwards"):format(last), goes_with_none)
  end)
end)
