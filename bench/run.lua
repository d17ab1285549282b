-- Runs scenarios: starts a server, lets the load run, stops it, the next server; several rounds.
-- scripts/bench calls it, with everything installed, built and started. Variables: BENCH_ROOT, BENCH_WORK,
-- BENCH_BIN (the programs of the bench), BENCH_LEAT, BENCH_DATABASE, BENCH_COMMIT.
local root = os.getenv("BENCH_ROOT") or "."
package.path = root .. "/?.lua;" .. package.path

local cjson = require "cjson"
local uv = require "luv"

local options_of = require "bench.lib.options"
local postgres_cost = require "bench.lib.postgres_cost"
local process = require "bench.lib.process"
local report = require "bench.lib.report"
local scenarios = require "bench.lib.scenarios"
local servers = require "bench.lib.servers"
local text = require "bench.lib.table"

local ROUNDS = 3
local QUICK = { clients = 20, rate = 20, seconds = 0.5, events = 40, window = 20, settle_ms = 50, missed = 5 }

local function say(format, ...)
  io.stderr:write("bench: ", format:format(...), "\n")
end

local is_terminal = uv.guess_handle(2) == "tty"

local function progress(format, ...)
  if is_terminal then
    io.stderr:write("\r\27[K", format:format(...))
  end
end

local function first_line(path, ...)
  local out = process.run(path, { args = { ... } })
  return out and out:match("^[^\n]*") or "unknown"
end

local function cpu_model()
  for line in io.lines("/proc/cpuinfo") do
    local model = line:match("^model name%s*:%s*(.*)")
    if model then
      return model
    end
  end
  return "unknown"
end

local function load_average()
  local file = assert(io.open("/proc/loadavg"))
  local average = file:read("n")
  file:close()
  return average
end

local function make_context()
  local cores = #uv.cpu_info()
  local context = {
    root = root,
    work = os.getenv("BENCH_WORK"),
    bin = os.getenv("BENCH_BIN"),
    leat = os.getenv("BENCH_LEAT"),
    database = os.getenv("BENCH_DATABASE"),
    fifo = os.getenv("BENCH_WORK") .. "/events",
    peers = os.getenv("BENCH_WORK") .. "/peers",
    server_core = cores > 1 and 0 or nil,
    load_core = cores > 1 and ("1-%d"):format(cores - 1) or nil,
  }
  function context.sql(statements)
    local out, why = process.run("psql", { args = { "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", context.database, "-c",
      statements } })
    return out or error("psql: " .. why, 0)
  end
  if cores == 1 then
    say("this machine has one core: server and load share it, and figures say little")
  end
  return context
end

local function machine(context)
  return {
    cpu = cpu_model(),
    cores = #uv.cpu_info(),
    kernel = uv.os_uname().release,
    load_average = load_average(),
    commit = os.getenv("BENCH_COMMIT"),
    date = os.date("!%Y-%m-%d %H:%M UTC"),
    leat = first_line(context.leat, "version"),
    postgres = context.sql("show server_version"):match("^[^\n]*"),
    libuv = uv.version_string(),
  }
end

local function copy(into, from)
  for key, value in pairs(from or {}) do
    into[key] = value
  end
  return into
end

-- The arguments of one point: the scenario's, the point's, and of --quick smaller ones.
local function arguments_of(scenario, point, quick)
  local arguments = copy(copy({ clients = 1000, topics = 1 }, scenario.load), point)
  if quick then
    for name, most in pairs(QUICK) do
      if arguments[name] then
        arguments[name] = math.min(arguments[name], most)
      end
    end
    arguments.subscriptions = arguments.subscriptions and math.min(arguments.subscriptions, 10)
    arguments.topics = math.min(arguments.topics, arguments.clients * (arguments.subscriptions or 1))
    arguments.at_once = arguments.at_once and math.min(arguments.at_once, arguments.clients)
    arguments.history = arguments.history and math.min(arguments.history, 1000)
    arguments.per_commit = arguments.per_commit and math.min(arguments.per_commit, 10)
  end
  if arguments.seconds and quick then
    arguments.seconds = math.max(arguments.seconds, arguments.publishers and 1 or 0) -- pgbench knows whole ones
  end
  if arguments.rate and arguments.seconds then
    arguments.events = math.max(1, math.floor(arguments.rate * arguments.seconds))
  end
  return arguments
end

