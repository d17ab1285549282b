-- Transactions a second of pgbench: INSERT and leat.publish, beside INSERT and pg_notify.
local process = require "bench.lib.process"
local servers = require "bench.lib.servers"

local M = {}

local SECONDS = 4

-- Each publisher has a topic of its own, so that no lock is shared but NOTIFY's.
local SCRIPT = [[
begin;
insert into publications (topic, body) values (:client_id, repeat('x', 100));
%s
commit;
]]

local CALL = {
  publish = [[select leat.publish('bench:' || :client_id, jsonb_build_object('body', repeat('x', 100)));]],
  notify = [[select pg_notify('bench', 'bench:' || :client_id || ' {"body": "' || repeat('x', 100) || '"}');]],
  insert = "",
}

local function pgbench(context, call, clients, seconds)
  local path = ("%s/%s.sql"):format(context.work, call)
  local file = assert(io.open(path, "w"))
  file:write(SCRIPT:format(CALL[call]))
  file:close()
  return process.run("pgbench", {
    core = context.load_core,
    args = { "-n", "-M", "prepared", "-f", path, "-c", tostring(clients), "-j", "1", "-T", tostring(seconds),
      context.database },
  })
end

--- For a scenario: what stands for the server "publish", "notify" or "insert". A Leat listens meanwhile.
function M.measure(call)
  return function(context, scenario, arguments)
    context.sql [[
      truncate leat.topic, leat.event;
      drop table if exists publications;
      create table publications (id bigint generated always as identity primary key, topic int, body text)]]
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
