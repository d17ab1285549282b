-- One address cannot take all connections; behind a trusted proxy, one client cannot.

local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"
local ws = require "spec.support.ws"

local APP = [[
local leat = require "leat"
local app = leat.app()
app:connect(function(_, request) return { id = request.remote } end)
app:route("GET /remote", function(_, request) return { status = 200, body = request.remote } end)
return app
]]

-- metrics_listen lets specs read without being counted.
local function open(variables)
  local env = { LEAT_METRICS_LISTEN = "127.0.0.1:0" }
  for name, value in pairs(variables) do env[name] = value end
  local s = stage.open { app = APP, schema = fixtures.schema, env = env }
  s.inside = { port = tonumber((s.server:await_log("metrics address=%S+:(%d+)"))) }
  return s
end

local function get(s, request)
  return http.request(s.server, request)
end

describe("an address", function()
  local s
  local open_conns = {}

  lazy_setup(function()
    s = open { LEAT_MAX_CONNECTIONS_PER_ADDRESS = 5, LEAT_CONNECTION_RATE_PER_ADDRESS = 1,
      LEAT_CONNECTION_BURST_PER_ADDRESS = 30, LEAT_WORKERS = 2 }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function()
    for _, conn in ipairs(open_conns) do conn:close() end
    open_conns = {}
  end)

  local function from(address)
    local conn = tcp.connect(s.server.port, { from = address })
    open_conns[#open_conns + 1] = conn
    conn:write(http.text { path = "/healthz" })
    return conn
  end

  local function answered(conn)
    local answer = http.read_answer(conn)
    return answer and answer.status or "closed"
  end

  it("has no more connections than max_connections_per_address, on all workers together", function()
    local before = metrics.value(s.inside, 'leat_addresses_refused_total{limit="connections"}')
    for _ = 1, 5 do assert.equal(200, answered(from("127.0.0.2"))) end

    for _ = 1, 3 do assert.equal("closed", answered(from("127.0.0.2"))) end

    assert.equal(200, answered(from("127.0.0.3")))
    assert.equal(before + 3, metrics.value(s.inside, 'leat_addresses_refused_total{limit="connections"}'))
    s.server:await_log("address refused address=127.0.0.2 limit=max_connections_per_address")
    open_conns[1]:close()
    loop.eventually(function() return answered(from("127.0.0.2")) == 200 end, nil, "a place")
  end)

  it("keeps its place when it becomes a WebSocket", function()
    for _ = 1, 5 do
      local conn = from("127.0.0.4")
      assert.equal(200, answered(conn))
      conn:write(http.text { path = "/ws", headers = ws.headers() })
      assert.equal(101, answered(conn))
    end

    assert.equal("closed", answered(from("127.0.0.4")))
  end)

  it("opens them no faster than connection_rate_per_address", function()
    local let_in, began = 0, loop.now()
    for _ = 1, 60 do
      local conn = from("127.0.0.5")
      if answered(conn) == 200 then let_in = let_in + 1 end
      conn:close()
    end
    local seconds = (loop.now() - began) // 1000 + 1

    assert.is_true(let_in >= 30 and let_in <= 30 + seconds, ("%d were let in, in %d s"):format(let_in, seconds))
    assert.is_true(metrics.value(s.inside, 'leat_addresses_refused_total{limit="rate"}') > 0)
    loop.eventually(function() return answered(from("127.0.0.5")) == 200 end, nil, "another token")
  end)
end)

describe("an address of this machine", function()
  it("has half of max_connections, unless a number is set", function()
    local s = open { LEAT_MAX_CONNECTIONS = 600 }
    local conns = {}
    for i = 1, 300 do
      conns[i] = tcp.connect(s.server.port)
      conns[i]:write(http.text { path = "/healthz" })
    end
    for _, conn in ipairs(conns) do assert.equal(200, http.read_answer(conn).status) end

    local one_more = tcp.connect(s.server.port)
    one_more:write(http.text { path = "/healthz" })

    assert.is_nil(http.read_answer(one_more))
    for _, conn in ipairs(conns) do conn:close() end
    s:close()
  end)
end)

describe("behind a trusted proxy", function()
  local s

  lazy_setup(function()
    s = open { LEAT_TRUSTED_PROXIES = "127.0.0.1, 10.0.0.0/8", LEAT_MAX_CONNECTIONS_PER_ADDRESS = 3 }
  end)
  lazy_teardown(function() s:close() end)

  local function remote(headers, address)
    return get(s, { path = "/remote", headers = headers, from = address }).body
  end

  it("request.remote is the last address that is not trusted", function()
    for value, expected in pairs {
      ["203.0.113.7"] = "203.0.113.7",
      ["198.51.100.1, 203.0.113.7"] = "203.0.113.7",
      ["203.0.113.7, 10.1.1.1, 10.2.2.2"] = "203.0.113.7",
      ["203.0.113.7:4711"] = "203.0.113.7",
      ["[2001:db8::1]:80"] = "2001:db8::1",
      ["::ffff:203.0.113.7"] = "203.0.113.7",
      ["nonsense, 203.0.113.7"] = "203.0.113.7",
      ['"203.0.113.1, 203.0.113.7'] = "203.0.113.7",
      ["203.0.113.7, nonsense"] = "127.0.0.1",
      ["10.1.1.1"] = "10.1.1.1",
    } do
      assert.equal(expected, remote { ["X-Forwarded-For"] = value }, value)
    end
    assert.equal("2001:db8::9", remote { Forwarded = 'for=1.1.1.1, For="[2001:db8::9]:1";proto=https' })
    assert.equal("203.0.113.7", remote { Forwarded = "for=1.1.1.1", ["X-Forwarded-For"] = "203.0.113.7" })
    assert.matches("^127%.0%.0%.1:%d+$", remote {})
  end)

  it("what a client wrote before its own address counts for nothing", function()
    for _, lines in ipairs {
      "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-For: 10.1.1.1, 203.0.113.7\r\n",
      "X-Forwarded-For: " .. ("10.1.1.1,"):rep(1000) .. "203.0.113.7\r\n",
      "X-Forwarded-For: " .. (","):rep(1000) .. "203.0.113.7:1\r\n",
      "X-Forwarded-For: unknown, _hidden, , ::1, 203.0.113.7\r\n",
      "X-Forwarded-For: 198.51.100.1, ::ffff:203.0.113.7\r\nForwarded: for=1.1.1.1\r\n",
      'Forwarded: for="[::1]:80", for=_hidden, FOR="203.0.113.7:99";proto=https\r\n',
      'Forwarded: for=1.1.1.1;x="a,b;for=2.2.2.2"\r\nForwarded: for=203.0.113.7\r\n',
    } do
      local answer = http.raw(s.server, "GET /remote HTTP/1.1\r\nHost: localhost\r\n" .. lines .. "\r\n")
      assert.equal("203.0.113.7", answer.body, lines:sub(1, 60))
    end
    assert.equal("127.0.0.1", remote { Forwarded = 'for=9.9.9.9;x=", for=203.0.113.7' })
    assert.equal("10.1.1.1", remote { ["X-Forwarded-For"] = "203.0.113.7" .. (", 10.1.1.1"):rep(16) })
  end)

  it("each request of a connection is its own client's, or the proxy's", function()
    local conn = tcp.connect(s.server.port)
    local function ask(client)
      conn:write(http.text { path = "/remote", headers = { ["X-Forwarded-For"] = client } })
      return http.read_answer(conn).body
    end
    assert.match("^127%.0%.0%.1:%d+$", ask(nil))
    assert.equal("203.0.113.8", ask("203.0.113.8"))
    assert.equal("203.0.113.9", ask("203.0.113.9"))
    assert.equal("127.0.0.1", ask(nil))
    conn:close()
  end)

  it("is nothing to those who are none", function()
    assert.matches("^127%.0%.0%.9:%d+$", remote({ ["X-Forwarded-For"] = "203.0.113.7", Forwarded = "for=1.1.1.1" },
      "127.0.0.9"))
  end)

  it("counts each client for itself, and answers one with too many 429", function()
    local conns = {}
    local function via(client)
      local conn = tcp.connect(s.server.port)
      conns[#conns + 1] = conn
      conn:write(http.text { path = "/healthz", headers = { ["X-Forwarded-For"] = client } })
      return http.read_answer(conn).status
    end

    for _ = 1, 3 do assert.equal(200, via("203.0.113.1")) end
    assert.equal(429, via("203.0.113.1"))
    assert.equal(429, via("spoofed, 203.0.113.1"))
    for i = 2, 9 do assert.equal(200, via("203.0.113." .. i)) end
    for _ = 1, 3 do assert.equal(200, via("2001:db8::" .. #conns)) end
    assert.equal(429, via("2001:db8::ffff"))
    assert.equal(200, via("2001:db8:0:1::1"))

    conns[1]:write(http.text { path = "/healthz", headers = { ["X-Forwarded-For"] = "203.0.113.20" } })
    assert.equal(200, http.read_answer(conns[1]).status)
    assert.equal(200, via("203.0.113.1"))
    for _, conn in ipairs(conns) do conn:close() end
  end)
end)
