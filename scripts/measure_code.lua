-- Measures the C code of csrc: how long the functions are, and how many booleans a struct has.
-- Usage: lua5.4 scripts/measure_code.lua [--check] [ROOT]
--
-- Prints the figures. With --check it prints only what exceeds a limit, and exits with 1 if something does.
-- A function's length is counted from the first line of its signature to the line of its closing brace.

local MEDIAN, P90, LONGEST = 12, 35, 70
local BOOLEANS = 3

-- Structs that may have more booleans, because nothing that they describe goes from state to state.
local VALUES = {
  leat_http_request = "what the head of one request says",
}

local M = {}

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

-- Comments become blanks of the same shape, so that line numbers stay.
local function without_comments(text)
  return (text:gsub("/%*.-%*/", function(comment) return (comment:gsub("[^\n]", " ")) end))
end

local function count_lines(text)
  return select(2, text:gsub("\n", "\n"))
end

--- The functions that a C text defines: a list of { name, line, length }.
function M.functions(text)
  local found = {}
  text = "\n" .. without_comments(text)
  local at = 1
  while true do
    -- A signature begins in column 1 and is followed by a brace in column 1.
    local first, open, name = text:find("\n[%a_][^\n;{}=]-([%a_][%w_]*)%s*%b()[^\n;{}]*\n{\n", at)
    if not first then return found end
    local close = assert(text:find("\n}", open - 1, true), "a function that does not end: " .. name)
    found[#found + 1] = {
      name = name,
      line = count_lines(text:sub(1, first)),
      length = count_lines(text:sub(first, close)),
    }
    at = close
  end
end

local function count_booleans(body)
  local booleans = 0
  for names in body:gmatch("%f[%w_]bool%s+([%w_,%s:%[%]]-);") do
    booleans = booleans + 1 + select(2, names:gsub(",", ","))
  end
  return booleans
end

-- Adds a struct, and those that are defined inside it, each by itself.
local function add_struct(found, name, body)
  body = body:sub(2, -2)
  for inner, after in body:gmatch("%f[%w_]struct[%s%w_]*(%b{})%s*([%w_]*)") do
    add_struct(found, name .. "." .. after, inner)
  end
  found[#found + 1] = { name = name, booleans = count_booleans((body:gsub("%b{}", ""))) }
end

--- The structs that a C text defines: a list of { name, booleans }.
function M.structs(text)
  local found = {}
  text = "\n" .. without_comments(text)
  for tag, body, after in text:gmatch("\n[%l ]-struct%s+([%w_]*)%s*(%b{})([^\n;]*);") do
    add_struct(found, tag ~= "" and tag or after:match("[%w_]+"), body)
  end
  return found
end

--- The value below which that part of the sorted numbers lies.
function M.quantile(sorted, part)
  return sorted[math.max(1, math.ceil(#sorted * part))]
end

local function measure(root)
  local functions, structs = {}, {}
  for path in assert(io.popen("find '" .. root .. "/csrc' -name '*.[ch]' | sort")):lines() do
    local text = read(path)
    local name = path:sub(#root + 2)
    for _, f in ipairs(M.functions(text)) do
      f.path = name
      functions[#functions + 1] = f
    end
    for _, s in ipairs(M.structs(text)) do
      s.path = name
      structs[#structs + 1] = s
    end
  end
  table.sort(functions, function(a, b) return a.length < b.length end)
  return functions, structs
end

local function main(check, root)
  local functions, structs = measure(root)
  local lengths, problems = {}, {}
  for i, f in ipairs(functions) do lengths[i] = f.length end
  local median, p90 = M.quantile(lengths, 0.5), M.quantile(lengths, 0.9)
  local longest = functions[#functions]
  local function report(...)
    problems[#problems + 1] = string.format(...)
  end
  if median > MEDIAN then report("the median function has %d lines, over %d", median, MEDIAN) end
  if p90 > P90 then report("the 90th percentile of the functions' lengths is %d lines, over %d", p90, P90) end
  for _, f in ipairs(functions) do
    if f.length > LONGEST then report("%s:%d: %s has %d lines, over %d", f.path, f.line, f.name, f.length, LONGEST) end
  end
  for _, s in ipairs(structs) do
    if s.booleans > BOOLEANS and not VALUES[s.name] then
      report("%s: struct %s has %d booleans, over %d", s.path, s.name, s.booleans, BOOLEANS)
    end
  end
  if not check then
    print(("%d functions: median %d lines, 90th percentile %d, longest %d (%s in %s)"):format(#functions, median, p90,
      longest.length, longest.name, longest.path))
  end
  for _, problem in ipairs(problems) do print(problem) end
  return #problems == 0
end

if arg and arg[0] and arg[0]:find("measure_code.lua$") then
  local check = arg[1] == "--check"
  local ok = main(check, arg[check and 2 or 1] or ".")
  os.exit(not check or ok)
end
return M
