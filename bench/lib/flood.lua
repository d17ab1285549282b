-- The latency of good clients while bad ones flood the server, which has its usual limits. A plain NOTIFY is measured
-- beside them: what it waits for, too, is the machine's doing and not the server's.
local process = require "bench.lib.process"
local servers = require "bench.lib.servers"

local M = {}

-- Limits as an operator finds them, but for what a load of few addresses needs.
local LIMITS = {
  LEAT_MAX_CONNECTIONS_PER_ADDRESS = 256,
  LEAT_CONNECTION_RATE_PER_ADDRESS = 1000,
  LEAT_CONNECTION_BURST_PER_ADDRESS = 5000,
  LEAT_REQUEST_RATE_PER_ADDRESS = 500,
  LEAT_REQUEST_BURST_PER_ADDRESS = 5000,
  LEAT_SUBSCRIBE_RATE_PER_ADDRESS = 200,
  LEAT_SUBSCRIBE_BURST_PER_ADDRESS = 65536,
  LEAT_MAX_SUBSCRIPTIONS = 256,
}

-- The bad clients run beside the load, on its core, and yield to it. Each program here has a session of its own, and
-- the kernel may weigh sessions instead of processes: so the session yields, too.
local YIELD = 'echo 19 2>/dev/null >/proc/self/autogroup; exec nice -n 19 "$@"'

local function start_flood(context, kind, port)
  if kind == "none" then
    return nil
  end
  return process.start("sh", { core = context.load_core,
    args = { "-c", YIELD, "sh", context.bin .. "/bench_flood", "port=" .. port, "kind=" .. kind } })
end

--- For a scenario: what stands for the server "leat". arguments.flood is the kind of flood.
function M.measure(context, _, arguments)
  context.sql "truncate leat.topic, leat.event"
  local kind = arguments.flood == "tls" and "leat_tls" or "leat"
  local server, how = servers.start[kind](context, { env = LIMITS })
  local flood = start_flood(context, arguments.flood, how.port)
  how.port, how.plain_port, how.tls = how.plain_port or how.port, nil, nil -- good clients have no TLS
  local args = { "clients=200", "rate=50", "events=400", "settle_ms=500", "pid=" .. server.pid,
    "database=" .. context.database, "listen=1" }
  how.driver = "both" -- publishes, and notifies a plain listener
  for name, value in pairs(how) do
    args[#args + 1] = ("%s=%s"):format(name, value)
  end
  local out, why = process.run(context.bin .. "/bench_load", { core = context.load_core, args = args })
  if flood then
    process.stop(flood)
  end
  process.stop(server)
  return out, why
end

return M
