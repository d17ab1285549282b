-- The PROXY protocol: a connection of a configured proxy begins with the address of its client.

local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"
local uv = require "luv"

local APP = [[
local leat = require "leat"
local app = leat.app()
app:connect(function(_, request) return { id = request.remote } end)
app:route("GET /remote", function(_, request) return { status = 200, body = request.remote } end)
app:method("whoami", function(ctx) return { id = ctx.user.id, remote = ctx.request.remote } end)
return app
]]

local SIGNATURE = "\r\n\r\n\0\r\nQUIT\n"
local V1 = "PROXY TCP4 203.0.113.7 198.51.100.1 56324 443\r\n"
local V1_IP6 = "PROXY TCP6 2001:db8::7 ::1 56324 443\r\n"
local ENDPOINTS = "\203\0\113\7" .. "\198\51\100\1" .. "\220\4\1\187"
local V2 = SIGNATURE .. "\33\17\0\12" .. ENDPOINTS
local V2_FIELDS = SIGNATURE .. "\33\17\0\23" .. ENDPOINTS .. "\2\0\8a.domain"
local V2_LOCAL = SIGNATURE .. "\32\0\0\0"

-- metrics_listen lets specs read without a PROXY header.
local function open(variables)
  local env = { LEAT_METRICS_LISTEN = "127.0.0.1:0", LEAT_PROXY_PROTOCOL_FROM = "127.0.0.0/24" }
  for name, value in pairs(variables or {}) do env[name] = value end
  local s = stage.open { app = APP, schema = fixtures.schema, env = env, log = { "WARN http" } }
  s.inside = { port = tonumber((s.server:await_log("metrics address=%S+:(%d+)"))) }
  return s
end

local function refused(s)
  return metrics.value(s.inside, "leat_proxy_headers_refused_total")
end

local function is_closed(conn)
  return loop.poll(function() return conn.ended end) and conn:bytes() == ""
end

