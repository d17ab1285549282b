-- The operator's socket: what `leat show` tells of a running server, and who may ask.

local control = require "spec.support.control"
local env = require "spec.support.env"
local fixtures = require "spec.support.fixtures"
local json = require "cjson"
local loop = require "spec.support.loop"
local pg = require "spec.support.pg"
local process = require "spec.support.process"
local stage = require "spec.support.stage"
local uv = require "luv"

local function names(rows, key)
  local all = {}
  for i, row in ipairs(rows) do all[i] = row[key] end
  return all
end

local function row_of(rows, key, value)
  for _, row in ipairs(rows) do
    if row[key] == value then return row end
  end
end

--- A connection to the socket. It has what it got (text), and whether the server has closed it (closed).
local function dial(path)
  local self = { text = "" }
  self.pipe = uv.new_pipe(false)
  self.pipe:connect(path, function(err)
    self.failed = err
    self.connected = not err
    if err then return end
    self.pipe:read_start(function(failed, chunk)
      if chunk then self.text = self.text .. chunk else self.closed, self.failed = true, failed end
    end)
  end)
  loop.eventually(function() return self.connected or self.failed end, nil, "a connection")
  return self
end

describe("the operator's socket", function()
  local s, path

  lazy_setup(function()
    path = control.path()
    s = stage.open { app = fixtures.app, schema = fixtures.schema .. "select leat.watch('notes', 'room:{room_id}');",
      env = { LEAT_CONTROL = path, LEAT_WORKERS = 2, LEAT_COMPARE_INTERVAL_MS = 300 },
      log = { "schema leat has a problem" } }
  end)
  lazy_teardown(function()
    s:close()
    control.remove(path)
  end)
  after_each(function() s:settle() end)

  local function show(...) return control.show(path, ...) end

  local function subscribe(n, topic, token)
    local clients = {}
    for i = 1, n do
      clients[i] = s:connect { token = token or "alice" }
      clients[i]:subscribe(topic)
    end
    return clients
  end

  it("tells how the server fares", function()
    subscribe(3, "room:1")

    local answer = show("summary")

    assert.equal("serving", answer.state)
    assert.equal(s.server.process.pid, answer.pid)
    assert.equal(3, answer.connections)
    assert.equal(3, answer.subscriptions_live)
    assert.equal(2, #answer.workers)
    assert.same({}, answer.silent)
    assert.same({}, answer.problems)
    assert.equal(0, answer.errors.internal)
    assert.is_nil(answer.errors_internal_total)
  end)

  it("tells by how much the listener is behind at most", function()
    local function behind()
      local before = os.time()
      local answer = show("summary")
      local confirmed = s:metrics().leat_listener_confirmed_timestamp_seconds
      return before - confirmed <= answer.listener_behind_seconds
        and answer.listener_behind_seconds <= os.time() - confirmed
    end
    loop.eventually(behind) -- unless another second, or confirmation, came between the two
    assert.is_true(show("summary").listener_behind_seconds <= 11)
  end)

  it("shows the first topics in the order that is asked for", function()
    subscribe(1, "room:1")
    subscribe(4, "room:3")
    local watcher = subscribe(1, "room:4")[1]
    for i = 1, 5 do s.session:run("select leat.publish('room:4', '{\"n\":" .. i .. "}')") end
    for i = 1, 5 do assert.equal(i, watcher:expect("event").data.n) end

    assert.same({ "room:3" }, names(show("topics", "--by", "subscribers", "--limit", "1").topics, "topic"))
    local busiest = show("topics", "--by", "busiest").topics

    assert.equal("room:4", busiest[1].topic)
    assert.is_true(busiest[1].events_per_s > 0)
    assert.is_true(busiest[1].ring_bytes > 0)
    assert.equal(4, row_of(busiest, "topic", "room:3").subscribers)
  end)

  it("shows one topic, with its last events and its subscribers by state", function()
    subscribe(3, "room:3")
    s.session:run("select leat.publish('room:3', '{\"n\":1}')")
    local function live()
      local sum, newest = 0, nil
      for _, worker in ipairs(show("topic", "room:3").workers) do
        sum = sum + (worker.states.LIVE or 0)
        newest = worker.events[1] or newest
      end
      return sum == 3 and newest
    end

    local event = loop.eventually(live, nil, "three live subscriptions")

    assert.equal(1, event.data.n)
    local code, _, err = control.run(path, "show", "topic", "nobody:7")
    assert.equal(1, code)
    assert.matches("nobody has subscribed", err, 1, true)
  end)

  it("shows clients, and one of them", function()
    subscribe(1, "room:1", "alice")
    local bob = subscribe(1, "room:3", "bob")[1]
    bob:subscribe("room:4")

    local first = show("clients", "--by", "subscriptions").clients[1]

    assert.equal("2", first.user)
    assert.equal(2, first.subscriptions)
    local one = show("client", first.client)
    assert.equal(2, #one.topics)
    assert.equal("LIVE", row_of(one.topics, "topic", "room:4").state)
    assert.equal(0, row_of(one.topics, "topic", "room:4").lag)
    assert.equal(1, #show("clients", "--user", "2").clients)
    assert.equal(1, (control.run(path, "show", "client", "0-99999")))
    assert.equal(2, (control.run(path, "show", "client", "rubbish")))
  end)

  it("shows pool, scripts, watches and the database", function()
    subscribe(1, "room:1")

    assert.equal(5, show("pool").workers[1].size)
    local workers = show("script").workers
    assert.equal(1, workers[1].loads)
    assert.matches("^%x+$", workers[1].version)
    assert.equal(workers[1].version, workers[2].version)
    assert.same({ { table = "notes", topics = "room:{room_id}", fires = true, complete = true } },
      show("watches").watches)
    local database = show("postgres")
    assert.matches("^%d+", database.version)
    assert.is_not_nil(row_of(database.connections, "name", "leat listener"))
  end)

  it("shows who holds the lock for which the server waits", function()
    local other = pg.connect(s.db.url)
    other:run "begin; set application_name = 'the culprit'; lock table leat.topic in access exclusive mode"
    local pid = other:value "select pg_backend_pid()"
    finally(function() other:close() end)
    s.server:expect_log "WARN"
    local publishing = process.spawn(env.binary(), { args = { "publish", "room:1", "1", "--control", path } })

    local row = loop.eventually(function()
      for _, connection in ipairs(show("postgres").connections) do
        if type(connection.blocked_by) == "string" then return connection end
      end
    end, nil, "a connection that waits")

    assert.matches("^" .. pid .. " %(the culprit, of %S+%)$", row.blocked_by)
    other:run "rollback"
    publishing:wait(20000)
  end)

  it("shows a watch that does not fire", function()
    s.session:run("alter table notes disable trigger all")
    finally(function()
      s.session:run("select leat.watch('notes', 'room:{room_id}')")
      loop.eventually(function() return #show("summary").problems == 0 end, nil, "no problem")
    end)

    local answer = show("watches")
    loop.eventually(function() return #show("summary").problems > 0 end, nil, "a problem")

    assert.matches("^schema: %d wrong: leat show watches", show("summary").problems[1])
    assert.equal(0, (control.run(path, "show", "ready")))
    assert.is_false(answer.watches[1].fires)
    assert.matches("does not publish every change", json.encode(answer.problems), 1, true)
  end)

  it("shows a watch whose triggers were dropped", function()
    s.session:run("select leat.watch('notes', 'gone:{room_id}')")
    s.session:run [[do $$ declare t name; begin
      for t in select tgname from pg_trigger g where tgrelid = 'notes'::regclass and tgname like (
        select watch || '%' from leat.watched where topic_template = 'gone:{room_id}') loop
        execute format('drop trigger %I on notes', t);
      end loop; end $$]]
    finally(function()
      s.session:run("select leat.unwatch('notes', 'gone:{room_id}')")
      loop.eventually(function() return #show("summary").problems == 0 end, nil, "no problem")
    end)

    assert.same({ table = "notes", topics = "gone:{room_id}", fires = false, complete = false },
      row_of(show("watches").watches, "topics", "gone:{room_id}"))
  end)

  it("aligns tables for people", function()
    subscribe(2, "room:3")

    local code, out = control.run(path, "show", "topics")

    assert.equal(0, code)
    assert.matches("TOPIC +EPOCH +HEAD +SUBSCRIBERS", out)
    assert.matches("\nroom:3 .* 2 ", out)
  end)

  it("refuses what it does not know", function()
    for _, words in ipairs { { "rubbish" }, { "topic" }, { "topics", "too", "many" } } do
      assert.equal(2, (control.run(path, "show", table.unpack(words))))
    end
    local code, out, err = control.run(path, "show", "topics", "--by", "rubbish")
    assert.equal(2, code)
    assert.matches("expected one of busiest largest subscribers", out .. err, 1, true)
    assert.equal(2, (control.run(path, "show", "topics", "--limit", "0")))
  end)

  it("speaks plain HTTP", function()
    local c = dial(path)
    c.pipe:write("GET /summary HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
      .. "DELETE /topics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    loop.eventually(function() return c.closed end, nil, "the answers")
    c.pipe:close()

    local codes = {}
    for code in c.text:gmatch("HTTP/1.1 (%d+)") do codes[#codes + 1] = code end
    assert.same({ "200", "404", "405" }, codes)
  end)

  it("answers 100 at once, and closes those that are too many", function()
    local dialled = {}
    finally(function()
      for _, c in ipairs(dialled) do c.pipe:close() end
    end)
    for i = 1, 100 do dialled[i] = dial(path) end
    for _, c in ipairs(dialled) do c.pipe:write("GET /topics HTTP/1.1\r\nHost: x\r\n\r\n") end
    for i, c in ipairs(dialled) do
      loop.eventually(function() return c.text:find('"topics":', 1, true) end, 20000, "answer " .. i)
    end
    for i = 101, 140 do dialled[i] = dial(path) end

    loop.eventually(function() return s:metrics().leat_control_connections_refused_total > 0 end, nil, "a refusal")
  end)

  it("counts requests", function()
    local function count() return s:metrics().leat_control_requests_total end
    local before = count()
    show("summary")
    assert.equal(before + 1, count())
  end)
end)

describe("a server with a busy worker", function()
  it("names the worker that does not answer", function()
    local path = control.path()
    local s = stage.open { app = [[
      local leat = require "leat"
      local app = leat.app()
      app:route("GET /hang", function() -- for long enough to ask twice
        local ends = os.time() + 8
        while os.time() < ends do end
        return { status = 200 }
      end, { public = true })
      return app
    ]], schema = fixtures.schema,
      -- The worker may hang while its pool connects.
      env = { LEAT_CONTROL = path, LEAT_WORKERS = 2, LEAT_SCRIPT_BUDGET_MS = 60000,
        LEAT_DATABASE_CONNECT_TIMEOUT_MS = 60000 } }
    local hung = process.spawn("/usr/bin/curl", { args = { "-s", "http://127.0.0.1:" .. s.server.port .. "/hang" } })
    finally(function() -- once: busted keeps only the last
      hung:send_signal("sigkill")
      s:close()
      control.remove(path)
    end)

    local silent = loop.eventually(function()
      local answer = control.show(path, "summary")
      return #answer.silent == 1 and answer.silent[1]
    end, nil, "a worker that does not answer")
    local _, out = control.run(path, "show", "summary")

    assert.matches("worker " .. math.tointeger(silent) .. " does not answer", out, 1, true)
    loop.eventually(function() return #control.show(path, "summary").silent == 0 end, 30000, "its return")
  end)
end)

describe("the socket's file", function()
  local s, path

  local function open(variables)
    path = control.path()
    local more = variables or {}
    more.LEAT_CONTROL = path
    s = stage.open { app = fixtures.app, schema = fixtures.schema, env = more }
  end
  after_each(function()
    s:close()
    control.remove(path)
  end)

  it("ends a connection that says nothing", function()
    open { LEAT_HEADER_TIMEOUT_MS = 400 }

    local c = dial(path)
    loop.eventually(function() return c.closed end, nil, "the end of a silent connection")
    c.pipe:close()
  end)

  it("is for the server's user and group only", function()
    open()
    assert.equal(tonumber("660", 8), uv.fs_stat(path).mode % 512)

    local code, _, err = process.run("/usr/sbin/runuser", { args = { "-u", "nobody", "--", "/usr/bin/curl", "-sS",
      "--unix-socket", path, "http://x/summary" } })

    assert.equal(7, code, err)
    assert.equal(0, (control.run(path, "show")))
  end)

  it("is replaced if its server was killed, and not while it lives", function()
    open()
    local environment = { LEAT_CONTROL = path, LEAT_DATABASE_URL = s.db.url, LEAT_APP = s.app,
      LEAT_LISTEN = "127.0.0.1:0" }
    local code, _, err = process.run(env.binary(), { args = { "serve" }, env = environment })
    assert.equal(1, code)
    assert.matches("control = .*another server has this socket", err)
    assert.equal(0, (control.run(path, "show")))

    s.server.process:send_signal("sigkill")
    s.server.process:wait()
    local dead, _, why = control.run(path, "show")
    assert.equal(1, dead)
    assert.matches("no server answers at " .. path, why, 1, true)
    s:serve { LEAT_CONTROL = path }
    assert.equal(0, (control.run(path, "show")))
  end)

  it("is not put in the place of another file", function()
    open()
    local other = path .. ".text"
    local file = assert(io.open(other, "w"))
    file:close()

    local code, _, err = process.run(env.binary(), { args = { "serve" }, env = { LEAT_CONTROL = other,
      LEAT_DATABASE_URL = s.db.url, LEAT_APP = s.app, LEAT_LISTEN = "127.0.0.1:0" } })

    assert.equal(2, code)
    assert.matches("is no socket", err, 1, true)
  end)
end)

describe("leat show config", function()
  it("shows no password", function()
    local path = control.path()
    local s = stage.open { app = fixtures.app, schema = fixtures.schema, env = function(db)
      local with_password = db.url:find("?", 1, true) and db.url .. "&password=geheim" or db.url .. "?password=geheim"
      return { LEAT_CONTROL = path, LEAT_LISTEN_URL = with_password }
    end }
    finally(function()
      s:close()
      control.remove(path)
    end)

    local _, out = control.run(path, "show", "config")

    assert.is_nil(out:find("geheim", 1, true))
    assert.matches("\nlisten_url .*password=%[secret%]", out)
    assert.matches("\ncontrol +" .. path:gsub("%p", "%%%0") .. " +no", out)
  end)
end)
