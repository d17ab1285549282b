-- Makes the tables of docs/operations/size.md from the figures of docs/performance.md.
--   lua5.4 scripts/make_size.lua docs/performance.md docs/operations/size.md   writes them there
--   lua5.4 scripts/make_size.lua docs/performance.md                           prints them

local BEGIN, END = "<!-- the figures -->\n", "<!-- their end -->\n"
local GIGABYTE_KB = 1024 * 1024

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

-- The number in a column of the row that begins with that name, in the table of a scenario.
local function figure(text, scenario, row, column)
  local begin = "<!%-%- figures " .. scenario:gsub("%-", "%%-") .. " %-%->\n"
  local block = assert(text:match(begin .. "(.-)<!%-%- end"), scenario)
  local header, at = block:match("^([^\n]*)\n"), 0
  local place
  for title in header:gmatch("|([^|]*)") do
    at = at + 1
    if title:match("^%s*(.-)%s*$") == column then place = at end
  end
  assert(place, scenario .. " has no column " .. column)
  at = 0
  local cells = assert(block:match("\n(| " .. row .. " |[^\n]*)"), scenario .. " has no row " .. row)
  for cell in cells:gmatch("|([^|]*)") do
    at = at + 1
    if at == place then return tonumber(cell:match("[%d.]+")) end
  end
end

-- Rounded down to two digits, with commas: 543210 -> 540,000.
local function about(n)
  local unit = 1
  while n / unit >= 100 do unit = unit * 10 end
  local text = ("%d"):format(n // unit * unit)
  return (text:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

local function make(performance)
  local lines = { "| a gigabyte of memory holds | so many | measured |", "| --- | --- | --- |" }
  local function memory(what, scenario, row, column)
    local kb = figure(performance, scenario, row, column)
    lines[#lines + 1] = ("| %s | %s | %s kB each |"):format(what, about(GIGABYTE_KB / kb), kb)
  end
  memory("idle subscribers of one topic, without TLS", "memory", "leat", "resident kB each")
  memory("idle subscribers, with TLS", "tls", "leat_tls", "kB a connection")
  lines[#lines + 1] = ""
  lines[#lines + 1] = "| a core does in a second | so many | measured |"
  lines[#lines + 1] = "| --- | --- | --- |"
  local function core(what, scenario, row, column)
    local us = figure(performance, scenario, row, column)
    lines[#lines + 1] = ("| %s | %s | %s µs each |"):format(what, about(1e6 / us), us)
  end
  core("deliveries, of a topic with 1,000 subscribers", "fanout-1000", "leat", "µs of CPU a delivery")
  core("deliveries, of a topic with 10,000", "fanout-10000", "leat", "µs of CPU a delivery")
  core("deliveries by TLS", "tls", "leat_tls", "µs of CPU a delivery")
  core("handshakes whose handler reads nothing", "handshake", "leat", "µs of CPU each")
  core("handshakes with three reads (Postgres needs more)", "handshake-reads", "room: | leat", "CPU µs")
  core("handshakes that share a snapshot", "handshake-shared", "leat", "µs of CPU each")
  core("clients that resume", "resume", "leat", "µs of CPU each")
  core("connections by TLS, with a subscribe", "tls", "leat_tls", "CPU µs a connection")
  return table.concat(lines, "\n") .. "\n"
end

local source, file = arg[1], arg[2]
assert(source, "usage: lua5.4 make_size.lua PERFORMANCE [FILE]")
local made = make(read(source))
if not file then
  io.write(made)
  return
end
local text = read(file)
local _, first = text:find(BEGIN, 1, true)
local last = text:find(END, 1, true)
assert(first and last, file .. " has no place for the tables")
local output = assert(io.open(file, "w"))
output:write(text:sub(1, first), "\n", made, "\n", text:sub(last))
output:close()
