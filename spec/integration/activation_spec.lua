-- Sockets that a service manager opens and holds (systemd's socket activation): a restart refuses nobody.

local activation = require "spec.support.activation"
local control = require "spec.support.control"
local env = require "spec.support.env"
local files = require "spec.support.files"
local fixtures = require "spec.support.fixtures"
local follower = require "spec.support.follower"
local http = require "spec.support.http"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local psql = require "spec.support.psql"
local server = require "spec.support.server"
local tcp = require "spec.support.tcp"
local tls = require "spec.support.tls"
local ws = require "spec.support.ws"

describe("a server whose sockets a service manager holds", function()
  local db, folder, app, sockets, running

  before_each(function()
    db = postgres.database(fixtures.schema .. "create table enough ()")
    folder = files.folder()
    app = folder .. "/app.lua"
    files.write(app, fixtures.app)
    sockets, running = {}, nil
  end)
  after_each(function()
    if running then running:stop() end
    for _, socket in ipairs(sockets) do socket:close() end
    db:drop()
    files.remove(folder)
  end)

  local function socket(name)
    sockets[#sockets + 1] = activation.socket(name)
    return sockets[#sockets]
  end

  local function start(variables)
    local all = { LEAT_WORKERS = 3, LEAT_DRAIN_MS = 300, LEAT_CONTROL = folder .. "/control" }
    for key, value in pairs(variables or {}) do all[key] = value end
    running = server.start { url = db.url, app = app, sockets = sockets, env = all }
    return running
  end

  it("serves on them, and spreads the connections evenly over its workers", function()
    local listening = socket "listen"
    local s = start()
    local clients = {}
    for i = 1, 12 do clients[i] = ws.connect(s, { token = "alice" }) end

    assert.equal(listening.port, s.port)
    local workers = control.show(folder .. "/control", "summary").workers
    local counts = {}
    for i, worker in ipairs(workers) do counts[i] = worker.clients end
    assert.same({ 4, 4, 4 }, counts)
    for _, client in ipairs(clients) do client:close() end
  end)

  it("is restarted under a stream of connections, and refuses none; its clients lose nothing", function()
    local listening = socket "listen"
    local s = start()
    local f = follower.new("room:1")
    f:on(ws.connect(s, { token = "alice" }))
    f:await(function() return f.snapshots == 1 end)
    local publisher = psql.start(db.url, psql.PUBLISH)
    local stream = activation.stream(listening.port, 6)
    stream:await(100)

    for round = 1, 3 do
      local old = s
      old:send_signal("sigterm")
      assert.equal(0, old.process:wait())
      assert.equal(1001, (f.client:closed()))
      f:catch_up()
      s = start()
      stream:await(100)
      f:on(ws.connect(s, { token = "alice" }))
      f:await(function() return f.resumes == round end)
    end
    stream:stop()
    db.session:run("insert into enough default values")
    assert.equal(0, publisher:wait())
    f:await_position(db.session)

    assert.same({}, stream.errors)
    assert.same({ [200] = stream.total }, stream.answers)
    assert.equal(1, f.snapshots)
    f.client:close()
  end)

  it("speaks TLS on the one that is for it", function()
    local one = tls.certificate(folder, "one.test")
    local plain, secure = socket "listen", socket "tls_listen"
    local s = start(tls.variables(one))

    assert.equal(plain.port, s.port)
    assert.equal(secure.port, tls.port(s))
    assert.equal(200, http.request(s, "/healthz").status)
    for _ = 1, 6 do
      local text = tls.ask(secure.port, { "-quiet", "-CAfile", one.certificate, "-verify_return_error" },
        "GET /healthz HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n")
      assert.truthy(text:find("HTTP/1.1 200", 1, true), text)
    end
  end)

  it("leaves connections at the socket while its workers have too many to take", function()
    files.write(app, [[
local leat = require "leat"
local app = leat.app()
app:route("GET /hang", function() while true do end end, { public = true })
return app
]])
    local listening = socket "listen"
    local s = start { LEAT_WORKERS = 1, LEAT_SCRIPT_BUDGET_MS = 1000, LEAT_MAX_CONNECTIONS_PER_ADDRESS = 1000,
      LEAT_HEADER_TIMEOUT_MS = 120000 }
    s:expect_log("computed for longer than script_budget_ms")
    s:expect_log("no answer in time") -- a worker that hangs on a busy machine answers nobody, nor Postgres
    local hanging = tcp.connect(s.port)
    hanging:write(http.text { path = "/hang" })
    local stream = activation.stream(listening.port, 400)
    stream:await(800)
    stream:stop()

    assert.same({}, stream.errors)
    assert.same({ [200] = stream.total }, stream.answers)
    hanging:close()
  end)

  it("may have several for one key", function()
    local first, second = socket "listen", socket "listen"
    local s = start()

    for _, listening in ipairs { first, second } do
      s.port = listening.port
      assert.equal(200, http.request(s, "/healthz").status)
    end
  end)

  it("leaves alone what is for another process", function()
    local code, out = process.run("/bin/sh", { args = { "-c", 'LISTEN_PID=$(($$ + 1)) exec "$0" serve', env.binary() },
      env = { LISTEN_FDS = 1, LEAT_DATABASE_URL = "postgresql://127.0.0.1:1/none", LEAT_APP = app } })

    assert.equal(1, code, out)
  end)

  local function refusal(names, variables)
    local all = { LISTEN_FDS = #names, LISTEN_FDNAMES = table.concat(names, ":"), LEAT_APP = app }
    for key, value in pairs(variables or {}) do all[key] = value end
    local extra = {}
    for i, socket_of in ipairs(sockets) do extra[i] = socket_of.handle end
    local p = process.spawn("/bin/sh", { args = { "-c", 'LISTEN_PID=$$ exec "$0" serve', env.binary() }, env = all,
      extra = extra })
    assert.equal(2, p:wait())
    return table.concat(p.err, "\n")
  end

  it("is refused, with the reason, if it cannot use one", function()
    socket "any"

    assert.matches('name "leat.socket": expected FileDescriptorName=listen or tls_listen', refusal { "leat.socket" }, 1,
      true)
    assert.matches('name "tls_listen", but the key of that name is not set', refusal { "tls_listen" }, 1, true)
    assert.matches('name "listen", but the key of that name is not set',
      refusal({ "listen" }, { LEAT_LISTEN = "none", LEAT_TLS_LISTEN = "127.0.0.1:0" }), 1, true)
    assert.matches("descriptor 4 of the service manager is no TCP socket that listens", refusal { "listen", "listen" },
      1, true)
  end)
end)
