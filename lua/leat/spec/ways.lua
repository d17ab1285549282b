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

--- One commit is open after each of its statements, and the later ones commit meanwhile: what they do to each other.
function M.overlapping(steps, n_positions)
  local ways, n = {}, #steps
  for c = 1, n - 1 do
    for stop_after = 1, steps[c] do
      ways[#ways + 1] = open_way(n, c, stop_after, (#ways % (n_positions - 1)) + 1, n_positions, true)
    end
  end
  return ways
end

-- The same actions, and one more amid those of a position.
local function with_act(way, position, act)
  local made = {}
  for at, actions in pairs(way) do made[at] = table.move(actions, 1, #actions, 1, {}) end
  if act then
    made[position] = made[position] or {}
    table.insert(made[position], #made[position] // 2 + 1, { act = act })
  end
  return made
end

local function together(n_commits, position)
  local way = {}
  for c = 1, n_commits do put(way, position, "begin", c) end
  return way
end

-- What happens to announcements while the client subscribes; what happens at one position. A revocation comes last: the
-- topic's later handshakes run the handler twice.
local MODES = { "drop", "drop_first", "double", "delay" }
local ACTS = { "cut", "resync", "skip" }

-- All commits at one position, after the answer first; and as many ways more of other kinds.
local function fault_ways(n_commits, n_positions, others, fault, is_act)
  local ways = {}
  for position = n_positions, 1, -1 do
    ways[#ways + 1] = with_act(together(n_commits, position), position, is_act and fault)
    for _, list in ipairs(others) do
      if list[position] then ways[#ways + 1] = with_act(list[position], position, is_act and fault) end
    end
  end
  for _, way in ipairs(ways) do way.fault = fault end
  return ways
end

--- Announcements are dropped, doubled or delayed; or, at one position, the listener is cut, everybody gets a fresh
--- snapshot, or somebody else loses a right. A list for each of these: the commits are all at one position, or, chosen
--- by the seed, as in M.whole and M.open. with_modes: announcements can be meddled with.
function M.faults(n_commits, steps, n_positions, seed, with_modes)
  local lists, others = {}, { M.whole(n_commits, n_positions), M.open(steps, n_positions) }
  local function add(fault, is_act)
    for _, list in ipairs(others) do M.shuffle(list, seed + #lists) end
    local ways = fault_ways(n_commits, n_positions, others, fault, is_act)
    lists[#lists + 1] = table.move(M.shuffle(table.move(ways, 2, #ways, 1, {}), seed), 1, #ways - 1, 2, { ways[1] })
  end
  if with_modes then
    for _, mode in ipairs(MODES) do add(mode, false) end
  end
  for _, act in ipairs(ACTS) do
    if with_modes or act ~= "cut" then add(act, true) end
  end
  return lists
end

--- The row that `refresh` reads is locked, and the commits are all at one position.
function M.locked(n_commits, n_positions)
  local ways = {}
  for position = 1, n_positions do
    ways[position] = together(n_commits, position)
    ways[position].locked = true
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