local function load_arguments(scenario, arguments, how, pid, context)
  local all = copy(copy({}, arguments), how)
  all.seconds, all.history = nil, nil
  if how.driver == "sql" or how.driver == "notify" then
    all.driver = arguments.driver or how.driver
  end
  all.pid = pid
  all.database = context.database
  all.metrics = how.protocol == "leat" and how.driver == "sql" and scenario.metrics or nil
  local list = {}
  for name, value in pairs(all) do
    list[#list + 1] = ("%s=%s"):format(name, value)
  end
  return list
end

local function measure(context, scenario, arguments, name)
  if (scenario.replaced or {})[name] then
    local out, why = scenario.replaced[name](context, scenario, arguments)
    return cjson.decode(out or error(why, 0))
  end
  context.sql("truncate leat.topic, leat.event")
  if scenario.before then
    scenario.before(context, arguments)
  end
  local server, how = servers.start[name](context, { env = scenario.env, past = scenario.past, pipe = false })
  local function load()
    return process.run(context.bin .. "/bench_load",
      { core = context.load_core, args = load_arguments(scenario, arguments, how, server.pid, context),
        limit_ms = scenario.limit_ms })
  end
  local results, postgres_us = postgres_cost.of(context, false, load)
  local out, why = results[1], results[2]
  process.stop(server)
  if server.beside then
    process.stop(server.beside)
  end
  if not out then
    local _, log = process.output(server)
    error(("%s: %s%s"):format(name, why, log:sub(-1000)), 0)
  end
  local figures = cjson.decode(out)
  figures.postgres = { cpu_us = postgres_us / arguments.clients }
  return figures
end

-- Of a curve, --quick measures the two ends.
local function points_of(scenario, quick)
  local points = {}
  for i = 2, #(scenario.vary or {}) do
    local value = scenario.vary[i]
    points[#points + 1] = type(value) == "table" and value or { [scenario.vary[1]] = value }
  end
  if quick and #points > 2 then
    points = { points[1], points[#points] }
  end
  return #points > 0 and points or { {} }
end

local function servers_of(scenario, peers)
  local all = table.move(scenario.servers, 1, #scenario.servers, 1, {})
  if scenario.peers then
    table.move(peers, 1, #peers, #all + 1, all)
  end
  return all
end

local function run_point(context, scenario, point, names, options)
  local results, arguments = {}, arguments_of(scenario, point, options.quick)
  local rounds = options.quick and 1 or options.rounds or scenario.rounds or ROUNDS
  for round = 1, rounds do
    for _, name in ipairs(names) do
      local x = scenario.vary and (" %s=%s"):format(scenario.vary[1], arguments[scenario.vary[1]]) or ""
      progress("%s%s: %s, round %d of %d", scenario.name, x, name, round, rounds)
      results[name] = results[name] or {}
      results[name][round] = measure(context, scenario, arguments, name)
    end
  end
  progress("")
  return results, arguments
end

local function run_scenario(context, scenario, options)
  local names = servers_of(scenario, options.peers)
  local outcome = { name = scenario.name, title = scenario.title, figure = scenario.figure, points = {},
    servers = names, vary = scenario.vary and scenario.vary[1], picture = scenario.picture }
  local rows = { report.head(scenario) }
  for _, point in ipairs(points_of(scenario, options.quick)) do
    local results, arguments = run_point(context, scenario, point, names, options)
    local summary = report.summary(scenario, results, arguments)
    local x = scenario.vary and arguments[scenario.vary[1]]
    report.add_rows(rows, scenario, names, summary, x, options.quick)
    outcome.points[#outcome.points + 1] = { x = x, arguments = arguments, summary = summary, rounds = results }
  end
  print(("\n%s: %s\n%s"):format(scenario.name, scenario.title, table.concat(text.lines(rows), "\n")))
  io.stdout:flush()
  return outcome
end

local function chosen(options)
  local by_name, list = {}, {}
  for _, scenario in ipairs(scenarios) do
    by_name[scenario.name] = scenario
    if not scenario.optional then
      list[#list + 1] = scenario
    end
  end
  if #options.scenarios == 0 then
    return list
  end
  list = {}
  for i, name in ipairs(options.scenarios) do
    list[i] = by_name[name] or error("no such scenario: " .. name .. " (--list shows them)", 0)
  end
  return list
end

local function list_scenarios()
  for _, scenario in ipairs(scenarios) do
    print(("%-18s %s%s"):format(scenario.name, scenario.title, scenario.optional and " (optional)" or ""))
  end
end

local function write_json(path, all)
  local file, why = io.open(path, "w")
  if not file then
    error("cannot write " .. why, 0)
  end
  file:write(cjson.encode(all), "\n")
  file:close()
end

local function run(options)
  local context = make_context()
  local list = chosen(options)
  local all = { machine = machine(context), scenarios = {} }
  say("%s, %d cores, Linux %s, PostgreSQL %s, load average %.1f", all.machine.cpu, all.machine.cores,
    all.machine.kernel, all.machine.postgres, all.machine.load_average)
  for i, scenario in ipairs(list) do
    say("scenario %d of %d", i, #list)
    all.scenarios[i] = run_scenario(context, scenario, options)
    if options.json then
      write_json(options.json, all)
    end
  end
  all.machine.load_average_after = load_average()
  if options.json then
    write_json(options.json, all)
  end
  if options.pictures then
    require("bench.lib.picture").draw_all(all, options.pictures)
  end
end

local function on_signal(code)
  return function()
    progress("")
    say("stopping")
    process.stop_all()
    os.exit(code)
  end
end

local function main()
  local options, why = options_of.parse(arg)
  if not options then
    say("%s", why)
    os.exit(2)
  end
  if options.help or options.list then
    print(options.help and options_of.usage or "")
    list_scenarios()
    return
  end
  for name, code in pairs { sigint = 130, sigterm = 143 } do
    local signal = uv.new_signal()
    uv.signal_start(signal, name, on_signal(code))
    uv.unref(signal)
  end
  local good, failure = pcall(run, options)
  process.stop_all()
  if not good then
    say("%s", failure)
    os.exit(1)
  end
end

main()
os.exit(0) -- without closing the state: luv does not like to be collected while handles are open
