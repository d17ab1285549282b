-- Checks the includes of csrc:
--   * a file includes headers of a lower rank or of its own directory;
--   * a room (a directory inside a layer) includes its own headers and those of lower rooms;
--   * the header of a library is included only where that library is wrapped;
--   * modules include each other in no circle. A module is a .c and a .h with the same stem;
--   * a header opens with four answers: ownership, threads, units, errors.
-- Usage: lua5.4 scripts/check_layers.lua [ROOT]. Prints each problem; exit code 1 if there is one.

local RANK = {
  base = 0,
  wire = 1, loop = 1,
  net = 2, pg = 2, fetch = 2,
  mail = 3, outbox = 3,
  hub = 4, core = 4,
  script = 5, http = 5,
  engine = 6,
  embed = 7, control = 7,
  host = 8, app = 8,
}

-- The rooms of a layer, lowest first. Files in the layer's own directory are above its rooms.
local ROOMS = {
  script = { "sandbox", "value", "task", "api", "route" },
}

-- Header name patterns and the only layers that may include them.
local WRAPPED = {
  { "^lua%.h$", { script = true, host = true } },
  { "^lualib%.h$", { script = true } },
  { "^lauxlib%.h$", { script = true, host = true } },
  { "^libpq%-fe%.h$", { pg = true } },
  { "^llhttp", { wire = true } },
  { "^openssl/", { wire = true, net = true } },
  { "^curl/", { fetch = true, app = true } },
  { "^zlib%.h$", { wire = true } },
  { "^pb", { wire = true } },
}

-- Layers that do without libuv.
local NO_UV = { base = true, wire = true }

local root = arg[1] or "."
local problems = {}

local function report(format, ...)
  problems[#problems + 1] = format:format(...)
end

local function source_files()
  local paths = {}
  local find = assert(io.popen("cd '" .. root .. "/csrc' && find . -name '*.[ch]' | sort"))
  for path in find:lines() do
    paths[#paths + 1] = path:sub(3)
  end
  find:close()
  return paths
end

--- Returns the layer and the room of a path below csrc; the room is nil in the layer's own directory.
local function place_of(path)
  local layer, rest = path:match("^([%w_]+)/(.+)$")
  return layer, rest and rest:match("^([%w_]+)/")
end

local function room_rank(layer, room)
  local rooms = ROOMS[layer] or {}
  if not room then
    return #rooms + 1
  end
  for rank, name in ipairs(rooms) do
    if name == room then
      return rank
    end
  end
end

local function check_library(where, layer, header)
  for _, rule in ipairs(WRAPPED) do
    if header:find(rule[1]) and not rule[2][layer] then
      report("%s: <%s> may not be included in csrc/%s", where, header, layer)
    end
  end
  if header == "uv.h" and NO_UV[layer] then
    report("%s: <uv.h> may not be included in csrc/%s", where, layer)
  end
end

local function check_own(where, layer, room, header)
  local to_layer, to_room = place_of(header)
  if not to_layer or not RANK[to_layer] then
    report('%s: "%s" is in no layer', where, header)
  elseif to_layer ~= layer then
    if RANK[to_layer] >= RANK[layer] then
      report('%s: "%s" (rank %d) is not below csrc/%s (rank %d)', where, header, RANK[to_layer],
        layer, RANK[layer])
    end
  elseif to_room ~= room and (room_rank(layer, to_room) or 0) >= room_rank(layer, room) then
    report('%s: "%s" is not in a lower room than csrc/%s', where, header, room and layer .. "/" .. room or layer)
  end
end

-- Each answer begins a line of the comment that opens the header; one line may give all four.
local function check_answers(path)
  local opening = ("\n" .. assert(io.open(root .. "/csrc/" .. path)):read("a")):match("^\n/%*(.-)%*/") or ""
  if opening:find("\n * Ownership, threads, units, errors  ", 1, true) then return end
  for _, answer in ipairs { "Ownership", "Threads", "Units", "Errors" } do
    if not opening:find("\n %* " .. answer .. " %s*%S") then
      report("csrc/%s: its opening comment has no line for %s", path, answer)
    end
  end
end

--- Checks the includes of one file. Returns the paths of ours that it includes, as a list.
local function check_file(path, files)
  local layer, room = place_of(path)
  if not RANK[layer] or not room_rank(layer, room) then
    report("csrc/%s: this directory is neither a layer nor a room of one", path)
    return {}
  end
  local own_header = path:gsub("%.c$", ".h")
  if path:find("%.h$") then check_answers(path) end
  local number, first, includes = 0, nil, {}
  for line in io.lines(root .. "/csrc/" .. path) do
    number = number + 1
    local where = ("csrc/%s:%d"):format(path, number)
    local quoted = line:match('^%s*#%s*include%s+"([^"]+)"')
    local angled = line:match("^%s*#%s*include%s+<([^>]+)>")
    first = first or quoted or angled
    if quoted then
      check_own(where, layer, room, quoted)
      includes[#includes + 1] = quoted
    elseif angled then
      check_library(where, layer, angled)
    end
  end
  if own_header ~= path and files[own_header] and first ~= own_header then
    report('csrc/%s: its first include is not "%s"', path, own_header)
  end
  return includes
end

local function stem(path)
  return (path:gsub("%.[ch]$", ""))
end

--- Returns the circles among modules: lists of two or more stems. graph: stem -> set of stems.
--- (Tarjan's strongly connected components.)
local function circles(graph, stems)
  local index, low, on_stack, stack, found, count = {}, {}, {}, {}, {}, 0
  local function visit(module)
    count = count + 1
    index[module], low[module] = count, count
    stack[#stack + 1], on_stack[module] = module, true
    for other in pairs(graph[module] or {}) do
      if not index[other] then
        visit(other)
        low[module] = math.min(low[module], low[other])
      elseif on_stack[other] then
        low[module] = math.min(low[module], index[other])
      end
    end
    if low[module] ~= index[module] then
      return
    end
    local circle = {}
    repeat
      local top = table.remove(stack)
      on_stack[top] = nil
      circle[#circle + 1] = top
    until top == module
    if #circle > 1 then
      table.sort(circle)
      found[#found + 1] = circle
    end
  end
  for _, module in ipairs(stems) do
    if not index[module] then
      visit(module)
    end
  end
  return found
end

local paths = source_files()
local files, graph, stems = {}, {}, {}
for _, path in ipairs(paths) do
  files[path] = true
end
for _, path in ipairs(paths) do
  local from = stem(path)
  if not graph[from] then
    graph[from] = {}
    stems[#stems + 1] = from
  end
  for _, header in ipairs(check_file(path, files)) do
    if stem(header) ~= from then
      graph[from][stem(header)] = true
    end
  end
end
for _, circle in ipairs(circles(graph, stems)) do
  report("these modules include each other in a circle: %s", table.concat(circle, ", "))
end

for _, problem in ipairs(problems) do
  print(problem)
end
os.exit(#problems == 0)
