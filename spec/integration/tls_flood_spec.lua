-- Floods of TLS handshakes: they make room for each other, and others are served meanwhile. Nothing is timed here;
-- `scripts/bench flood` measures the latency.

local files = require "spec.support.files"
local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"
local tls = require "spec.support.tls"

local CROWD = 60
local MAX_HANDSHAKES = 10
local EVENTS = 20

-- A ClientHello (RFC 8446 §4.1.2; RFC 5246 §7.4.1.2) that a server of that version can answer.
local function client_hello(version)
  local function extension(kind, body) return string.pack(">I2s2", kind, body) end
  local groups = string.pack(">s2", "\0\29\0\23") -- X25519, and P-256 for the certificate
  local extensions = extension(10, groups)
    .. extension(13, string.pack(">s2", "\4\3\8\4\4\1")) -- signature_algorithms
  if version == 1.3 then
    local share = string.pack(">I2s2", 29, "\9" .. ("\0"):rep(31)) -- the curve's base point is a good public key
    extensions = extensions .. extension(43, string.pack(">s1", "\3\4")) .. extension(51, string.pack(">s2", share))
  end
  local hello = "\3\3" .. ("r"):rep(32) .. "\0" -- version, random, no session
    .. string.pack(">s2", "\19\1\192\43\192\47") .. "\1\0" .. string.pack(">s2", extensions)
  return "\22\3\1" .. string.pack(">s2", "\1" .. string.pack(">I3", #hello) .. hello)
end

describe("a flood of", function()
  local folder, s, inside, port
  local crowd = {}

  lazy_setup(function()
    folder = files.folder()
    local variables = tls.variables(tls.certificate(folder, "flood.test"))
    variables.LEAT_MAX_TLS_HANDSHAKES = MAX_HANDSHAKES
    variables.LEAT_TLS_HANDSHAKE_TIMEOUT_MS = 600000 -- none of them ends by itself
    variables.LEAT_TLS_HANDSHAKE_TIMEOUT_MS = 600000 -- none of them ends by itself
    variables.LEAT_WORKERS = 1
    variables.LEAT_METRICS_LISTEN = "127.0.0.1:0"
    s = stage.open { app = fixtures.app, schema = fixtures.schema, env = variables }
    inside = { port = tonumber((s.server:await_log("metrics address=%S+:(%d+)"))) }
    port = tls.port(s.server)
  end)
  lazy_teardown(function()
    s:close()
    files.remove(folder)
  end)
  after_each(function()
    for _, conn in ipairs(crowd) do conn:abort() end
    crowd = {}
    metrics.await(inside, "leat_tls_handshakes_under_way", 0)
  end)

  local function failed(reason)
    return metrics.value(inside, ('leat_tls_handshake_failures_total{reason="%s"}'):format(reason))
  end

  local function flood(bytes)
    for i = 1, CROWD do
      crowd[i] = tcp.connect(port, { from = "127.0.1." .. 1 + i % 10 })
      crowd[i]:write(bytes)
    end
  end

  -- Of a client that is there already, and of one that comes.
  local function others_are_served(good, flooding)
    flooding()
    for _ = 1, EVENTS do s.session:run("select leat.publish('room:1', '{}')") end

    local first = good:expect("event").seq
    for i = 1, EVENTS - 1 do assert.equal(first + i, good:expect("event").seq) end
    local request = http.text { path = "/healthz", headers = { Connection = "close" } }
    assert.truthy(tls.ask(port, { "-quiet" }, request):find("HTTP/1.1 200", 1, true))
  end

  for version, name in pairs { [1.2] = "TLS 1.2", [1.3] = "TLS 1.3" } do
    it("ClientHellos of " .. name .. " keeps no more than max_tls_handshakes, and others are served", function()
      local before = failed "crowded"
      local good = s:connect { token = "bob" }
      good:subscribe "room:1"

      others_are_served(good, function() flood(client_hello(version)) end)

      assert.equal(CROWD + 1 - MAX_HANDSHAKES, failed "crowded" - before) -- the newcomer made one more leave
      local answered = 0
      for _, conn in ipairs(crowd) do
        answered = answered + (conn:bytes():sub(1, 6):match("^\22\3\3..\2") and 1 or 0) -- a ServerHello
      end
      assert.is_true(answered >= MAX_HANDSHAKES - 1, answered .. " were answered")
      good:close()
    end)
  end

  it("handshakes that go through leaves others served", function()
    local function full() return metrics.value(inside, 'leat_tls_handshakes_total{kind="full"}') end
    local done_before, failed_before = full(), failed "crowded"
    local good = s:connect { token = "bob" }
    good:subscribe "room:1"
    local tunnels = {}

    others_are_served(good, function()
      for i = 1, 12 do tunnels[i] = tls.tunnel(port, { i % 2 == 0 and "-tls1_2" or "-tls1_3" }) end
      for _, tunnel in ipairs(tunnels) do
        crowd[#crowd + 1] = tcp.connect(tunnel.port) -- its handshake begins now
      end
    end)

    loop.eventually(function()
      return full() - done_before + failed "crowded" - failed_before == #tunnels + 1
    end, nil, "the end of all handshakes")
    assert.is_true(full() - done_before > 1)
    good:close()
    for _, tunnel in ipairs(tunnels) do tunnel:close() end
  end)
end)
