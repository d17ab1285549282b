-- Floods of bad clients: what they do is counted and refused, and a good client gets every event meanwhile. Nothing is
-- timed here; `scripts/bench flood` measures the latency.

local fixtures = require "spec.support.fixtures"
local frame = require "spec.support.frame"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"

local BAD_CLIENTS = 10
local EVENTS = 20

local function text(payload)
  return frame.encode { op = frame.TEXT, payload = payload }
end

describe("a flood of", function()
  local s, bad

  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema, log = { "closed reason=memory" }, env = {
      LEAT_METRICS_LISTEN = "127.0.0.1:0",
      LEAT_MAX_CONNECTIONS_PER_ADDRESS = 50, LEAT_CONNECTION_RATE_PER_ADDRESS = 1,
      LEAT_CONNECTION_BURST_PER_ADDRESS = 50,
      LEAT_MESSAGE_RATE_PER_CLIENT = 5, LEAT_MESSAGE_BURST_PER_CLIENT = 20,
      LEAT_BYTE_RATE_PER_CLIENT = 10000, LEAT_BYTE_BURST_PER_CLIENT = 50000,
      LEAT_CONTROL_RATE_PER_CLIENT = 1, LEAT_CONTROL_BURST_PER_CLIENT = 5,
      LEAT_MAX_SUBSCRIPTIONS_PER_USER = 10, LEAT_MAX_CLIENT_BYTES = 1048576, LEAT_MAX_SEND_BUFFER_BYTES = 65536,
    } }
    s.inside = { port = tonumber((s.server:await_log("metrics address=%S+:(%d+)"))) }
    s.session:run "insert into rooms (id) select generate_series(10, 60)"
  end)
  lazy_teardown(function() s:close() end)
  before_each(function() bad = {} end)
  after_each(function()
    for _, conn in ipairs(bad) do conn:abort() end
  end)

  -- Each flood has an address of its own, so that no other one has used up its rate.
  local function from(address)
    local conn = tcp.connect(s.server.port, { from = address })
    bad[#bad + 1] = conn
    return conn
  end

  local function upgraded(address)
    local conn = from(address)
    local headers = require("spec.support.ws").headers { Authorization = "Bearer alice" }
    conn:write(http.text { path = "/ws", headers = headers })
    loop.eventually(function() return http.take_head(conn) == 101 end)
    return conn
  end

  -- All are there before the first is closed, for which its address pays.
  local function all_send(address, bytes)
    local conns = {}
    for i = 1, BAD_CLIENTS do conns[i] = upgraded(address) end
    for _, conn in ipairs(conns) do conn:write(bytes) end
  end

  local function come_until_refused(address)
    local refused = 'leat_addresses_refused_total{limit="rate"}'
    local before = metrics.value(s.inside, refused)
    loop.eventually(function()
      from(address):abort()
      return metrics.value(s.inside, refused) > before
    end)
  end

  local FLOODS = {
    connects = { 'leat_addresses_refused_total{limit="rate"}', function(address)
      come_until_refused(address) -- the server never sees some that are gone before it accepts them
    end },
    connections = { 'leat_addresses_refused_total{limit="connections"}', function(address)
      for _ = 1, 60 do from(address) end
    end },
    ["malformed requests"] = { "leat_http_rejected_total", function(address)
      for _ = 1, 20 do from(address):write "GET / HTTP/1.1\r\nHost : x\r\n\r\n" end
    end },
    pings = { 'leat_rate_limited_total{limit="controls"}', function(address)
      all_send(address, frame.encode { op = frame.PING, payload = "x" }:rep(1000))
    end },
    messages = { "leat_flooding_clients_closed_total", function(address)
      all_send(address, text('{"op":"fly"}'):rep(1000))
    end },
    subscribes = { 'leat_subscriptions_refused_total{limit="user"}', function(address)
      for _ = 1, BAD_CLIENTS do
        local conn = upgraded(address)
        for i = 10, 25 do conn:write(text(('{"op":"subscribe","topic":"room:%d"}'):format(i))) end
      end
    end },
    ["those who come back after messages"] = { 'leat_addresses_refused_total{limit="rate"}', function(address)
      all_send(address, text('{"op":"fly"}'):rep(1000))
      come_until_refused(address)
    end },
    ["large messages"] = { 'leat_rate_limited_total{limit="bytes"}', function(address)
      upgraded(address):write(text(("x"):rep(60000)):rep(39)) -- one alone, so that its allowance has no time to grow
    end },
    ["unfinished messages"] = { "leat_large_clients_closed_total", function(address)
      for _ = 1, 40 do upgraded(address):write(text(("x"):rep(65000)):sub(1, 49000)) end
    end },
  }

  local n = 10
  for name, flood in pairs(FLOODS) do
    n = n + 1
    local address = "127.0.0." .. n
    it(name .. " is refused, and a good client gets all of its events", function()
      local good = s:connect { token = "bob" }
      good:subscribe("room:1")
      local before = metrics.value(s.inside, flood[1])

      flood[2](address)
      for _ = 1, EVENTS do s.session:run("select leat.publish('room:1', '{}')") end

      local first = good:expect("event").seq
      for i = 1, EVENTS - 1 do assert.equal(first + i, good:expect("event").seq) end
      loop.eventually(function() return metrics.value(s.inside, flood[1]) > before end, nil, flood[1])
      good:close()
    end)
  end
end)
