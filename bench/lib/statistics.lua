-- Medians and spreads of a few rounds.
local M = {}

--- The median, the least and the greatest of a list of numbers; nil if it is empty.
function M.summary(list)
  if #list == 0 then
    return nil
  end
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local middle = (#sorted + 1) // 2
  local median = sorted[middle]
  if #sorted % 2 == 0 then
    median = (median + sorted[middle + 1]) / 2
  end
  return { median = median, least = sorted[1], greatest = sorted[#sorted], n = #sorted }
end

--- list[i] / others[i], pair by pair.
function M.ratios(list, others)
  local ratios = {}
  for i = 1, math.min(#list, #others) do
    if others[i] ~= 0 then
      ratios[#ratios + 1] = list[i] / others[i]
    end
  end
  return ratios
end

--- The value at a path such as "events.latency.p50_us" in a table, or nil.
function M.at(value, path)
  for key in path:gmatch("[^.]+") do
    value = type(value) == "table" and value[key] or nil
  end
  return value
end

return M
