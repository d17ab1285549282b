-- What anybody may see and do, as the server is installed.

local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local pg = require "spec.support.pg"
local stage = require "spec.support.stage"
local uv = require "luv"
local ws = require "spec.support.ws"

local APP = fixtures.app:gsub("return app%s*$", [[
app:route("POST /guarded", function() return { status = 200, body = "done" } end)
app:route("GET /guarded", function() return { status = 200, body = "read" } end)
app:route("POST /open", function() return { status = 200, body = "done" } end, { public = true })
app:websocket("/raw", { message = function(conn, data) conn:send(data) end })
return app
]])

-- An address of this machine that is not its loopback.
local function outer_address()
  for _, list in pairs(uv.interface_addresses()) do
    for _, address in ipairs(list) do
      if not address.internal and address.family == "inet" then return address.ip end
    end
  end
  return nil
end

local PASSED_ON = { { ["X-Forwarded-For"] = "1.2.3.4" }, { ["X-Forwarded-Proto"] = "https" }, { Via = "1.1 x" },
  { Forwarded = "for=1.2.3.4" }, { ["X-Real-IP"] = "1.2.3.4" },
  { ["CF-Connecting-IP"] = "1.2.3.4" }, { ["True-Client-IP"] = "1.2.3.4" }, { ["X-Client-IP"] = "1.2.3.4" } }

