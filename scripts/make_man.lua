-- Prints the manual page leat.lua(5), made from the annotated configuration, so that the two never differ.
--   lua5.4 scripts/make_man.lua config/leat.lua > leat.lua.5

local file = assert(arg[1], "usage: lua5.4 make_man.lua CONFIGURATION")
local defaults = dofile(file)

-- A line of roff text: backslashes, and control characters at its begin, lose their meaning.
local function roff(text)
  text = text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub('"', "\\(dq")
  return (text:gsub("^([.'])", "\\&%1"))
end

-- A default as it is written in the file.
local function literal(value)
  if type(value) == "string" then return '"' .. value .. '"' end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for key, part in pairs(value) do parts[#parts + 1] = key .. " = " .. literal(part) end
  table.sort(parts)
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local function print_entry(key, default, comment)
  print((".It Sy %s No = %s"):format(roff(key), roff(literal(default))))
  for _, line in ipairs(comment) do print(roff(line)) end
end

print [[
.Dd November 29, 2026
.Dt LEAT.LUA 5
.Os
.Sh NAME
.Nm leat.lua
.Nd configuration of leat
.Sh DESCRIPTION]]

local comment, inside, group = {}, false, nil
for line in io.lines(file) do
  local text = line:match("^%s*%-%- ?(.*)$")
  local key, value = line:match("^%s+([%w_]+) = (.-),?$")
  if line:find("^return {") then
    print ".Sh KEYS"
    print ".Bl -tag -width Ds"
    inside, comment = true, {}
  elseif text and text:find("^%-+$") then
    comment = {}
  elseif text and not inside then
    print(text == "" and ".Pp" or roff(text))
  elseif text then
    comment[#comment + 1] = text
  elseif key and value == "{" then
    group = key
  elseif key then
    if group then
      print_entry(group .. "." .. key, defaults[group][key], comment)
    else
      print_entry(key, defaults[key], comment)
    end
    comment = {}
  elseif line:find("^%s+},") then
    group = nil
  elseif line == "" and inside then
    comment = {}
  end
end
print ".El"
print ".Sh SEE ALSO"
print ".Xr leat 1"
