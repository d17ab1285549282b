-- The binary: its commands, its configuration, its exit codes.

local env = require "spec.support.env"
local files = require "spec.support.files"
local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local server = require "spec.support.server"
local uv = require "luv"

describe("leat", function()
  local db, folder, app

  lazy_setup(function()
    db = postgres.database(fixtures.schema)
    folder = files.folder()
    app = folder .. "/app.lua"
    files.write(app, fixtures.app)
  end)
  lazy_teardown(function()
    db:drop()
    files.remove(folder)
  end)

  local function leat(args, variables)
    local code, out, err = process.run(env.binary(), { args = args, env = variables })
    assert.is_nil(err:find("Sanitizer", 1, true), err)
    return code, out, err
  end

  local function write_config(text)
    local path = folder .. "/leat.lua"
    files.write(path, text)
    return path
  end

  it("says its version", function()
    local code, out = leat { "version" }

    assert.equal(0, code)
    assert.matches("^leat %d+%.%d+%.%d+$", out)
  end)

  it("explains itself when asked, and names every key", function()
    local code, out = leat { "serve", "--help" }

    assert.equal(0, code)
    for key in pairs(dofile(env.root() .. "/config/leat.lua")) do
      assert.is_not_nil(out:find(key, 1, true), key)
    end
  end)

  it("ends with 2 and says why when it is used wrongly", function()
    for _, case in ipairs {
      { {}, "command" }, { { "dance" }, "dance" }, { { "serve", "--dance" }, "%-%-dance" },
      { { "serve", "--listen" }, "%-%-listen" }, { { "migrate", "--app", "x" }, "%-%-app" },
    } do
      local code, _, err = leat(case[1])

      assert.equal(2, code)
      assert.matches(case[2], err)
    end
  end)

  context("configured wrongly", function()
    local FILES = {
      { "return { lisen = '127.0.0.1:0' }", "lisen" },
      { "return { pool_size = 'ten' }", "pool_size", '"ten"', "integer" },
      { "return { pool_size = 0 }", "pool_size", "0", "1 to" },
      { "return { pool_size = 1.5 }", "pool_size", "1.5", "integer" },
      { "return {\n  listen = ':0',\n  pool_size = 0 }", "leat.lua:3: pool_size = 0: expected" },
      { "return {\n  retention = {\n    hours = 1 } }", "leat.lua:3: unknown key retention.hours = 1" },
      { "return { listen = 8080 }", "listen", "8080", "string" },
      { "return { listen = 'example.org:80' }", "listen", "example.org:80", "numeric address" },
      { "return { log_level = 'loud' }", "log_level", "loud", "debug" },
      { "return { retention = { hours = 1 } }", "retention", "hours" },
      { "return { retention = 5 }", "retention", "5", "table" },
      { "return 5", "table" },
      { "return {", "leat.lua" },
      { "error('nope')", "nope" },
    }
    for _, case in ipairs(FILES) do
      it("by " .. case[1] .. " ends with 2 and names key, value and expectation", function()
        local code, _, err = leat({ "serve", "--config", write_config(case[1]), "--database", db.url })

        assert.equal(2, code)
        for i = 2, #case do assert.is_not_nil(err:find(case[i], 1, true), err) end
      end)
    end

    it("by an environment variable names it", function()
      for name, value in pairs { LEAT_POOL_SIZE = "many", LEAT_RETENTION_SECONDS = "-1", LEAT_LISTEN = "nowhere" } do
        local code, _, err = leat({ "check", "--database", db.url }, { [name] = value })

        assert.equal(2, code)
        assert.is_not_nil(err:find(name, 1, true))
        assert.is_not_nil(err:find(value, 1, true))
      end
    end)

    it("with a file, an app or a folder that is not there ends with 2", function()
      for _, case in ipairs {
        { { "serve", "--config", folder .. "/none.lua" } },
        { { "serve", "--app", folder .. "/none.lua", "--database", db.url } },
        { { "serve", "--database", db.url }, { LEAT_STATIC_DIR = folder .. "/none" } },
      } do
        local code, _, err = leat(case[1], case[2])

        assert.equal(2, code)
        assert.is_not_nil(err:find(folder .. "/none", 1, true), err)
      end
    end)
  end)

  it("takes the command line before the environment before the file", function()
    local config = write_config(("return { listen = '127.0.0.1:1', pool_size = 3, app = 'app.lua', "
      .. "database_url = %q }"):format(db.url))
    local running = server.start {
      url = false, app = false, args = { "--config", config, "--listen", "127.0.0.1:0" },
      env = { LEAT_LISTEN = "127.0.0.1:2" },
    }

    assert.equal(200, http.request(running, "/healthz").status)
    running:stop()
  end)

  it("says for whom a migration waits", function()
    local empty = postgres.empty_database()
    empty.session:run "set application_name = 'somebody'; select pg_advisory_lock(1818583412)"
    local pid = empty.session:value "select pg_backend_pid()"
    local waiting = process.spawn(env.binary(), { args = { "migrate" }, env = { LEAT_DATABASE_URL = empty.url } })

    local line = loop.eventually(function() return waiting.err[1] end, nil, "a line")
    empty.session:run "select pg_advisory_unlock(1818583412)"

    assert.equal(0, (waiting:wait()))
    assert.matches("waits for the lock of migrations, which process " .. pid .. " %(somebody, of %S+%) holds$", line)
    empty:drop()
  end)

  it("honours DATABASE_URL, below LEAT_DATABASE_URL", function()
    assert.equal(0, (leat({ "check", "--app", app }, { DATABASE_URL = db.url })))
    assert.equal(0, (leat({ "check", "--app", app },
      { LEAT_DATABASE_URL = db.url, DATABASE_URL = "postgresql:///none?host=/nowhere" })))
    assert.equal(2, (leat({ "check", "--app", app },
      { LEAT_DATABASE_URL = "postgresql:///none?host=/nowhere", DATABASE_URL = db.url })))
  end)

  it("migrates twice as well as once, and two at the same time", function()
    local empty = postgres.empty_database()
    local variables = { LEAT_DATABASE_URL = empty.url }
    local both = {}
    for i = 1, 2 do both[i] = process.spawn(env.binary(), { args = { "migrate" }, env = variables }) end
    for i = 1, 2 do assert.equal(0, both[i]:wait()) end

    local code, out = leat({ "migrate" }, variables)

    assert.equal(0, code)
    assert.matches("nothing to do", out, 1, true)
    assert.equal("1", empty.session:value(
      "select count(distinct version) - max(version) + 1 from leat_internal.migration"))
    empty:drop()
  end)

  it("checks, and changes nothing", function()
    local empty = postgres.empty_database()

    local code, out = leat({ "check", "--app", app }, { LEAT_DATABASE_URL = empty.url })
    assert.equal(2, code)
    assert.matches("leat migrate", out, 1, true)
    assert.equal("0", empty.session:value("select count(*) from pg_namespace where nspname = 'leat'"))
    empty:drop()

    code, out = leat({ "check", "--app", app }, { LEAT_DATABASE_URL = db.url })
    assert.equal(0, code)
    assert.matches("app: ok", out, 1, true)
    assert.matches("schema: ok", out, 1, true)
  end)

  it("goes on to the next host where one hangs up", function()
    local pipe = uv.new_pipe(false)
    assert.equal(0, pipe:bind(folder .. "/.s.PGSQL.5432"))
    pipe:listen(8, function()
      local client = uv.new_pipe(false)
      pipe:accept(client)
      client:close()
    end)
    local url = db.url:gsub("host=", "host=" .. folder .. ",", 1)

    local code, out = leat({ "check", "--app", app }, { LEAT_DATABASE_URL = url })
    pipe:close()

    assert.equal(0, code, out)
    assert.matches("schema: ok", out, 1, true)
  end)

  it("checks an app that does not load", function()
    local broken = folder .. "/broken.lua"
    files.write(broken, "error('not today')")

    local code, out, err = leat({ "check", "--app", broken }, { LEAT_DATABASE_URL = db.url })

    assert.equal(2, code)
    assert.matches("not today", out .. err, 1, true)
  end)

  it("does not serve an app that does not load", function()
    local broken = folder .. "/broken.lua"
    files.write(broken, "return 5")

    local code, _, err = leat({ "serve", "--app", broken, "--listen", "127.0.0.1:0" }, { LEAT_DATABASE_URL = db.url })

    assert.equal(1, code)
    assert.matches("broken.lua", err, 1, true)
  end)

  it("does not serve without its schema, nor with a newer one, and says so", function()
    local empty = postgres.empty_database()
    local args = { "serve", "--app", app, "--listen", "127.0.0.1:0" }
    local code, _, err = leat(args, { LEAT_DATABASE_URL = empty.url })
    assert.equal(1, code)
    assert.matches("leat migrate", err, 1, true)

    leat({ "migrate" }, { LEAT_DATABASE_URL = empty.url })
    empty.session:run "insert into leat_internal.migration values (9000, '9000_future.sql', default, 8999)"
    for _, command in ipairs { args, { "migrate" } } do
      code, _, err = leat(command, { LEAT_DATABASE_URL = empty.url })
      assert.equal(1, code)
      assert.matches("9000", err, 1, true)
      assert.matches("newer", err, 1, true)
    end
    empty:drop()
  end)

  it("works with a newer schema that says so", function()
    local newer = postgres.database(fixtures.schema)
    newer.session:run "insert into leat_internal.migration values (9000, '9000_future.sql')"

    local code, out = leat({ "check", "--app", app }, { LEAT_DATABASE_URL = newer.url })
    assert.equal(0, code, out)
    assert.matches("note: schema leat is at version 9000, newer than this leat", out, 1, true)
    code, out = leat({ "migrate" }, { LEAT_DATABASE_URL = newer.url })
    assert.equal(0, code)
    assert.matches("^schema leat is at version 9000, newer than this leat, which knows %d+ and works with it$", out)
    local s = server.start { url = newer.url, app = app }
    s:stop()
    newer:drop()
  end)

  it("refuses a schema of before the first release, and says what to do", function()
    local empty = postgres.empty_database()
    empty.session:run [[
      create schema leat;
      create table leat.migration (version int primary key, name text not null, applied_at timestamptz);
      insert into leat.migration values (1, '0001_topics.sql')]]

    for _, command in ipairs { { "serve", "--app", app, "--listen", "127.0.0.1:0" }, { "check", "--app", app },
                               { "migrate" } } do
      local code, out, err = leat(command, { LEAT_DATABASE_URL = empty.url })
      assert.equal(command[1] == "check" and 2 or 1, code)
      assert.matches("earlier state of leat (it has a table leat.migration)", out .. err, 1, true)
      assert.matches("drop schema if exists leat, leat_internal cascade", out .. err, 1, true)
    end
    empty.session:run "drop schema if exists leat, leat_internal cascade"
    assert.equal(0, (leat({ "migrate" }, { LEAT_DATABASE_URL = empty.url })))
    empty:drop()
  end)

  it("refuses a schema that other files have made, and one of which a half is missing", function()
    local empty = postgres.empty_database()
    assert.equal(0, (leat({ "migrate" }, { LEAT_DATABASE_URL = empty.url })))
    empty.session:run "update leat_internal.migration set name = '0002_outbox.sql' where version = 2"
    local code, _, err = leat({ "migrate" }, { LEAT_DATABASE_URL = empty.url })
    assert.equal(1, code)
    assert.matches("earlier state of leat (0002_outbox.sql)", err, 1, true)

    empty.session:run "update leat_internal.migration set name = '0002_history.sql' where version = 2"
    empty.session:run "drop schema leat cascade"
    code, _, err = leat({ "migrate" }, { LEAT_DATABASE_URL = empty.url })
    assert.equal(1, code)
    assert.matches("leat.topic is missing: run \"drop schema if exists leat, leat_internal cascade\"", err, 1, true)
    empty:drop()
  end)

  it("does not start without a database, and says where it looked", function()
    local code, _, err = leat({ "serve", "--app", app, "--listen", "127.0.0.1:0",
      "--database", "postgresql:///x?host=/nowhere/at/all" })

    assert.equal(1, code)
    assert.matches("/nowhere/at/all", err, 1, true)
  end)

  it("ends with 1 if the port is taken, with one worker and with two", function()
    local first = server.start { url = db.url, app = app }
    for _, workers in ipairs { 1, 2 } do
      local code, _, err = leat({ "serve", "--app", app, "--listen", "127.0.0.1:" .. first.port },
        { LEAT_DATABASE_URL = db.url, LEAT_WORKERS = tostring(workers) })

      assert.equal(1, code)
      assert.is_not_nil(err:find("127.0.0.1:" .. first.port, 1, true), err)
      assert.matches("in use", err, 1, true)
    end
    first:stop()
  end)

  it("tells its address whatever it logs", function()
    local s = server.start { url = db.url, app = app, env = { LEAT_LOG_LEVEL = "error" } }

    local answer = http.request(s, "/healthz")

    assert.equal(200, answer.status)
    assert.same({}, s.log)
    s:stop()
  end)

  it("does not start with an address file that cannot be written", function()
    local code, _, err = leat({ "serve", "--address-file", folder .. "/nowhere/address" },
      { LEAT_DATABASE_URL = db.url, LEAT_APP = app, LEAT_LISTEN = "127.0.0.1:0" })

    assert.equal(1, code)
    assert.matches("nowhere/address", err)
  end)

  it("stops on SIGINT, too", function()
    local running = server.start { url = db.url, app = app }

    running:send_signal("sigint")

    assert.equal(0, running.process:wait())
  end)

  it("writes one line a message: time, level, subsystem, text", function()
    local running = server.start { url = db.url, app = app, env = { LEAT_LOG_LEVEL = "debug" } }
    http.request(running, { path = "/rooms/1/stream\n", headers = {} })
    running:stop()

    assert.is_true(#running.log >= 3)
    for _, line in ipairs(running.log) do
      assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ %u+ %l+ .+$", line)
    end
    assert.is_nil(running.process.out[1])
  end)

  it("never logs the password of its database", function()
    local url = "postgresql://someone:very-secret@127.0.0.1:1/x"
    for _, command in ipairs { { "migrate" }, { "check", "--app", app }, { "serve", "--app", app } } do
      local code, out, err = leat(command, { LEAT_DATABASE_URL = url })

      assert.equal(command[1] == "check" and 2 or 1, code)
      assert.is_nil((out .. err):find("very-secret", 1, true))
    end
  end)

  it("serves on several workers that share a port", function()
    local running = server.start { url = db.url, app = app, env = { LEAT_WORKERS = 2 } }
    for _ = 1, 20 do assert.equal(200, http.request(running, "/healthz").status) end
    running:stop()
    assert.is_nil(uv.fs_stat(folder .. "/core"))
  end)
end)