describe("a connection of a proxy", function()
  local s
  local conns = {}

  lazy_setup(function()
    s = open { LEAT_HEADER_TIMEOUT_MS = 1500, LEAT_MAX_CONNECTIONS_PER_ADDRESS = 3, LEAT_WORKERS = 2 }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function()
    for _, conn in ipairs(conns) do conn:close() end
    conns = {}
  end)

  local function connect(options)
    local conn = tcp.connect(s.server.port, options)
    conns[#conns + 1] = conn
    return conn
  end

  local function ask(bytes, request, options)
    local conn = connect(options)
    conn:write(bytes .. http.text(request or { path = "/remote" }))
    return http.read_answer(conn)
  end

  it("is that of the client that its header names", function()
    assert.equal("203.0.113.7:56324", ask(V1).body)
    assert.equal("[2001:db8::7]:56324", ask(V1_IP6).body)
    assert.equal("203.0.113.7:56324", ask(V2).body)
    conns[3]:close()
    assert.equal("203.0.113.7:56324", ask(V2_FIELDS).body)
  end)

  it("is the proxy's own if it says so", function()
    for _, header in ipairs { V2_LOCAL, "PROXY UNKNOWN\r\n", SIGNATURE .. "\33\0\0\0" } do
      assert.match("^127%.0%.0%.1:%d+$", ask(header).body)
    end
  end)

  it("may come byte by byte, and in any pieces", function()
    for _, header in ipairs { V1, V2_FIELDS } do
      local conn = connect()
      for byte in (header .. http.text { path = "/remote" }):gmatch(".") do
        conn:write(byte)
        uv.run("nowait")
      end
      assert.equal("203.0.113.7:56324", http.read_answer(conn).body)
    end
  end)

  it("becomes a WebSocket with that client's address", function()
    local client = s:connect { prefix = V2 }
    local answer = client:ask({ op = "call", id = 1, method = "whoami" }, "ok")
    assert.same({ id = "203.0.113.7:56324", remote = "203.0.113.7:56324" }, answer.data)
    client:close()
  end)

  it("counts for its client, and not for the proxy", function()
    for _ = 1, 3 do assert.equal(200, ask("PROXY TCP4 203.0.113.9 198.51.100.1 1 443\r\n").status) end
    local before = metrics.value(s.inside, 'leat_addresses_refused_total{limit="connections"}')

    assert.is_nil(ask("PROXY TCP4 203.0.113.9 198.51.100.1 2 443\r\n"))

    assert.equal(before + 1, metrics.value(s.inside, 'leat_addresses_refused_total{limit="connections"}'))
    assert.equal(200, ask("PROXY TCP4 203.0.113.10 198.51.100.1 2 443\r\n").status)
    s.server:await_log("address refused address=203.0.113.9 limit=max_connections_per_address")
  end)

  it("is closed without such a header", function()
    for _, bytes in ipairs { "GET /remote HTTP/1.1\r\nHost: localhost\r\n\r\n", "\22\3\1\0\5hello",
      "PROXY TCP4 a b 1 2\r\n", SIGNATURE .. "\49\17\0\0", V1:gsub("\r", ""), ("P"):rep(200) } do
      local before = refused(s)
      local conn = connect()
      conn:write(bytes)
      assert.is_true(is_closed(conn), ("%q"):format(bytes))
      assert.equal(before + 1, refused(s))
    end
    s.server:await_log("no PROXY header reason=malformed proxy=127.0.0.1")
  end)

  it("is closed if the header does not come in time", function()
    local before = refused(s)
    for _, bytes in ipairs { "", "PROXY ", SIGNATURE } do
      local conn = connect()
      conn:write(bytes)
    end

    for _, conn in ipairs(conns) do assert.is_true(is_closed(conn)) end
    assert.equal(before + 3, refused(s))
    s.server:await_log("no PROXY header reason=late proxy=127.0.0.1")
  end)

  it("that goes away before its header leaves nothing", function()
    local before = refused(s)
    for _ = 1, 20 do
      local conn = connect()
      conn:write("PROXY TCP4")
      conn:abort()
    end
    assert.equal(200, ask(V2_LOCAL, { path = "/healthz" }).status)
    assert.equal(before, refused(s))
  end)

  it("has no second header, and none in a later request", function()
    assert.equal(400, ask(V1 .. V1).status)
    assert.equal(400, ask(V1 .. V2).status)
  end)

  it("believes no X-Forwarded-For", function()
    local spoofed = { path = "/remote", headers = { ["X-Forwarded-For"] = "1.1.1.1" } }
    assert.equal("203.0.113.7:56324", ask(V1, spoofed).body)
  end)

  it("from another address has no such header", function()
    assert.match("^127%.0%.1%.9:", ask("", nil, { from = "127.0.1.9" }).body)
    assert.equal(400, ask(V1, nil, { from = "127.0.1.9" }).status)
    assert.equal(400, ask(V2, nil, { from = "127.0.1.9" }).status)
  end)
end)

describe("a client of such a proxy that is itself a trusted one", function()
  it("may speak for others", function()
    local s = open { LEAT_TRUSTED_PROXIES = "203.0.113.7" }
    local conn = tcp.connect(s.server.port)
    conn:write(V1 .. http.text { path = "/remote", headers = { ["X-Forwarded-For"] = "1.1.1.1, 2.2.2.2" } })
    assert.equal("2.2.2.2", http.read_answer(conn).body)
    conn:close()
    s:close()
  end)
end)

describe("a stop", function()
  it("does not wait for headers that do not come", function()
    local s = open()
    local conn = tcp.connect(s.server.port)
    conn:write("PROXY ")
    assert.equal(200, http.request(s.inside, "/healthz").status)
    s:stop()
    assert.is_true(is_closed(conn))
    conn:close()
    s:close()
  end)
end)

describe("a header of a proxy on this machine", function()
  it("makes nobody a peer on this machine", function()
    local s = stage.open { app = APP, schema = fixtures.schema, env = { LEAT_PROXY_PROTOCOL_FROM = "127.0.0.1" } }
    local function status(header, from)
      local conn = tcp.connect(s.server.port, { from = from })
      conn:write(header .. http.text { path = "/metrics" })
      local answer = http.read_answer(conn)
      conn:close()
      return answer.status
    end

    assert.equal(200, status("", "127.0.0.2")) -- no proxy
    for _, header in ipairs { "PROXY TCP4 127.0.0.1 127.0.0.1 1 443\r\n", "PROXY TCP6 ::1 ::1 1 443\r\n",
      "PROXY UNKNOWN\r\n", SIGNATURE .. "\33\0\0\0", V2_LOCAL } do
      assert.equal(404, status(header), header)
    end
    s:close()
  end)
end)
