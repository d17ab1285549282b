-- The console: its keys in the configuration, and its end.

local console = require "spec.support.console"
local control = require "spec.support.control"
local env = require "spec.support.env"
local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local process = require "spec.support.process"
local stage = require "spec.support.stage"

local TOKEN = console.TOKEN

describe("a console that is open while the server stops", function()
  it("ends its streams", function()
    local s = stage.open { app = fixtures.app, schema = fixtures.schema, env = console.variables() }
    local stream = console.of(s.server):stream("live")
    assert.equal("sample", stream:recv().event)
    s:close() -- fails if the process does not end by itself
    stream:close()
  end)
end)

describe("console_listen", function()
  local function serve(more)
    local all = { LEAT_DATABASE_URL = "postgres://127.0.0.1:1/none", LEAT_LISTEN = "127.0.0.1:0" }
    for name, value in pairs(more) do all[name] = value end
    local code, _, err = process.run(env.binary(), { args = { "serve" }, env = all })
    return code, err
  end

  it("is off by default", function()
    local s = stage.open { app = fixtures.app, schema = fixtures.schema }
    assert.equal(404, http.request(s.server, "/console/").status)
    assert.equal(404, http.request(s.server, "/console/api/summary").status)
    s:close()
  end)

  it("needs a token if other machines reach the address", function()
    for _, place in ipairs { ":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:8090" } do
      local code, err = serve { LEAT_CONSOLE_LISTEN = place }
      assert.equal(2, code)
      assert.matches('console_listen = "' .. place .. '": other machines reach this address, so console_token '
        .. 'has to be set', err, 1, true)
      local checked, report = process.run(env.binary(), { args = { "check" }, env = { LEAT_CONSOLE_LISTEN = place,
        LEAT_DATABASE_URL = "postgres://127.0.0.1:1/none" } })
      assert.equal(2, checked)
      assert.matches("console_token has to be set", report, 1, true)
    end
  end)

  it("asks for none on this machine, if none is set", function()
    local s = stage.open { app = fixtures.app, schema = fixtures.schema, env = { LEAT_CONSOLE_LISTEN = "127.0.0.1:0" } }
    local k = console.of(s.server)
    assert.equal(200, k:request({ path = "/console/api/summary" }).status)
    assert.equal(421, k:request({ path = "/console/api/summary", headers = { Host = "evil.example" } }).status)
    assert.equal(403, k:request({ method = "POST", path = "/console/api/reload" }).status)
    s:close()
  end)

  it("takes no short token, and does not repeat it", function()
    for _, token in ipairs { "short-token-123", "with a blank 0123456789", "ümlaut-0123456789abc" } do
      local code, err = serve { LEAT_CONSOLE_LISTEN = "127.0.0.1:0", LEAT_CONSOLE_TOKEN = token }
      assert.equal(2, code)
      assert.matches("LEAT_CONSOLE_TOKEN: console_token = (not shown): expected a string of at least 16", err, 1, true)
      assert.is_nil(err:find(token, 1, true))
    end
  end)

  it("says so if the address is taken", function()
    local s = stage.open { app = fixtures.app, schema = fixtures.schema, env = console.variables() }
    local place = "127.0.0.1:" .. console.of(s.server).port
    local code, err = serve { LEAT_CONSOLE_LISTEN = place }
    assert.equal(1, code)
    assert.matches('console_listen = "' .. place .. '": address already in use', err, 1, true)
    s:close()
  end)

  it("is a Unix socket, too", function()
    local path = control.path()
    local s = stage.open { app = fixtures.app, schema = fixtures.schema,
      env = { LEAT_CONSOLE_LISTEN = path, LEAT_CONSOLE_TOKEN = TOKEN } }
    local function status(...)
      local _, out = process.run("/usr/bin/curl", { args = { "-s", "-o", "/dev/null", "-w", "%{http_code}",
        "--unix-socket", path, "http://localhost/console/api/summary", ... } })
      return out:match("%d+")
    end
    assert.equal("401", status())
    assert.equal("200", status("-H", "Authorization: Bearer " .. TOKEN))
    s:close()
    control.remove(path)
  end)
end)

describe("console_hosts", function()
  it("names the hosts that the console is asked for", function()
    local s = stage.open { app = fixtures.app, schema = fixtures.schema,
      env = console.variables { LEAT_CONSOLE_HOSTS = "ops.example" } }
    local k = console.of(s.server)
    local function status(host)
      return k:request({ path = "/console/api/summary", headers = { Host = host } }, TOKEN).status
    end
    assert.same({ 200, 421, 421 }, { status("ops.example"), status("other.example"), status("127.0.0.1") })
    s:close()
  end)
end)
