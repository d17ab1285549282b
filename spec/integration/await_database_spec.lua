-- A server that is started while Postgres cannot be reached, and told to wait for it: as in a container.

local cluster = require "spec.support.cluster"
local files = require "spec.support.files"
local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local server = require "spec.support.server"
local ws = require "spec.support.ws"

describe("with await_database", function()
  local postgres, folder, app, s

  before_each(function()
    postgres, folder = cluster.new(), files.folder()
    app = folder .. "/app.lua"
    files.write(app, fixtures.app)
  end)
  after_each(function()
    if s and s:running() then s:kill() end
    postgres:remove()
    files.remove(folder)
  end)

  local function start(url)
    postgres:stop()
    s = server.start { url = url, app = app, env = { LEAT_AWAIT_DATABASE = "true" },
      log = { "started without the database", "connect failed", "listener failed", "history not confirmed",
        "trimming the outbox", "cannot be served" } }
  end

  local function readiness()
    return http.request(s, "/readyz?verbose")
  end

  it("a server starts without its database, says what it lacks, and serves once that is there", function()
    local db = postgres:database(fixtures.schema)
    start(db.url)

    local before = readiness()
    assert.equal(503, before.status)
    assert.matches("database: down: [^\n]*No such file or directory", before.body)
    assert.equal(200, http.request(s, "/healthz").status)
    s:await_log "WARN server started without the database, which is waited for err=.*cannot connect to the database"
    postgres:start()

    s:await_log "INFO server the database is there, and was examined"
    loop.eventually(function() return readiness().status == 200 end, 20000, function() return readiness().body end)
    local client = ws.connect(s, { token = "alice" })
    client:subscribe("room:1")
    client:close()
    s:stop()
  end)

  it("it ends if it must not serve what is there", function()
    local db = postgres:database(fixtures.schema)
    db.session:run "drop schema leat, leat_internal cascade"
    start(db.url)
    postgres:start()

    local code = s.process:wait(30000)

    assert.equal(1, code)
    s:await_log "ERROR server the database is there, and cannot be served err=.*schema leat is not installed"
    assert.equal("leat: schema leat is not installed: run leat migrate", s.log[#s.log])
  end)

  it("a server that is told to stop meanwhile stops", function()
    local db = postgres:database(fixtures.schema)
    start(db.url)

    s:send_signal("sigterm")

    assert.equal(0, s.process:wait(30000))
  end)
end)
