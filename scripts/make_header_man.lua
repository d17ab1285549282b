-- Prints the manual page leat.h(3), made from the header, so that the two never differ.
--   lua5.4 scripts/make_header_man.lua csrc/embed/leat.h > leat.h.3
-- It fails if a function has no comment of its own, or if the comment does not say on which threads, and whether in
-- callbacks, it may be called.

local path = assert(arg[1], "usage: lua5.4 make_header_man.lua HEADER")
local header = assert(io.open(path)):read("a")
local problems = {}

-- A line of roff text: backslashes, and control characters at its begin, lose their meaning.
local function roff(text)
  text = text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub('"', "\\(dq"):gsub("'", "\\(aq")
  return (text:gsub("^%.", "\\&."))
end

-- The lines of a comment without its stars.
local function lines_of(comment)
  local lines = {}
  for line in (comment:gsub("^/%*", " *"):gsub("%s*%*/$", "") .. "\n"):gmatch("(.-)\n") do
    lines[#lines + 1] = line:gsub("^ %* ?", "")
  end
  return lines
end

local function print_text(lines)
  for _, line in ipairs(lines) do
    local word, rest = line:match("^(%u%l+)  +(.*)$")
    if line == "" then
      print ".Pp"
    elseif line:find("^Threads: ") then
      print ".br"
      print(roff(line))
    elseif word then
      print ".Pp"
      print(".Em " .. word .. " :")
      print(roff(rest))
    else
      print(roff((line:gsub("^%s+", ""))))
    end
  end
end

local function print_code(code)
  print ".Bd -literal -offset indent"
  for line in (code .. "\n"):gmatch("(.-)\n") do print(roff(line)) end
  print ".Ed"
end

-- Splits "a, void (*b)(int, int)" at the commas that are outside of parentheses.
local function arguments(text)
  local list, depth, from = {}, 0, 1
  for at = 1, #text do
    local c = text:sub(at, at)
    depth = depth + (c == "(" and 1 or c == ")" and -1 or 0)
    if c == "," and depth == 0 then
      list[#list + 1] = text:sub(from, at - 1)
      from = at + 1
    end
  end
  list[#list + 1] = text:sub(from)
  for i, argument in ipairs(list) do list[i] = '"' .. argument:match("^%s*(.-)%s*$") .. '"' end
  return table.concat(list, " ")
end

local function is_function(code)
  return not code:find("^typedef") and not code:find("^#") and code:find("%);$")
end

local function print_function(code, comment)
  local type, name, list = code:gsub("%s+", " "):match("^(.-)([%w_]+)%((.*)%);$")
  if not comment then
    problems[#problems + 1] = name .. " has no comment"
  elseif not comment:find("Threads: [^\n]") or not comment:find("In callbacks: ", 1, true) then
    problems[#problems + 1] = name .. ": its comment does not say on which threads, and whether in callbacks"
  end
  print(".Ft " .. type:match("^(.-)%s*$"))
  print(".Fn " .. name .. " " .. arguments(list))
end

-- The blocks of the header: each a comment, and the code that follows it up to an empty line.
local function blocks(text)
  local list, comment = {}, nil
  for block in (text .. "\n\n"):gmatch("(.-)\n\n+") do
    local own, code = block:match("^%s*(/%*.-%*/)\n?(.*)$")
    if own and own:find("^/%* %-%-%-") then
      list[#list + 1] = { title = own:match("%-%-%- (.-) %-%-%-") }
    elseif own or block:find("%S") then
      list[#list + 1] = { comment = own, code = own and code or block }
    end
    comment = own
  end
  return list, comment
end

-- A block may have several comments, each with its code (types).
local function parts(block)
  local list = {}
  local text = (block.comment and block.comment .. "\n" or "") .. block.code
  while text ~= "" do
    local comment, rest = text:match("^(/%*.-%*/)\n(.*)$")
    rest = rest or text
    local at = rest:find("\n/*", 1, true)
    list[#list + 1] = { comment = comment, code = at and rest:sub(1, at - 1) or rest }
    text = at and rest:sub(at + 1) or ""
  end
  return list
end

local opening, body = header:match("^(/%*.-%*/)\n.-#define LEAT_API_VERSION[^\n]*\n(.*)\n#ifdef __cplusplus")

print [[
.Dd November 29, 2026
.Dt LEAT.H 3
.Os
.Sh NAME
.Nm leat.h
.Nd a Leat server inside your program
.Sh SYNOPSIS
.In leat.h
.Pp
cc \-o program program.c $(pkg\-config \-\-cflags \-\-libs leat)
.Sh DESCRIPTION]]

local opening_lines = lines_of(opening)
opening_lines[1] = "" -- the name, which stands above
print_text(opening_lines)
print ".Sh TYPES"

for _, block in ipairs(blocks(body)) do
  if block.title then print(".Sh " .. block.title:upper()) end
  for _, part in ipairs(block.title and {} or parts(block)) do
    local code = part.code:match("^%s*(.-)%s*$")
    if is_function(code) then
      print ".Pp"
      print_function(code, part.comment)
      print ".Pp"
    elseif code ~= "" then
      print_code(code)
    end
    if part.comment then print_text(lines_of(part.comment)) end
  end
end
print [[
.Sh SEE ALSO
.Xr leat 1 ,
.Xr leat.lua 5 .
.Pp
docs/embedding.md has whole programs; docs/protocol.md the codes of errors.]]

for _, problem in ipairs(problems) do io.stderr:write(path, ": ", problem, "\n") end
os.exit(#problems == 0)
