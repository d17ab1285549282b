-- Makes a copy of the sources in which one promise is broken on purpose, for scripts/torture.
-- Usage: lua5.4 scripts/break_server.lua ROOT NAME COPY    brings COPY up to date; prints the symptom of the breakage
--        lua5.4 scripts/break_server.lua ROOT --check      applies every breakage in memory only
--
-- A breakage is a file spec/torture/broken/NAME.lua. It returns
--   symptom   a pattern of grep -E: the violation that the torture test must report
--   edits     a list of { func = NAME, at_start | after = LINE | before = LINE, insert = TEXT }
-- The place of an edit is looked for in every C file of csrc and must be found exactly once: the start of a function
-- of that name, or a line in one. So a breakage follows a function that moves to another file. If it does not apply any
-- more, this script says why and exits with 1.
--
-- Only files whose content differs are written, so that the next build of the copy compiles only those.

local PARTS = { "CMakeLists.txt", "cmake", "csrc", "bench", "config", "lua", "packaging", "spec/torture" }

local root = assert(arg[1], "takes the root of the sources")

local function fail(name, reason, ...)
  io.stderr:write(("spec/torture/broken/%s.lua does not apply to csrc: "):format(name), reason:format(...), "\n")
  os.exit(1)
end

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

local function quote(path)
  return "'" .. path:gsub("'", "'\\''") .. "'"
end

local function run(command)
  assert(os.execute(command), command)
end

-- The files of those parts of a tree that are there, as paths relative to it.
local function files_of(tree, parts)
  local names = {}
  for _, part in ipairs(parts) do
    local found = assert(io.popen(("cd %s && find %s -type f 2>/dev/null"):format(quote(tree), part)))
    for name in found:lines() do names[#names + 1] = name end
    found:close()
  end
  return names
end

-- Where the body of a function begins and ends in a C file: the positions of its braces, which stand in column 1.
local function body_of(text, func)
  local from = 1
  while true do
    local first, last = text:find("\n[%a_][^\n;{}]-%f[%w_]" .. func .. "%b()%s*\n{\n", from)
    if not first then return nil end
    local stop = text:find("\n}", last, true)
    if stop then return last, stop end
    from = last
  end
end

local function squeeze(line)
  return (line:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", ""))
end

-- Adds to places each line of a body that reads as wanted: the path, and the positions where the line begins and ends.
local function add_lines(places, path, text, wanted)
  local open, close = body_of(text, wanted.func)
  local at = open and open + 1
  while at and at <= close do
    local stop = text:find("\n", at, true)
    if squeeze(text:sub(at, stop - 1)) == squeeze(wanted.line) then
      places[#places + 1] = { path = path, from = at, to = stop }
    end
    at = stop + 1
  end
end

-- Where an edit is to be made. A function of that name may be in several files: one of them must have the line.
local function place_of(sources, name, edit)
  local line = edit.after or edit.before or "{"
  local places = {}
  for path, text in pairs(sources) do
    if edit.at_start then
      local open = body_of(text, edit.func)
      places[#places + 1] = open and { path = path, from = open, to = open }
    else
      add_lines(places, path, text, { func = edit.func, line = line })
    end
  end
  if #places ~= 1 then
    fail(name, "`%s` in a function `%s` is to be found once, but is found %d times", line, edit.func, #places)
  end
  return places[1]
end

local function apply_edit(sources, name, edit)
  local place = place_of(sources, name, edit)
  local text = sources[place.path]
  local at = edit.before and place.from - 1 or place.to
  sources[place.path] = text:sub(1, at) .. edit.insert .. text:sub(at + 1)
end

local function c_sources()
  local sources = {}
  for _, path in ipairs(files_of(root, { "csrc" })) do
    if path:find("%.c$") then sources[path] = read(root .. "/" .. path) end
  end
  return sources
end

local function breakage_of(name)
  local path = root .. "/spec/torture/broken/" .. name .. ".lua"
  if not name:find("^[%l_]+$") or not read(path) then
    io.stderr:write("nothing is broken by that name: ", name, "\n")
    os.exit(2)
  end
  return dofile(path)
end

local function break_sources(name)
  local breakage, sources = breakage_of(name), c_sources()
  for _, edit in ipairs(breakage.edits) do apply_edit(sources, name, edit) end
  return sources, breakage.symptom
end

local function write_if_other(path, text)
  if read(path) == text then return end
  run("mkdir -p " .. quote((path:match("^(.*)/"))))
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

local function update_copy(sources, copy)
  local wanted = {}
  for _, path in ipairs(files_of(root, PARTS)) do
    wanted[path] = true
    write_if_other(copy .. "/" .. path, sources[path] or read(root .. "/" .. path))
  end
  for _, path in ipairs(files_of(copy, PARTS)) do
    if not wanted[path] then assert(os.remove(copy .. "/" .. path)) end
  end
end

if arg[2] == "--check" then
  for _, path in ipairs(files_of(root, { "spec/torture/broken" })) do break_sources(path:match("([%l_]+)%.lua$")) end
else
  local copy = assert(arg[3], "takes a folder for the copy")
  local sources, symptom = break_sources(arg[2])
  update_copy(sources, copy)
  print(symptom)
end
