-- Which names the server answers for: against pages whose own name is made to point to it.

local console = require "spec.support.console"
local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"
local ws = require "spec.support.ws"

local APP = fixtures.app:gsub("return app%s*$", [[
app:route("GET /open", function() return { status = 200, body = "read" } end, { public = true })
app:websocket("/raw", { message = function(conn, data) conn:send(data) end })
return app
]])

local PUBLIC = { ["index.html"] = "hello" }

local function open(variables)
  return stage.open { app = APP, schema = fixtures.schema, env = variables, public = PUBLIC }
end

local function status(s, host, path, headers)
  local all = { Host = host }
  for name, value in pairs(headers or {}) do all[name] = value end
  return http.request(s.server, { path = path or "/open", headers = all }).status
end

local function statuses(s, hosts, path, headers)
  local all = {}
  for i, host in ipairs(hosts) do all[i] = status(s, host, path, headers) end
  return all
end

local LOCAL = { "localhost", "LOCALHOST:8080", "localhost.", "localhost:", "app.localhost:1", "127.0.0.1",
  "127.0.0.1:8080", "127.0.0.1.", "[::1]", "[::1]:8080", "192.0.2.1", "mybox", "mybox:8080", "mybox.", "" }
local FOREIGN = { "evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example",
  "evil.example.", "localhost,evil", "localhost:65536", "127.1" }
local MALFORMED = { "localhost@evil.example", "evil.example@localhost", "[::1].evil.example", "[::1", "[evil.example]x",
  "::1", "[fe80::1%25eth0]", "localhost:1:2", "localhost:8o", "localhost evil", "localhost/", "http://localhost" }

