-- Makes the table of docs/metrics.md from what a server says in /metrics. The last column is written by hand, and kept.
--   curl -s http://127.0.0.1:8080/metrics | lua5.4 scripts/make_metrics.lua docs/metrics.md            prints it
--   curl -s http://127.0.0.1:8080/metrics | lua5.4 scripts/make_metrics.lua docs/metrics.md --write    writes it there
-- The server needs an app with a topic and a route, so that it has metrics with their labels.

local BEGIN, END = "<!-- the table of the metrics -->\n", "<!-- its end -->\n"

-- Labels whose values depend on the app, the build, or are the bounds of a histogram.
local OPEN = { pattern = true, handler = true, name = true, version = true, le = true }

--- What stands in the last column now, by metric, and whole lines by metric.
local function read_table(text)
  local hints, lines = {}, {}
  for line in text:gmatch("(| `[^\n]+)\n") do
    local metric, hint = line:match("^| `([%w_]+)` | [^|]* | [^|]* | .- | (.*) |$")
    if metric then hints[metric], lines[metric] = hint, line end
  end
  return hints, lines
end

--- Metrics in their order: name, type, help, labels in order with their values.
local function read_metrics(text)
  local all, by_name = {}, {}
  for line in text:gmatch("[^\n]+") do
    local name, help = line:match("^# HELP (%S+) (.*)")
    local typed, kind = line:match("^# TYPE (%S+) (%S+)")
    local sample, labels = line:match("^([%w_]+){(.*)} ")
    if name then
      by_name[name] = { name = name, help = help, labels = {}, values = {} }
      all[#all + 1] = by_name[name]
    elseif typed then
      by_name[typed].kind = kind
    elseif sample then
      local metric = by_name[sample] or by_name[sample:gsub("_bucket$", "")] or by_name[sample:gsub("_%l+$", "")]
      for label, value in labels:gmatch('([%w_]+)="([^"]*)"') do
        local values = metric.values[label]
        if not values and label ~= "le" then
          values = { seen = {} }
          metric.values[label] = values
          metric.labels[#metric.labels + 1] = label
        end
        if values and not values.seen[value] then
          values.seen[value] = true
          values[#values + 1] = value
        end
      end
    end
  end
  return all
end

local function labels_of(metric)
  local words = {}
  for i, label in ipairs(metric.labels) do
    local values = metric.values[label]
    words[i] = "`" .. label .. "`" .. (OPEN[label] and "" or ": " .. table.concat(values, ", "))
  end
  return table.concat(words, "; ")
end

--- Linux before 6.2 does not tell all that the process has: such lines stay.
local function keep_missing(made, lines, metrics)
  local there = {}
  for _, metric in ipairs(metrics) do there[metric.name] = true end
  for name, line in pairs(lines) do
    if name == "process_open_fds" and not there[name] then made[#made + 1] = line end
  end
end

local function make(metrics_text, file_text)
  local hints, lines = read_table(file_text)
  local metrics = read_metrics(metrics_text)
  local made = { "| metric | type | labels | what it counts | what it tells |", "| --- | --- | --- | --- | --- |" }
  for _, metric in ipairs(metrics) do
    made[#made + 1] = ("| `%s` | %s | %s | %s | %s |"):format(metric.name, metric.kind, labels_of(metric),
      metric.help:gsub("|", "\\|"), hints[metric.name] or "")
  end
  keep_missing(made, lines, metrics)
  return table.concat(made, "\n") .. "\n"
end

local file = arg[1]
assert(file, "usage: lua5.4 make_metrics.lua FILE [--write] <METRICS")
local input = assert(io.open(file))
local text = input:read("a")
input:close()
local begin, first = text:find(BEGIN, 1, true)
local last = text:find(END, 1, true)
assert(begin and last, file .. " has no place for the table")
local made = make(io.read("a"), text:sub(first + 1, last - 1))
if arg[2] ~= "--write" then
  io.write(made)
  return
end
local output = assert(io.open(file, "w"))
output:write(text:sub(1, first), "\n", made, "\n", text:sub(last))
output:close()
