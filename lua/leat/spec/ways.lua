-- In which ways can commits fall between the steps of a subscribe?
--
-- A way is a list of actions by position. Position 1 is the first stop of the server, the last one is after the answer.
-- The commits keep their order, but one of them may be open while later ones commit.

local M = {}

local function put(way, position, act, commit, stop_after)
  way[position] = way[position] or {}
  table.insert(way[position], { act = act, commit = commit, stop_after = stop_after })
end

--- Every commit at one moment.
function M.whole(n_commits, n_positions)
  local ways, chosen = {}, {}
  local function choose(commit, least)
    if commit > n_commits then
      local way = {}
      for c = 1, n_commits do put(way, chosen[c], "begin", c) end
      ways[#ways + 1] = way
      return
    end
    for position = least, n_positions do
      chosen[commit] = position
      choose(commit + 1, position)
    end
  end
  choose(1, 1)
  return ways
end

-- One commit is open from one position to another; the later ones commit meanwhile, or after it.
local function open_way(n_commits, c, stop_after, from, to, inside)
  local way = {}
  for other = 1, c - 1 do put(way, from, "begin", other) end
  put(way, from, "begin", c, stop_after)
  if inside then
    for other = c + 1, n_commits do put(way, from, "begin", other) end
  end
  put(way, to, "finish", c)
  if not inside then
    for other = c + 1, n_commits do put(way, to, "begin", other) end
  end
  return way
end

--- One commit is open: across one step of the server, or until after the answer. steps[c]: how many statements it has;
--- it stands open after each of them.
function M.open(steps, n_positions)
  local ways, n = {}, #steps
  for c = 1, n do
    for stop_after = 1, steps[c] do
      for from = 1, n_positions - 1 do
        ways[#ways + 1] = open_way(n, c, stop_after, from, from + 1, false)
        if from + 1 < n_positions then
          local inside = c < n and stop_after == steps[c]
          ways[#ways + 1] = open_way(n, c, stop_after, from, n_positions, inside)
        end
      end
    end
  end
  return ways
end

--- All commits at one position, while announcements are dropped, doubled or delayed, or the listener is cut there.
function M.faults(n_commits, n_positions)
  local ways = {}
  for _, fault in ipairs { "drop", "double", "delay", "cut" } do
    for position = 1, n_positions do
      local way = { fault = fault }
      if fault == "cut" then put(way, position, "cut") end
      for c = 1, n_commits do put(way, position, "begin", c) end
      ways[#ways + 1] = way
    end
  end
  return ways
end

--- Shuffles a list: the same seed, the same order.
function M.shuffle(list, seed)
  local x = seed * 2654435761 + 1
  for i = #list, 2, -1 do
    x = (x * 6364136223846793005 + 1442695040888963407)
    local j = (x >> 33) % i + 1
    list[i], list[j] = list[j], list[i]
  end
  return list
end

return M
