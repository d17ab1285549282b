-- Puts figures of scripts/bench --json into docs/performance.md, between <!-- figures NAME --> and <!-- end -->.
-- Usage: lua5.4 bench/fill_docs.lua FIGURES.json [DOCUMENT]. Scenarios that the file does not have keep their figures.
local root = (arg[0]:match("^(.*)/bench/[^/]*$") or ".")
package.path = root .. "/?.lua;" .. package.path

local cjson = require "cjson"
local report = require "bench.lib.report"
local scenarios = require "bench.lib.scenarios"

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

local function markdown_row(row)
  return "| " .. table.concat(row, " | ") .. " |"
end

local function markdown(rows)
  local lines = { markdown_row(rows[1]), "|" .. (" --- |"):rep(#rows[1]) }
  for i = 2, #rows do
    lines[#lines + 1] = markdown_row(rows[i])
  end
  return table.concat(lines, "\n")
end

local function scenario_of(name)
  for _, scenario in ipairs(scenarios) do
    if scenario.name == name then
      return scenario
    end
  end
end

-- When a table was measured: tables of one page may come from several runs.
local function origin(m)
  return ("Leat at %s, %s, load average %.1f."):format(m.commit, m.date, m.load_average)
end

local function tables_of(all)
  local tables, m = {}, all.machine
  for _, outcome in ipairs(all.scenarios) do
    local scenario = scenario_of(outcome.name)
    local rows = { report.head(scenario) }
    for _, point in ipairs(outcome.points) do
      report.add_rows(rows, scenario, outcome.servers, point.summary, scenario.vary and point.x)
    end
    tables[outcome.name] = markdown(rows) .. "\n\n" .. origin(m)
  end
  tables.machine = ("The machine: %s, %d cores, Linux %s, PostgreSQL %s, libuv %s."):format(m.cpu, m.cores, m.kernel,
    m.postgres, m.libuv)
  return tables
end

local function fill(document, tables)
  return (document:gsub("(<!%-%- figures ([%w%-]+) %-%->)\n.-(<!%-%- end %-%->)", function(open, name, close)
    if tables[name] then
      return ("%s\n%s\n%s"):format(open, tables[name], close)
    end
  end))
end

local path = arg[2] or root .. "/docs/performance.md"
local filled = fill(read(path), tables_of(cjson.decode(read(arg[1]))))
local file = assert(io.open(path, "w"))
file:write(filled)
file:close()
