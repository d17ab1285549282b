-- /metrics: read, and watched until all gauges are back.

local http = require "leat.spec.http"
local loop = require "leat.spec.loop"

local M = {}

--- All samples, by name with labels: metrics["leat_subscriptions{state=\"live\"}"].
function M.read(server)
  local answer = http.request(server, "/metrics")
  assert(answer.status == 200, "no metrics")
  local all = {}
  for name, value in answer.body:gmatch("([%w_:]+%b{}) (%S+)\n") do all[name] = tonumber(value) end
  for name, value in answer.body:gmatch("([%w_:]+) (%S+)\n") do
    if name:find("^leat_") then all[name] = tonumber(value) end
  end
  return all, answer.body
end

--- One sample.
function M.value(server, name)
  return M.read(server)[name]
end

-- How often something is tried whose queries are counted.
local TRIES = 4

--- The queries that fn causes. The server has some of its own, now and then: so fn runs several times, and the fewest
--- count.
function M.queries(server, fn)
  local least = math.huge
  for _ = 1, TRIES do
    local before = M.value(server, "leat_query_seconds_count")
    fn()
    least = math.min(least, M.value(server, "leat_query_seconds_count") - before)
  end
  return least
end

-- Gauges that a handshake raises, and that are 0 when there is no client.
local RAISED = {
  "leat_connections",
  'leat_clients{protocol="leat.v1"}',
  'leat_clients{protocol="centrifuge-json"}',
  'leat_clients{protocol="centrifuge-protobuf"}',
  "leat_topics",
  'leat_subscriptions{state="new"}',
  'leat_subscriptions{state="authorizing"}',
  'leat_subscriptions{state="arming"}',
  'leat_subscriptions{state="reading"}',
  'leat_subscriptions{state="replaying"}',
  'leat_subscriptions{state="live"}',
  'leat_pg_pool_connections{state="busy"}',
  'leat_pg_pool_connections{state="connecting"}',
  "leat_pg_pool_waiters",
  "leat_handshakes_under_way",
  "leat_ring_bytes",
  "leat_kept_signal_bytes",
}

--- What keeps the server from being settled, as text; nil if nothing does.
function M.raised(server)
  local all = M.read(server)
  local raised = {}
  for _, name in ipairs(RAISED) do
    if all[name] ~= 0 then raised[#raised + 1] = name .. " = " .. tostring(all[name]) end
  end
  if #raised > 0 then return table.concat(raised, ", ") end
  return nil
end

--- Waits until every gauge that clients and their handshakes raise is back at 0.
function M.settled(server, limit_ms)
  local last
  loop.eventually(function()
    last = M.raised(server)
    return not last
  end, limit_ms, function() return "every gauge back: " .. last end)
end

--- Waits until one sample has that value.
function M.await(server, name, value, limit_ms)
  local last
  loop.eventually(function()
    last = M.value(server, name)
    return last == value
  end, limit_ms, function() return ("%s = %s, it is %s"):format(name, value, tostring(last)) end)
end

--- Waits until one sample has grown by at least that much.
function M.await_growth(server, name, from, by, limit_ms)
  return loop.eventually(function()
    local value = M.value(server, name)
    return value >= from + (by or 1) and value
  end, limit_ms, "growth of " .. name)
end

return M