describe("by default", function()
  local s

  lazy_setup(function()
    s = stage.open { app = APP, schema = fixtures.schema, env = { LEAT_LISTEN = ":0" } }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  local function status(request)
    return http.request(s.server, request).status
  end

  local function upgrade(origin, path, changes)
    local headers = ws.headers { Origin = origin, Authorization = "Bearer alice", Host = "example.org" }
    for name, value in pairs(changes or {}) do headers[name] = value end
    return status { path = path or "/ws", headers = headers }
  end

  it("pages of other origins open nothing", function()
    local before = metrics.value(s.server, "leat_origins_refused_total")
    for _, path in ipairs { "/ws", "/rooms/1/stream", "/raw" } do
      for _, origin in ipairs { "http://evil.example", "http://example.org.evil.example", "http://example.org:8080",
        "https://example.org:80", "null", "", "example.org", "http://", "http://example.org/",
        "http://user@example.org", "http://example.or", "file://", "ftp://example.org", "https://" } do
        assert.equal(403, upgrade(origin, path), path .. " " .. origin)
      end
    end
    assert.equal(before + 42, metrics.value(s.server, "leat_origins_refused_total"))
    s.server:await_log("origin refused origin=http://evil.example host=example.org")
  end)

  it("pages of its own do, and clients without an origin", function()
    assert.equal(101, upgrade("http://example.org"))
    assert.equal(101, upgrade("http://EXAMPLE.org:80"))
    assert.equal(101, upgrade("https://example.org"))
    assert.equal(101, upgrade("https://example.org:443"))
    assert.equal(101, upgrade("https://example.org:8443", nil, { Host = "example.org:8443" }))
    assert.equal(101, upgrade("http://example.org:8080", nil, { Host = "example.org:8080" }))
    assert.equal(101, upgrade("http://[::1]:8080", nil, { Host = "[::1]:8080" }))
    assert.equal(101, upgrade("http://example.org", "/raw"))
    assert.equal(101, upgrade(nil))
  end)

  it("do not believe what a proxy says whom nobody trusts", function()
    assert.equal(403, upgrade("https://evil.example", nil, { ["X-Forwarded-Host"] = "evil.example",
      ["X-Forwarded-Proto"] = "https" }))
  end)

  it("pages of other origins get no stream, and send nothing to guarded routes", function()
    local foreign = { Origin = "http://evil.example", Authorization = "Bearer alice" }

    assert.equal(403, status { path = "/rooms/1/stream", headers = { Accept = "text/event-stream",
      Origin = foreign.Origin, Authorization = foreign.Authorization } })
    assert.equal(403, status { method = "POST", path = "/guarded", headers = foreign, body = "x" })
    assert.equal(200, status { path = "/guarded", headers = foreign })
    assert.equal(200, status { method = "POST", path = "/open", headers = foreign, body = "x" })
    assert.equal(200, status { method = "POST", path = "/guarded", body = "x",
      headers = { Origin = "http://localhost", Authorization = "Bearer alice" } })
  end)

  it("/metrics is there for peers on this machine only", function()
    assert.equal(200, status { path = "/metrics" })
    assert.equal(200, status { path = "/metrics", from = "127.0.0.7" })
    assert.equal(200, status { path = "/metrics", to = "::1" })
    for _, headers in ipairs(PASSED_ON) do
      assert.equal(404, status { path = "/metrics", headers = headers })
      assert.equal(404, status { path = "/metrics", method = "POST", headers = headers })
    end
  end)

  it("/metrics is not there for other machines", function()
    local address = outer_address()
    if not address then pending("this machine has no address but its loopback") return end

    assert.equal(404, status { path = "/metrics", to = address })
    assert.equal(200, status { path = "/healthz", to = address })
    loop.eventually(function() return status { path = "/readyz", to = address } == 200 end)
  end)
end)

describe("/readyz", function()
  it("names its reasons to those who may know", function()
    local s = stage.open { app = fixtures.app, schema = fixtures.schema, log = { "WARN pg" } }
    local admin = pg.connect(s.db.admin_url)
    metrics.await(s.server, "leat_listener_connected", 1)
    admin:run(("alter database %s with allow_connections false"):format(s.db.name))
    admin:run("select pg_terminate_backend(" .. s.server:listener_pid() .. ")")
    metrics.await(s.server, "leat_listener_connected", 0)

    local inside = http.request(s.server, "/readyz")
    local outside = http.request(s.server, { path = "/readyz", headers = PASSED_ON[1] })

    admin:run(("alter database %s with allow_connections true"):format(s.db.name))
    admin:close()
    assert.same({ 503, "listener: down:" }, { inside.status, inside.body:match("listener: down:") })
    assert.same({ 503, "not ready\n" }, { outside.status, outside.body })
    metrics.await(s.server, "leat_listener_connected", 1, 20000)
    s:close()
  end)
end)

describe("metrics_listen", function()
  it("has metrics and health of its own, and nothing else", function()
    local s = stage.open { app = fixtures.app, schema = fixtures.schema,
      env = { LEAT_METRICS_LISTEN = "127.0.0.1:0", LEAT_MAX_CONNECTIONS_PER_ADDRESS = 4, LEAT_WORKERS = 2 } }
    local inside = tonumber((s.server:await_log("metrics address=%S+:(%d+)")))
    local function status(path, port, headers)
      return http.request(s.server, { path = path, port = port, headers = headers }).status
    end

    for _ = 1, 10 do assert.equal(200, status("/metrics", inside)) end
    assert.equal(200, status("/metrics", inside, PASSED_ON[1]))
    assert.equal(200, status("/healthz", inside))
    for _, path in ipairs { "/", "/ws", "/rooms/1/stream" } do assert.equal(404, status(path, inside, ws.headers())) end
    assert.equal(404, status("/metrics", nil))
    assert.equal(200, status("/healthz", nil))
    s:close()
  end)
end)

describe("metrics_listen", function()
  it("answers though there are max_connections clients", function()
    local s = stage.open { app = fixtures.app, schema = fixtures.schema, env = { LEAT_METRICS_LISTEN = "127.0.0.1:0",
      LEAT_MAX_CONNECTIONS = 2, LEAT_WORKERS = 1 } }
    local inside = tonumber((s.server:await_log("metrics address=%S+:(%d+)")))
    for _ = 1, 2 do s:connect { token = "alice" } end

    assert.equal(503, http.request(s.server, "/healthz").status)
    local answer = http.request(s.server, { path = "/metrics", port = inside })

    assert.equal(200, answer.status)
    assert.matches("\nleat_connections 2\n", answer.body, 1, true)
    assert.equal(200, http.request(s.server, { path = "/healthz", port = inside }).status)
    s:close()
  end)
end)

describe("allowed_origins", function()
  local function statuses(list, origins)
    local s = stage.open { app = APP, schema = fixtures.schema,
      env = { LEAT_ALLOWED_ORIGINS = list, LEAT_ALLOWED_HOSTS = "*" } }
    local all = {}
    for i, origin in ipairs(origins) do
      all[i] = http.request(s.server, { path = "/ws", headers = ws.headers {
        Origin = origin, Authorization = "Bearer alice", Host = "own.example" } }).status
    end
    s:close()
    return all
  end

  it("lets in those that it lists", function()
    assert.same({ 101, 101, 403, 403, 403 }, statuses("https://a.example, http://b.example:8080",
      { "https://a.example", "http://b.example:8080", "http://a.example", "http://own.example", "null" }))
  end)

  it("lets in all that are there with a star", function()
    assert.same({ 101, 101 }, statuses("*", { "https://evil.example", "null" }))
  end)
end)

describe("behind a trusted proxy", function()
  it("the origin is what the proxy was asked for", function()
    local s = stage.open { app = APP, schema = fixtures.schema, env = { LEAT_TRUSTED_PROXIES = "127.0.0.1" } }
    local function upgrade(headers)
      headers.Authorization = "Bearer alice"
      return http.request(s.server, { path = "/ws", headers = ws.headers(headers) }).status
    end

    assert.equal(101, upgrade { Origin = "https://example.org", ["X-Forwarded-Host"] = "example.org" })
    assert.equal(101, upgrade { Origin = "https://example.org",
      Forwarded = "for=1.1.1.1;proto=https;host=example.org" })
    assert.equal(101, upgrade { Origin = "https://example.org", Host = "example.org" })
    assert.equal(403, upgrade { Origin = "https://example.org", Host = "example.org",
      ["X-Forwarded-Host"] = "other.example" })
    assert.equal(403, upgrade { Origin = "https://evil.example", ["X-Forwarded-Host"] = "example.org" })
    s:close()
  end)
end)
