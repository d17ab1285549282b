-- What the console costs the clients: a page that is open, and asks what the views ask. Like an operator's browser it
-- is on the core of the load.
local process = require "bench.lib.process"
local servers = require "bench.lib.servers"

local M = {}

-- As often as the views ask (web/console).
local PERIOD_MS = 2000
local QUESTIONS = { "summary", "topics", "clients", "pool", "watches", "statements", "handlers", "script" }

local function start_page(context, port)
  local url = ("http://127.0.0.1:%d/console/api/"):format(port)
  return {
    process.start("curl", { core = context.load_core, args = { "-sN", url .. "live" } }),
    process.start("sh", { core = context.load_core, args = { "-c",
      ("while curl -sf -o /dev/null '%s{%s}'; do sleep %.1f; done"):format(
        url, table.concat(QUESTIONS, ","), PERIOD_MS / 1000) } }),
  }
end

local function events_of(page)
  local out = process.output(page)
  return select(2, out:gsub("\ndata:", ""))
end

--- For a scenario: what stands for the server "leat". arguments.console is "closed" or "open".
function M.measure(context, scenario, arguments)
  context.sql "truncate leat.topic, leat.event"
  local port = process.free_port()
  local server, how = servers.start.leat(context, { env = { LEAT_CONSOLE_LISTEN = "127.0.0.1:" .. port } })
  local pages = arguments.console == "open" and start_page(context, port) or {}
  local load = scenario.load
  local args = { "pid=" .. server.pid, "clients=" .. load.clients, "topics=" .. load.topics, "rate=" .. load.rate,
    "events=" .. load.rate * load.seconds }
  for name, value in pairs(how) do
    args[#args + 1] = ("%s=%s"):format(name, value)
  end
  local out, why = process.run(context.bin .. "/bench_load", { core = context.load_core, args = args })
  local samples, asked_to_the_end = 0, true
  for i, page in ipairs(pages) do
    asked_to_the_end = asked_to_the_end and page.code == nil
    process.stop(page)
    if i == 1 then samples = events_of(page) end
  end
  process.stop(server)
  if arguments.console == "open" and not (asked_to_the_end and samples > 0) then
    return nil, "the console did not answer to the end"
  end
  return out, why
end

return M