describe("a server that listens on this machine alone", function()
  local s

  lazy_setup(function() s = open() end)
  lazy_teardown(function() s:close() end)

  it("answers for names that no page of the internet can have", function()
    for _, host in ipairs(LOCAL) do assert.equal(200, status(s, host), host) end
  end)

  it("refuses all others, on every path", function()
    local before = metrics.value(s.server, "leat_hosts_refused_total")
    for _, host in ipairs(FOREIGN) do assert.equal(421, status(s, host), host) end
    for _, host in ipairs(MALFORMED) do assert.equal(400, status(s, host), host) end
    for _, path in ipairs { "/", "/nothing", "/healthz", "/readyz", "/metrics", "/rooms/1/stream" } do
      assert.equal(421, status(s, "evil.example", path), path)
    end
    for _, path in ipairs { "/ws", "/raw", "/rooms/1/stream" } do
      local page = ws.headers { Authorization = "Bearer alice", Origin = "http://evil.example" }
      assert.equal(421, status(s, "evil.example", path, page), path)
    end
    assert.equal(before + #FOREIGN + 9, metrics.value(s.server, "leat_hosts_refused_total"))
    s.server:await_log("host refused host=evil.example remote=127.0.0.1")
  end)

  it("says why, in plain text, and not for whom", function()
    local answer = http.request(s.server, { path = "/open", headers = { Host = "evil.example" } })

    assert.equal("This server does not answer for that host (allowed_hosts).\n", answer.body)
    assert.match("^text/plain", answer.headers["content-type"])
  end)

  it("believes no header of a proxy that nobody trusts", function()
    assert.equal(421, status(s, "evil.example", nil, { ["X-Forwarded-Host"] = "localhost" }))
    assert.equal(200, status(s, "localhost", nil, { ["X-Forwarded-Host"] = "evil.example" }))
  end)

  it("takes the name of an absolute target instead of Host's", function()
    local function raw(target, host)
      return http.raw(s.server, ("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n"):format(target, host)).status
    end
    assert.equal(421, raw("http://evil.example/open", "localhost"))
    assert.equal(200, raw("http://localhost/open", "evil.example"))
    assert.equal(200, raw("http://localhost:99?x=1", "evil.example"))
    assert.equal(421, raw("http://evil.example", "localhost"))
    assert.equal(400, raw("http://localhost@evil.example/open", "localhost"))
  end)

  it("needs exactly one Host of HTTP/1.1, and none of HTTP/1.0", function()
    assert.equal(400, http.raw(s.server, "GET /open HTTP/1.1\r\n\r\n").status)
    assert.equal(400, http.raw(s.server, "GET /open HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n").status)
    assert.equal(200, http.raw(s.server, "GET /open HTTP/1.0\r\n\r\n").status)
    assert.equal(421, http.raw(s.server, "GET /open HTTP/1.0\r\nHost: evil.example\r\n\r\n").status)
  end)
end)

describe("a server that other machines can reach", function()
  it("answers for any name", function()
    local s = open { LEAT_LISTEN = ":0" }
    assert.same({ 200, 200, 200 }, statuses(s, { "example.org", "localhost", "127.0.0.1" }))
    s:close()
  end)
end)

describe("a server on this machine with a trusted proxy", function()
  it("answers for any name", function()
    local s = open { LEAT_TRUSTED_PROXIES = "127.0.0.1" }
    assert.same({ 200, 200 }, statuses(s, { "example.org", "localhost" }))
    s:close()
  end)
end)

describe("allowed_hosts", function()
  local s

  lazy_setup(function()
    s = open { LEAT_ALLOWED_HOSTS = "example.org, *.example.net:8443, [2001:db8::1]",
      LEAT_TRUSTED_PROXIES = "127.0.0.9", LEAT_METRICS_LISTEN = "127.0.0.1:0" }
  end)
  lazy_teardown(function() s:close() end)

  it("names those that are answered, and no others", function()
    assert.same({ 200, 200, 200, 200, 200 },
      statuses(s, { "example.org", "EXAMPLE.org:8080", "a.b.example.net:8443", "[2001:db8:0::1]:99", "example.org." }))
    assert.same({ 421, 421, 421, 421, 421, 421 },
      statuses(s, { "www.example.org", "example.net:8443", "a.example.net", "127.0.0.1", "localhost", "evil.example" }))
    assert.equal(421, http.raw(s.server, "GET /open HTTP/1.0\r\n\r\n").status)
    assert.equal(200, status(s, "example.org", "/index.html"))
    assert.equal(421, status(s, "evil.example", "/index.html"))
  end)

  it("lets probes ask by address", function()
    for _, host in ipairs { "127.0.0.1", "[::1]:8080", "localhost", "10.0.0.5:8080", "example.org" } do
      assert.equal(200, status(s, host, "/healthz"), host)
    end
    assert.equal(200, http.raw(s.server, "GET /healthz HTTP/1.0\r\n\r\n").status)
    assert.equal(421, status(s, "evil.example", "/healthz"))
  end)

  it("is about the host that a trusted proxy was asked for", function()
    local function through(headers)
      headers.Host = headers.Host or "127.0.0.1:8080"
      return http.request(s.server, { path = "/open", from = "127.0.0.9", headers = headers }).status
    end
    assert.equal(200, through { ["X-Forwarded-Host"] = "example.org" })
    assert.equal(200, through { Forwarded = 'for=1.1.1.1;host="example.org:8080"' })
    assert.equal(200, through { Host = "example.org" })
    assert.equal(421, through { ["X-Forwarded-Host"] = "evil.example", Host = "example.org" })
    assert.equal(421, through { ["X-Forwarded-Host"] = "example.org, evil.example", Host = "example.org" })
    assert.equal(421, through { ["X-Forwarded-Host"] = "" })
    assert.equal(421, status(s, "evil.example", nil, { ["X-Forwarded-Host"] = "example.org" }))
  end)

  it("has metrics_listen ask for local names, if it is on this machine", function()
    local port = tonumber((s.server:await_log("metrics address=%S+:(%d+)")))
    local function inside(host)
      return http.request(s.server, { path = "/metrics", port = port, headers = { Host = host } }).status
    end
    assert.same({ 200, 200, 200, 421 }, { inside("localhost"), inside("127.0.0.1:9090"), inside("example.org"),
      inside("evil.example") })
  end)
end)

describe("a star", function()
  it("is any host", function()
    local s = open { LEAT_ALLOWED_HOSTS = "*" }
    assert.same({ 200, 200 }, statuses(s, { "evil.example", "localhost" }))
    s:close()
  end)
end)

-- Each form of a request: its answer where only local names are answered, its target, its Host.
local FORMS = {
  { 200, "%s", "localhost" },
  { 421, "%s", "evil.example" },
  { 421, "http://evil.example%s", "localhost" },
  { 421, "HTTP://evil.example:80%s", "localhost" },
  { 200, "http://localhost%s", "evil.example" },
  { 200, "http://[::1]:8080%s", "evil.example" },
  { 421, "http://localhost.evil.example%s", "localhost" },
  { 400, "http://localhost@evil.example%s", "localhost" },
  { 400, "http://evil.example@localhost%s", "localhost" },
  { 400, "http://%s", "localhost" },
  { 400, "https://localhost%s", "localhost" },
  { 400, "%s", "localhost\r\nHost: evil.example" },
  { 400, "%s", "localhost\r\nHost: localhost" },
  { 400, "%s", "localhost, evil.example" },
}

describe("every listener on this machine", function()
  local CONSOLE = 3
  local s, places

  local function expect(place, expected, target, host)
    target = target:format(place[2])
    local answer = http.raw(place[1], ("GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n"):format(
      target, host, console.TOKEN))
    assert.same({ target, host, expected }, { target, host, answer.status })
  end

  lazy_setup(function()
    s = open { LEAT_METRICS_LISTEN = "127.0.0.1:0", LEAT_CONSOLE_LISTEN = "127.0.0.1:0",
      LEAT_CONSOLE_TOKEN = console.TOKEN }
    places = {
      { s.server, "/open" },
      { { port = tonumber((s.server:await_log("metrics address=%S+:(%d+)"))) }, "/metrics" },
      { console.of(s.server).server, "/console/api/config" },
    }
  end)
  lazy_teardown(function() s:close() end)

  it("takes the host of the target, else that of Host, and exactly one", function()
    for _, place in ipairs(places) do
      for _, form in ipairs(FORMS) do expect(place, table.unpack(form)) end
    end
  end)

  it("knows that a name without a dot can be somebody's of the same network, where the console is concerned", function()
    for i, place in ipairs(places) do
      local expected = i == CONSOLE and 421 or 200
      for _, host in ipairs { "evil", "evil:8080", "evil.", "2130706433" } do
        expect(place, expected, "%s", host)
        expect(place, expected, "http://" .. host .. "%s", "localhost")
      end
    end
    local file = assert(io.open("/proc/sys/kernel/hostname"))
    expect(places[CONSOLE], 200, "%s", file:read("l"))
    file:close()
  end)
end)
