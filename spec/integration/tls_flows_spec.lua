-- Other specs once more, by TLS: whoever is above the connection sees no difference.

local env = require "spec.support.env"
local files = require "spec.support.files"
local fixtures = require "spec.support.fixtures"
local loop = require "spec.support.loop"
local server = require "spec.support.server"
local stage = require "spec.support.stage"
local tls = require "spec.support.tls"

local FLOWS = { "deflate", "handshake", "http", "resume", "stream_route" }

describe("by TLS:", function()
  local folder
  local tunnels = {}

  lazy_setup(function()
    folder = files.folder()
    server.variables = tls.variables(tls.certificate(folder, "flows.test"))
    server.on_start = function(started)
      local tunnel = tls.tunnel(tls.port(started), { "-servername", "flows.test" })
      tunnels[#tunnels + 1] = tunnel
      started.port = tunnel.port
    end
  end)
  lazy_teardown(function()
    server.variables, server.on_start = {}, nil
    for _, tunnel in ipairs(tunnels) do tunnel:close() end
    files.remove(folder)
  end)

  for _, name in ipairs(FLOWS) do
    assert(loadfile(("%s/spec/integration/%s_spec.lua"):format(env.root(), name), "t", _ENV))()
  end

  -- Between server and client are the buffers of two connections and a pipe, which take megabytes first.
  it("a client that does not read is closed as too slow, and costs its buffer", function()
    local s = stage.open { app = fixtures.app, schema = fixtures.schema, env = {
      LEAT_SLOW_CLIENT_TIMEOUT_MS = 500, LEAT_MAX_SEND_BUFFER_BYTES = 65536, LEAT_RING_EVENTS = 16 } }
    local slow, quick = s:connect { token = "alice" }, s:connect { token = "bob" }
    slow:subscribe("room:1")
    quick:subscribe("room:1")
    slow.tcp:read_stop()
    local most = 0
    loop.eventually(function()
      s.session:run("select leat.publish('room:1', to_jsonb(repeat('x', 7000))) from generate_series(1, 100)")
      quick:expect("event")
      local now = s:metrics()
      most = math.max(most, now.leat_send_buffer_bytes)
      return now.leat_slow_clients_closed_total == 1
    end, 240000, "the end of the slow client")

    assert.truthy(most < 65536 + 8000 * 20, most)
    slow:abort()
    s:close()
  end)

  it("a server that stops sends its clients away in order", function()
    local s = stage.open { app = fixtures.app, schema = fixtures.schema, env = { LEAT_DRAIN_MS = 300 } }
    local clients = {}
    for i = 1, 5 do
      clients[i] = s:connect { token = "alice" }
      clients[i]:subscribe("room:1")
    end
    s.server:send_signal("sigterm")
    for _, client in ipairs(clients) do
      assert.equal(1001, (client:closed()))
    end
    assert.equal(0, s.server.process:wait())
    s:close()
  end)
end)
