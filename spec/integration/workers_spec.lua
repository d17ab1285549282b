-- Several workers: how many there are, who gets the connections, what they share of the database, and what becomes of
-- the others while the scripts of one compute.

local control = require "spec.support.control"
local env = require "spec.support.env"
local fixtures = require "spec.support.fixtures"
local process = require "spec.support.process"
local stage = require "spec.support.stage"

local APP = fixtures.app:gsub("return app%s*$", "") .. [[
local hoard = {}
app:method("hang", function() while true do end end)
app:method("hoard", function() while true do hoard[#hoard + 1] = ("x"):rep(100000) .. #hoard end end)
return app
]]

local function threads(pid)
  local _, names = process.run("/bin/sh", { args = { "-c", ("cat /proc/%d/task/*/comm"):format(pid) } })
  local found = {}
  for name in names:gmatch("%S+") do found[name] = true end
  return found
end

local function cores()
  local _, out = process.run("nproc", { args = {} })
  return tonumber(out)
end

describe("workers", function()
  local s, path

  before_each(function() path = control.path() end)
  after_each(function()
    if s then s:close() end
    s = nil
    control.remove(path)
  end)

  local function serve(variables)
    variables.LEAT_CONTROL = path
    s = stage.open { app = APP, schema = fixtures.schema, env = variables,
      -- A busy machine gives scripts their processor time so slowly that what their thread asks the database is late.
      log = (variables.LEAT_SCRIPT_BUDGET_MS or variables.LEAT_SCRIPT_MEMORY_BYTES)
        and { "script failed", "outbox not read" } or nil }
  end

  local function clients_of_each()
    local counts = {}
    for i, worker in ipairs(control.show(path, "summary").workers) do counts[i] = worker.clients end
    return counts
  end

  local function pool_sizes()
    local sizes, sum = {}, 0
    for i, worker in ipairs(control.show(path, "pool").workers) do
      sizes[i] = worker.size
      sum = sum + worker.size
    end
    return sizes, sum
  end

  it("are as many as the cores, unless the configuration says otherwise", function()
    serve { LEAT_WORKERS = "auto" }

    assert.equal(math.min(cores(), 5), #clients_of_each())
    local _, shown = control.run(path, "show", "config")
    assert.matches(("\nworkers +%d +yes"):format(#clients_of_each()), shown)
  end)

  it("are no more than the connections to the database", function()
    serve { LEAT_WORKERS = "auto", LEAT_POOL_SIZE = 1 }

    assert.same({ 1 }, (pool_sizes()))
  end)

  it("have two connections at least, one of them for handshakes", function()
    serve { LEAT_WORKERS = "auto", LEAT_POOL_SIZE = 2 }

    assert.same({ 2 }, (pool_sizes()))
  end)

  it("share out the connections to the database", function()
    serve { LEAT_WORKERS = 3 }

    local sizes, sum = pool_sizes()
    assert.same({ 4, 3, 3 }, sizes)
    assert.equal(10, sum)
  end)

  it("get about equally many of the connections that come one by one", function()
    serve { LEAT_WORKERS = 2, LEAT_MAX_CONNECTIONS_PER_ADDRESS = 1000, LEAT_CONNECTION_BURST_PER_ADDRESS = 1000 }
    for _ = 1, 200 do s:connect { token = "alice" } end

    local counts = clients_of_each()
    -- The kernel draws lots. Five standard deviations.
    assert.equal(200, counts[1] + counts[2])
    assert.is_true(math.abs(counts[1] - 100) < 36, ("%d and %d"):format(counts[1], counts[2]))
  end)

  -- Returns a client of each of two workers.
  local function client_of_each()
    local of, before = {}, { 0, 0 }
    while not (of[1] and of[2]) do
      local client = s:connect { token = "alice" }
      local now = clients_of_each()
      of[now[1] > before[1] and 1 or 2] = client
      before = now
    end
    return of[1], of[2]
  end

  it("go on while the scripts of another one compute without end", function()
    serve { LEAT_WORKERS = 2, LEAT_SCRIPT_BUDGET_MS = 800 } -- of processor time
    local first, second = client_of_each()
    second:subscribe "room:1"
    first:send { op = "call", id = 1, method = "hang" }

    s.session:publish("room:1", '"meanwhile"')
    local event = second:expect "event"
    second:subscribe "room:3"

    assert.equal(1, event.seq)
    assert.equal(0, first:waiting())
    assert.equal("internal", first:expect("error", 1, 60000).code)
    first:subscribe "room:1"
  end)

  it("go on when the scripts of another one have filled their memory", function()
    serve { LEAT_WORKERS = 2, LEAT_SCRIPT_MEMORY_BYTES = 16 << 20, LEAT_SCRIPT_BUDGET_MS = 60000 }
    local first, second = client_of_each()
    second:subscribe "room:1"
    first:send { op = "call", id = 1, method = "hoard" }
    assert.equal("internal", first:expect("error", 1).code)

    s.session:publish("room:1", '"afterwards"')
    local event = second:expect "event"
    second:subscribe "room:3"

    assert.equal(1, event.seq)
    assert.equal("afterwards", event.data)
  end)

  it("leave the hub a thread of its own if there are several", function()
    serve { LEAT_WORKERS = 2 }

    assert.is_true(threads(s.server.process.pid)["leat-hub"])
  end)

  -- The hub's time-outs would pass meanwhile.
  it("leave the hub a thread of its own if the scripts of the only one may compute for seconds", function()
    serve { LEAT_WORKERS = 1, LEAT_SCRIPT_BUDGET_MS = 1001 }

    assert.is_true(threads(s.server.process.pid)["leat-hub"])
  end)

  it("share their thread with the hub if there is only one, which outlives scripts that compute", function()
    serve { LEAT_WORKERS = 1, LEAT_SCRIPT_BUDGET_MS = 200 }
    assert.is_nil(threads(s.server.process.pid)["leat-hub"])
    local busy, client = s:connect { token = "alice" }, s:connect { token = "alice" }
    client:subscribe "room:1"
    busy:send { op = "call", id = 1, method = "hang" }
    for i = 1, 3 do s.session:publish("room:1", i) end

    assert.equal("internal", busy:expect("error", 1).code)
    for i = 1, 3 do assert.equal(i, client:expect("event").seq) end
    local counts = s:metrics()
    assert.equal(0, counts.leat_listener_reconnects_total)
    assert.equal(0, counts.leat_gaps_repaired_total)
  end)

  -- They share the port with each other, by an option that would let any socket of the same user join.
  it("share a port with nobody else, and not two listeners of the same server", function()
    serve { LEAT_WORKERS = 3 }
    local port = s.server.port
    local function start(variables)
      variables.LEAT_DATABASE_URL, variables.LEAT_APP, variables.LEAT_WORKERS = s.db.url, s.app, 3
      local code, _, err = process.run(env.binary(), { args = { "serve" }, env = variables })
      return code, err
    end

    for _, place in ipairs { "127.0.0.1:%d", ":%d", "[::ffff:127.0.0.1]:%d" } do
      local code, err = start { LEAT_LISTEN = place:format(port) }
      assert.equal(1, code)
      assert.matches("cannot listen on " .. place:format(port) .. ": address already in use", err, 1, true)
    end
    s:stop()

    for _, other in ipairs { "127.0.0.1:%d", ":%d", "0.0.0.0:%d" } do
      local code, err = start { LEAT_LISTEN = "127.0.0.1:" .. port, LEAT_METRICS_LISTEN = other:format(port) }
      assert.equal(1, code, other)
      assert.matches("cannot listen on 127.0.0.1:" .. port .. ": address already in use", err, 1, true)
    end
  end)
end)
