-- Which tables a statement reads, as the planner sees it.

local M = {}

local function parameters(sql)
  local n = 0
  for digits in sql:gmatch("%$(%d+)") do n = math.max(n, tonumber(digits)) end
  return n
end

--- The tables of a statement, as a set of names ("public.chats"), added to `into`. What cannot be explained (a function
--- call, say) reads none.
function M.of(session, sql, into)
  local nulls = {}
  for i = 1, parameters(sql) do nulls[i] = "null" end
  local arguments = #nulls > 0 and "(" .. table.concat(nulls, ", ") .. ")" or ""
  pcall(function()
    session:run("set plan_cache_mode = force_generic_plan")
    session:run("prepare leat_spec_plan as " .. sql)
    for _, row in ipairs(session:rows("explain (verbose, costs off) execute leat_spec_plan" .. arguments)) do
      local name = (row["QUERY PLAN"] or ""):match(" on ([%w_]+%.[%w_\"]+)")
      if name and not name:find("^leat") and not name:find("^pg_") then into[name] = true end
    end
  end)
  pcall(session.run, session, "deallocate leat_spec_plan")
  return into
end

--- The names in a that are not in b, sorted.
function M.without(a, b)
  local names = {}
  for name in pairs(a) do
    if not b[name] then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

return M
