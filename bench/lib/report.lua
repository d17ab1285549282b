-- What came out of a scenario, as rows of a table and as a table for JSON.
local statistics = require "bench.lib.statistics"
local text = require "bench.lib.table"

local M = {}

local function list(rounds, path)
  local values = {}
  for i, round in ipairs(rounds) do
    values[i] = statistics.at(round, path)
  end
  return values
end

-- Whether a round of any server got less than nine tenths of the events a second that were asked for: then the servers
-- did not have the same work.
local function is_short(results, rate)
  for _, rounds in pairs(results) do
    for _, round in ipairs(rounds) do
      local got = statistics.at(round, "events.events_per_s")
      if rate and got and got < 0.9 * rate then
        return true
      end
    end
  end
  return false
end

--- results[server] is a list of the load's answers, one a round. Returns a summary for JSON.
function M.summary(scenario, results, arguments)
  local all = {}
  local own = list(results[scenario.servers[1]], scenario.figure.path)
  local short = is_short(results, arguments.rate)
  for server, rounds in pairs(results) do
    local figures = list(rounds, scenario.figure.path)
    local one = { figure = statistics.summary(figures), beside = {}, is_short = short }
    if server ~= scenario.servers[1] then
      one.ratio = statistics.summary(statistics.ratios(own, figures))
    end
    for _, beside in ipairs(scenario.beside or {}) do
      one.beside[beside[1]] = statistics.summary(list(rounds, beside[2]))
    end
    all[server] = one
  end
  return all
end

local function with_spread(summary)
  if not summary then
    return "-"
  end
  if summary.n == 1 then
    return text.number(summary.median)
  end
  return ("%s (%s–%s)"):format(text.number(summary.median), text.number(summary.least), text.number(summary.greatest))
end

-- A goal that the spread of the rounds reaches over is neither met nor missed.
local function judge(summary, bound, more_is_better)
  local sign = more_is_better and "≥ " or "≤ "
  local word = "unclear: "
  if summary.greatest <= bound then
    word = more_is_better and "missed: " or "met: "
  elseif summary.least >= bound then
    word = more_is_better and "met: " or "missed: "
  end
  return word .. sign .. text.number(bound)
end

-- The goal is about this server's figure, or about its ratio to another one's. Where a server was not given the load
-- that was asked for, nothing is judged.
local function verdict(scenario, server, one)
  local bound = (scenario.against or {})[server]
  if bound and one.ratio then
    return one.is_short and "not judged: less load than asked" or
      judge(one.ratio, bound, scenario.figure.more_is_better)
  end
  if scenario.most and server == scenario.servers[1] and one.figure then
    return judge(one.figure, scenario.most)
  end
  return ""
end

--- The heads of a scenario's table. Of a curve, the first column is its argument.
function M.head(scenario)
  local ratio = scenario.servers[1] .. " / it"
  local head = { scenario.vary and scenario.vary[1] or "", scenario.figure.unit, ratio, "goal" }
  if scenario.vary then
    table.insert(head, 2, "")
  end
  for _, beside in ipairs(scenario.beside or {}) do
    head[#head + 1] = beside[1]
  end
  return head
end

local function row_of(scenario, server, one, is_quick)
  local row = { server, with_spread(one.figure), with_spread(one.ratio),
    is_quick and "" or verdict(scenario, server, one) }
  for _, beside in ipairs(scenario.beside or {}) do
    local value = one.beside[beside[1]]
    row[#row + 1] = text.number(value and value.median)
  end
  return row
end

--- Adds the rows of one point: a line for each server. x is the curve's argument, or nil. Of tiny runs no goal is
--- judged.
function M.add_rows(rows, scenario, servers, summary, x, is_quick)
  for i, server in ipairs(servers) do
    if summary[server] then
      local row = row_of(scenario, server, summary[server], is_quick)
      if x then
        table.insert(row, 1, i == 1 and (type(x) == "number" and ("%g"):format(x) or x) or "")
      end
      rows[#rows + 1] = row
    end
  end
end

return M
