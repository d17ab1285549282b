-- What leat.spec offers besides every_interleaving: clients that are slow or vanish, a server that restarts, a Postgres
-- that stops, crashes or stalls, the log and the metrics.

local files = require "spec.support.files"
local kit = require "leat.spec"
local loop = require "spec.support.loop"
local postgres = require "spec.support.postgres"
local served = require "leat.spec.served"
local server_of = require "leat.spec.server"

local APP = [[
local leat = require "leat"
local app = leat.app()

app:topic("room:{id:int}", {
  subscribe = function(ctx, args)
    local room = ctx.db:one("select id, title from rooms where id = $1", args.id)
    if not room then return leat.deny("not_found") end
    return leat.subscribe_authorized(ctx, room, { snapshot = function(_, row) return { title = row.title } end })
  end,
  publish = function(ctx, args, data)
    ctx.db:exec("select leat.publish($1, $2)", ctx.topic, data)
  end,
})

app:method("title", function(ctx, params)
  ctx.log:info("was asked for the title of " .. params.id)
  return ctx.db:one("select title from rooms where id = $1", params.id)
end)

app:route("POST /echo", function(ctx, request)
  return { status = 200, body = request.body, headers = { ["x-method"] = request.method } }
end, { public = true })

return app
]]

local SCHEMA = "create table rooms (id bigint primary key, title text); insert into rooms values (1, 'first');"

local function serve(options)
  local folder = files.folder()
  files.write(folder .. "/app.lua", APP)
  options.app, options.schema = folder .. "/app.lua", SCHEMA
  local server = kit.serve(options)
  teardown(function() files.remove(folder) end)
  return server
end

describe("a server of the kit", function()
  local server = serve { data = "insert into rooms values (2, 'second');" }

  it("has the data that comes after the schema", function()
    assert.equal("second", server:client():call("title", { id = 2 }).title)
  end)

  it("returns the rows of statements that read, return or change in a with", function()
    assert.same({ { id = 1 } }, server:sql "select id from rooms where id = 1")
    assert.same({ { title = "x" } }, server:sql("update rooms set title = $1 where id = 2 returning title", "x"))
    assert.same({ { id = 3 } }, server:sql [[
      with a as (insert into rooms values (3, ')') returning id), b (n) as materialized (select '(' as n)
      select a.id from a, b]])
    assert.same({ { n = 1 } }, server:sql "WITH RECURSIVE a AS (select 1 as n) select n from a;")
    assert.equal(3, server:sql "delete from rooms")
  end)

  it("has its data back for each `it`", function()
    assert.equal(2, server:sql("select count(*) as n from rooms")[1].n)
  end)

  it("answers plain requests", function()
    local answer = server:request { method = "POST", path = "/echo", body = "hello" }

    assert.equal(200, answer.status)
    assert.equal("hello", answer.body)
    assert.equal("POST", answer.headers["x-method"])
    assert.equal(404, server:request("/nowhere").status)
  end)

  it("shows its log, and waits for a line of it", function()
    local client = server:client()

    client:send { op = "call", method = "title", params = { id = 1 } }

    assert.matches("was asked for the title of 1", server:log "asked for the title of 1")
    assert.matches("listening", server:log())
  end)

  it("shows its metrics", function()
    local client = server:client()
    client:subscribe "room:1"

    local metrics = server:metrics()

    assert.equal(1, metrics.leat_connections)
    assert.equal(1, metrics['leat_subscriptions{state="live"}'])
  end)

  it("restarts, and its clients resume", function()
    local client = server:client()
    local room = client:subscribe "room:1"
    client:publish("room:1", 1)
    local first = room:event()

    server:restart()
    assert.equal(0, server:metrics().leat_connections)
    client:publish("room:1", 2) -- connects again
    local again = client:subscribe("room:1", { since = { epoch = room.epoch, seq = first.seq } })

    assert.equal(2, again:event().data)
    assert.is_nil(again.data)
  end)

  it("cannot stop a Postgres that is not its own", function()
    local ok, err = pcall(server.postgres, server, "stop")

    assert.is_false(ok)
    assert.matches("own_postgres = true", err)
  end)
end)

