-- Transactions a second of pgbench: INSERT and leat.publish, beside INSERT and pg_notify.
local process = require "bench.lib.process"
local servers = require "bench.lib.servers"

local M = {}

local SECONDS = 4

-- The transactions of bench/publishing. They have a schema of their own: bench/schema.sql has a table notes, too.
local SESSION = { PGOPTIONS = "-c search_path=publishing" }

local function pgbench(context, call, clients, seconds)
  return process.run("pgbench", {
    core = context.load_core,
    env = SESSION,
    args = { "-n", "-M", "prepared", "-f", ("%s/bench/publishing/%s.sql"):format(context.root, call), "-D", "topics=1",
      "-c", tostring(clients), "-j", "1", "-T", tostring(seconds), context.database },
  })
end

local function make_tables(context)
  context.sql "truncate leat.topic, leat.event; create schema if not exists publishing"
  local path = context.root .. "/bench/publishing/schema.sql"
  local done, why = process.run("psql", { env = SESSION, args = { "-XAtq", "-v", "ON_ERROR_STOP=1", "-d",
    context.database, "-f", path } })
  return done or error("psql: " .. why, 0)
end

--- For a scenario: what stands for the server "publish", "notify" or "insert". A Leat listens meanwhile.
function M.measure(call)
  return function(context, scenario, arguments)
    make_tables(context)
    local server = servers.start.leat(context, { env = scenario.env })
    local out, why = pgbench(context, call, arguments.publishers, arguments.seconds or SECONDS)
    process.stop(server)
    local tps = out and out:match("tps = ([%d.]+)")
    if not tps then
      return nil, "pgbench: " .. (why or out)
    end
    return ('{"publishing":{"tps":%s,"ms":%s}}'):format(tps, out:match("latency average = ([%d.]+)"))
  end
end

return M
