-- The command line of scripts/bench, as bench/run.lua gets it.
local M = {}

local USAGE = [[
scripts/bench [SCENARIO…] [--peers all|NAME,…] [--rounds N] [--quick] [--json FILE] [--pictures DIR] [--list]

Without a scenario all run that --list does not call optional. With --quick they are tiny: it shows that the bench
works, and its figures mean nothing.]]

local function words(text)
  local list = {}
  for word in text:gmatch("[^,]+") do
    list[#list + 1] = word
  end
  return list
end

-- Options that have a value, and how it is read.
local VALUES = {
  ["--peers"] = { "peers", words },
  ["--rounds"] = { "rounds", tonumber },
  ["--json"] = { "json", tostring },
  ["--pictures"] = { "pictures", tostring },
}
local FLAGS = { ["--quick"] = "quick", ["--list"] = "list", ["--help"] = "help", ["-h"] = "help" }

--- Returns a table of options, or nil and what is wrong.
function M.parse(arguments)
  local options, i = { scenarios = {}, peers = {} }, 1
  while arguments[i] do
    local argument = arguments[i]
    local name, glued = argument:match("^(%-%-%w+)=(.*)$")
    local value = VALUES[name or argument]
    if FLAGS[argument] then
      options[FLAGS[argument]] = true
    elseif value then
      if not glued then
        i = i + 1
        glued = arguments[i]
      end
      options[value[1]] = glued and value[2](glued)
      if options[value[1]] == nil then
        return nil, argument .. ": a value is missing or malformed"
      end
    elseif argument:sub(1, 1) == "-" then
      return nil, "no such option: " .. argument .. "\n" .. USAGE
    else
      options.scenarios[#options.scenarios + 1] = argument
    end
    i = i + 1
  end
  return options
end

M.usage = USAGE

return M
