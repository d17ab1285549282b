-- Other specs once more, by TLS: whoever is above the connection sees no difference.

local env = require "spec.support.env"
local files = require "spec.support.files"
local server = require "spec.support.server"
local tls = require "spec.support.tls"

local FLOWS = { "deflate", "drain", "handshake", "http_body", "http", "resume", "slow_client", "stream_route" }

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
end)
