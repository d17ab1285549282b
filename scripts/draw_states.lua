-- Draws the states of a subscription: reads csrc/core/sub_states.h and sub_table.c, and writes a picture
-- (Mermaid) and a list into docs/architecture.md, between its two marks.
-- Usage: lua5.4 scripts/draw_states.lua [--check] [ROOT]. --check writes nothing, and exits with 1 if the
-- document is not what would be written.

local DOCUMENT = "docs/architecture.md"
local BEGIN, END = "<!-- states: made by scripts/draw_states.lua -->\n", "<!-- end of states -->"

-- Drawn from every state, these would hide all others: the list has them.
local NOT_DRAWN = { CLOSE = true, IDENTITY = true }

local check = arg[1] == "--check"
local root = arg[check and 2 or 1] or "."

local function read(path)
  local file = assert(io.open(root .. "/" .. path))
  local text = file:read("a")
  file:close()
  return text
end

--- The names of an X-macro list, in order, each with what its comment says.
local function names_of(header, list)
  local names = {}
  local body = assert(header:match("#define " .. list .. "%(X%)(.-)\n\n"), list .. " is not in sub_states.h")
  for line in body:gmatch("[^\n]+") do
    local name = line:match("X%(([%u_]+)%)")
    if name then
      names[#names + 1] = { name = name, what = line:match("/%* (.-) %*/") }
    end
  end
  return names
end

--- What RULE and STAY say: { state, event, next }, next == nil for STAY.
local function rules_of(source)
  local rules = {}
  for line in source:gmatch("[^\n]+") do
    local state, event, next_state = line:match("^    RULE%(([%u_]+), ([%u_]+), ([%u_]+), [%l_%u]+%),$")
    if not state then
      state, event = line:match("^    STAY%(([%u_]+), ([%u_]+), [%l_%u]+%),$")
    end
    if state then
      rules[#rules + 1] = { state = state, event = event, next = next_state }
    else
      assert(not line:find("^%s*RULE%(") and not line:find("^%s*STAY%("), "not one rule a line: " .. line)
    end
  end
  return rules
end

local function add(lists, key, value)
  if not lists[key] then
    lists[key] = {}
    lists[#lists + 1] = key
  end
  table.insert(lists[key], value)
end

local function draw(rules)
  local edges, lines = {}, { "```mermaid", "stateDiagram-v2", "    [*] --> NEW" }
  for _, rule in ipairs(rules) do
    if rule.next and not NOT_DRAWN[rule.event] then
      add(edges, rule.state .. " --> " .. rule.next, rule.event:lower())
    end
  end
  for _, edge in ipairs(edges) do
    lines[#lines + 1] = ("    %s : %s"):format(edge, table.concat(edges[edge], ", "))
  end
  lines[#lines + 1] = "    CLOSED --> [*]"
  lines[#lines + 1] = "```"
  return table.concat(lines, "\n")
end

local function sentence(what)
  return what and (what:sub(1, 1):upper() .. what:sub(2)) or ""
end

local function list_states(states, rules)
  local lines = { "| state | what | what leads on |", "| --- | --- | --- |" }
  for _, state in ipairs(states) do
    local ways, parts = {}, {}
    for _, rule in ipairs(rules) do
      if rule.state == state.name and rule.next then
        add(ways, rule.next, rule.event:lower())
      end
    end
    for _, next_state in ipairs(ways) do
      parts[#parts + 1] = ("%s: `%s`"):format(table.concat(ways[next_state], ", "), next_state)
    end
    lines[#lines + 1] = ("| `%s` | %s | %s |"):format(state.name, sentence(state.what), table.concat(parts, "; "))
  end
  return table.concat(lines, "\n")
end

local function list_events(events)
  local lines = { "| event | what has happened |", "| --- | --- |" }
  for _, event in ipairs(events) do
    lines[#lines + 1] = ("| %s | %s |"):format(event.name:lower(), sentence(event.what))
  end
  return table.concat(lines, "\n")
end

local header, source = read("csrc/core/sub_states.h"), read("csrc/core/sub_table.c")
local rules = rules_of(source)
local made = table.concat({
  draw(rules),
  "Not drawn: close, which leads to `CLOSED` from wherever a subscription rests, and identity.",
  list_states(names_of(header, "SUB_STATES"), rules),
  list_events(names_of(header, "SUB_EVENTS")),
}, "\n\n") .. "\n\n"

local document = read(DOCUMENT)
local first, last = document:find(BEGIN, 1, true)
local stop = document:find(END, 1, true)
assert(first and stop, DOCUMENT .. " has lost the marks of the states")
local wanted = document:sub(1, last) .. "\n" .. made .. document:sub(stop)
if check then
  if wanted ~= document then
    print(DOCUMENT .. " does not show the table of sub_table.c: run lua5.4 scripts/draw_states.lua")
    os.exit(1)
  end
else
  local file = assert(io.open(root .. "/" .. DOCUMENT, "w"))
  file:write(wanted)
  file:close()
end
