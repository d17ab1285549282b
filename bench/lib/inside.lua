-- System calls and allocations of one handshake, or of one event. Each is measured with few and with many; the
-- difference is divided, so that what the start costs falls away.
local cjson = require "cjson"
local process = require "bench.lib.process"
local servers = require "bench.lib.servers"

local M = {}

local STOP_MS = 30000

local FEW, MANY = 200, 1200

-- Arguments of the load: n handshakes, or n events for ten subscribers each.
local LOAD = {
  handshake = function(n)
    return { "clients=" .. n, "at_once=16" }
  end,
  event = function(n)
    return { "clients=500", "topics=50", "events=" .. n, "rate=250" }
  end,
}

local function run_load(context, server, how, of, n)
  local args = LOAD[of](n)
  for name, value in pairs(how) do
    args[#args + 1] = ("%s=%s"):format(name, value)
  end
  args[#args + 1] = "pid=" .. server.pid
  return process.run(context.bin .. "/bench_load", { core = context.load_core, args = args })
end

-- Returns malloc, calloc and realloc together, and bytes.
local function read_allocations(path)
  local file = assert(io.open(path, "rb"))
  local malloc, calloc, realloc, _, bytes = ("<i8i8i8i8i8"):unpack(file:read("a"))
  file:close()
  return { allocations = malloc + calloc + realloc, bytes = bytes }
end

-- The columns are: % of the time, seconds, µs a call, calls, errors (if any), name.
local function read_calls(path)
  local calls = {}
  for line in io.lines(path) do
    local count, name = line:match("^%s*[%d.]+%s+[%d.]+%s+%d+%s+(%d+)%s[%s%d]*(%l[%w_]*)$")
    if name and name ~= "total" then
      calls[name] = tonumber(count)
    end
  end
  return calls
end

local function count_allocations(context, name, of, n)
  local path = context.work .. "/allocations"
  context.sql("truncate leat.topic, leat.event")
  local server, how = servers.start[name](context, {
    env = { BENCH_ALLOCATIONS = path, LD_PRELOAD = context.bin .. "/libbench_allocations.so" },
  })
  local out, why = run_load(context, server, how, of, n)
  local counts = out and read_allocations(path)
  process.stop(server)
  return counts or error(why, 0)
end

local function count_calls(context, name, of, n)
  local path = context.work .. "/calls"
  context.sql("truncate leat.topic, leat.event")
  local server, how = servers.start[name](context, {
    wrapper = { "strace", "-c", "-f", "-o", path },
    env = { LEAT_DRAIN_MS = 0 },
  })
  local out, why = run_load(context, server, how, of, n)
  process.stop(server, STOP_MS) -- strace writes when its program has ended
  return out and read_calls(path) or error(why, 0)
end

local function difference(few, many)
  local each = {}
  for name, count in pairs(many) do
    each[name] = math.max(0, (count - (few[name] or 0)) / (MANY - FEW))
  end
  return each
end

local function sum(calls)
  local all = 0
  for _, count in pairs(calls) do
    all = all + count
  end
  return all
end

--- For a scenario: counts of that server. arguments.of is "handshake" or "event".
function M.counts(name)
  return function(context, _, arguments)
    local of = arguments.of
    local inside = difference(count_allocations(context, name, of, FEW), count_allocations(context, name, of, MANY))
    inside.calls = difference(count_calls(context, name, of, FEW), count_calls(context, name, of, MANY))
    inside.all_calls = sum(inside.calls)
    return cjson.encode { inside = inside }
  end
end

return M
