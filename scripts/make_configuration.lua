-- Makes the table of docs/configuration.md from what the server says of its keys.
--   lua5.4 scripts/make_configuration.lua build/dev/csrc/app/leat docs/configuration.md   writes it there
--   lua5.4 scripts/make_configuration.lua build/dev/csrc/app/leat                         prints it

local BEGIN, END = "<!-- the table of the keys -->\n", "<!-- its end -->\n"

local function make(help)
  local lines = { "| key | default | bounds | live | meaning |", "| --- | --- | --- | --- | --- |" }
  for key, default, facts, meaning in help:gmatch("\n  ([%w_.]+) = ([^\n]*)  %(([^)\n]*)%)\n      ([^\n]+)") do
    local bounds = facts:match(", (%d+ to %d+)") or ""
    local live = facts:find(", live", 1, true) and "yes" or ""
    meaning = meaning:gsub("|", "\\|")
    lines[#lines + 1] = ("| `%s` | `%s` | %s | %s | %s |"):format(key, default, bounds, live, meaning)
  end
  return table.concat(lines, "\n") .. "\n"
end

local binary, file = arg[1], arg[2]
assert(binary, "usage: lua5.4 make_configuration.lua LEAT [FILE]")
local help = assert(io.popen("'" .. binary .. "' serve --help"))
local made = make(help:read("a"))
help:close()
if not file then
  io.write(made)
  return
end
local input = assert(io.open(file))
local text = input:read("a")
input:close()
local begin, first = text:find(BEGIN, 1, true)
local last = text:find(END, 1, true)
assert(begin and last, file .. " has no place for the table")
text = text:sub(1, first) .. "\n" .. made .. "\n" .. text:sub(last)
local output = assert(io.open(file, "w"))
output:write(text)
output:close()