describe("a client of the kit", function()
  local server = serve {}
  local BIG = ("x"):rep(100000)

  it("is slow: it reads nothing until it is told to, and has missed nothing", function()
    local slow, other = server:client(), server:client()
    local room, beside = slow:subscribe "room:1", other:subscribe "room:1"
    local lines = #slow.lines

    slow:slow()
    for n = 1, 80 do
      server:sql("select leat.publish('room:1', $1)", { n = n, text = BIG })
      assert.equal(n, beside:event().data.n)
    end
    assert.equal(lines, #slow.lines)
    loop.eventually(function() return server:metrics().leat_send_buffer_bytes > 0 end, nil, "bytes not taken")

    slow:slow(false)
    local last = 0
    while last < 80 do
      local event = room:event()
      assert.equal(last + 1, event.data.n)
      last = event.data.n
    end
  end)

  it("vanishes, and connects again when it is used", function()
    local client = server:client()
    client:subscribe "room:1"

    client:vanish()

    loop.eventually(function() return server:metrics().leat_connections == 0 end, nil, "no connection")
    assert.equal("first", client:subscribe("room:1").data.title)
    assert.matches("vanished\n.*connected", client:wire())
  end)

  it("remembers its wire", function()
    local client = server:client()

    client:refused "room:9"

    assert.matches('%-> {.*"room:9".*<%- {.*"not_found"', client:wire())
  end)

  it("shows its wire when something does not come", function()
    local room = server:client():subscribe "room:1"

    local ok, err = pcall(room.event, room, 50)

    assert.is_false(ok)
    assert.matches("there was no event of room:1\nthe wire of the client", err)
    assert.matches('<%- {.*"snapshot"', err)
  end)

  it("fails if there is an event that was not taken", function()
    local client = server:client()
    local room = client:subscribe "room:1"
    room:quiet()

    client:publish("room:1", 1)

    assert.is_false(pcall(room.quiet, room))
  end)
end)

describe("a server of the kit with a Postgres of its own", function()
  local server = serve { own_postgres = true }

  -- What a client is told while Postgres is away, and that all is well afterwards.
  local function away(how, codes)
    local client = server:client()
    local room = client:subscribe "room:1"

    server:postgres(how)
    local answer = client:ask { op = "call", method = "title", params = { id = 1 }, timeout_ms = 500 }
    assert.truthy(codes[answer.code], answer.code)

    server:postgres "start"
    local written = client:ask({ op = "publish", topic = "room:1", data = { how = how } }).at[1]
    -- By its event; or, if the history was confirmed anew in between, by a snapshot.
    loop.eventually(function()
      client:pump()
      return room.epoch == written.epoch and room.seq == written.seq
    end, nil, "the write")
  end

  it("stops it", function() away("stop", { unavailable = true, deadline_exceeded = true }) end)

  it("crashes it", function() away("kill", { unavailable = true, deadline_exceeded = true }) end)

  it("stalls it, and connections stay open", function()
    local before = server:metrics().leat_listener_reconnects_total

    away("stall", { deadline_exceeded = true })

    assert.equal(before, server:metrics().leat_listener_reconnects_total)
  end)

  it("leaves it stopped", function() server:postgres "stop" end)

  it("finds it running again in the next `it`", function()
    assert.equal("first", server:client():subscribe("room:1").data.title)
  end)
end)

describe("what the kit has started", function()
  it("is ended as a whole, whatever fails in between", function()
    local folder = files.folder()
    finally(function() files.remove(folder) end)
    files.write(folder .. "/app.lua", APP)
    local one = served.new { app = folder .. "/app.lua", schema = SCHEMA }:start()
    local database, process = one.database.name, one.process
    function process:stop()
      self:kill()
      error("a warning that nobody expected", 0)
    end

    local ok, err = pcall(one.stop, one)

    assert.same({ false, "a warning that nobody expected" }, { ok, err })
    assert.is_false(process:running())
    local other = postgres.empty_database()
    assert.equal("0", other.session:value(("select count(*) from pg_database where datname = '%s'"):format(database)))
    other:drop()
  end)

  it("is killed if it does not end when it is asked to", function()
    local limit_ms = server_of.STOP_MS
    finally(function() server_of.STOP_MS = limit_ms end)
    local deaf = server_of.start { url = "postgresql:///none", program = { "/bin/sh", "-c",
      "trap '' TERM; echo ready http://127.0.0.1:9; exec sleep 1000" } }

    server_of.STOP_MS = 50
    local ok, err = pcall(deaf.stop, deaf)

    assert.is_false(ok)
    assert.matches("not within 50 ms: the end of a process", err)
    assert.is_false(deaf:running())
  end)
end)
