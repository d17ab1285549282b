-- docs/security.md: the configuration of its checklist is accepted, serves by TLS, and hides what it should.

local env = require "spec.support.env"
local files = require "spec.support.files"
local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local markdown = require "spec.support.markdown"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local tls = require "spec.support.tls"

describe("docs/security.md", function()
  local db, folder, variables, file

  -- The paths and ports of this machine take the place of the page's. Only release builds can be confined.
  local function adapted(text)
    local cert = tls.certificate(folder, "localhost")
    text = text:gsub("/etc/leat/tls/fullchain.pem", cert.certificate)
      :gsub("/etc/leat/tls/privkey.pem", cert.key)
      :gsub('":443"', '"127.0.0.1:0"'):gsub("127.0.0.1:9090", "127.0.0.1:0"):gsub("/srv/chat", folder)
    local release = os.getenv("LEAT_RELEASE_BIN")
    return env.binary() == release and text or (text:gsub('confine = "on"', 'confine = "auto"'))
  end

  lazy_setup(function()
    db = postgres.database(fixtures.schema)
    folder = files.folder()
    files.write(folder .. "/app.lua", fixtures.app)
    file = folder .. "/leat.lua"
    files.write(file, adapted(markdown.block(env.root() .. "/docs/security.md", "lua checklist")))
    variables = { LEAT_DATABASE_URL = db.url, LEAT_DRAIN_MS = "0" }
  end)
  lazy_teardown(function()
    db:drop()
    files.remove(folder)
  end)

  it("has a configuration for a public server that leat check accepts", function()
    local code, out, err = process.run(env.binary(), { args = { "check", "--config", file }, env = variables })

    assert.equal(0, code, out .. err)
    assert.matches("configuration: ok", out)
    assert.not_matches("warning", out)
  end)

  it("has one with which the metrics are only at their own address", function()
    local running = process.spawn(env.binary(), { args = { "serve", "--config", file }, env = variables })
    local function address_of(what)
      for _, line in ipairs(running.err) do
        local port = line:match(what .. "[^\n]* address=127.0.0.1:(%d+)")
        if port then return tonumber(port) end
      end
    end
    loop.eventually(function() return address_of("listening") or not running:running() end, 20000,
      function() return running:output() end)

    local metrics = http.request({ port = address_of("INFO server metrics") }, { path = "/metrics" })
    assert.equal(200, metrics.status)
    assert.matches("leat_confined", metrics.body)
    local public = tls.ask(address_of("listening"), { "-quiet" },
      "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert.matches("HTTP/1.1 404", public)
    assert.not_matches("leat_confined", public)
    running:send_signal("sigterm")
    assert.equal(0, running:wait(20000))
  end)
end)
