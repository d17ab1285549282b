-- Counts the outcomes of an Autobahn report. Usage: lua5.4 count.lua report/index.json
-- Prints each case that is neither OK nor informational; exit code 1 if there is one without a reason below.

local cjson = require "cjson"

-- Cases that may be "NON-STRICT", each with the reason.
local REASONS = {}

local file = assert(io.open(arg[1], "rb"))
local cases = assert(cjson.decode(file:read("a")).Leat)
file:close()

local names = {}
for name in pairs(cases) do names[#names + 1] = name end
table.sort(names)

local counts, bad = {}, 0
for _, name in ipairs(names) do
  local case = cases[name]
  local outcome = case.behavior
  if case.behaviorClose ~= "OK" and case.behaviorClose ~= "INFORMATIONAL" then outcome = case.behaviorClose end
  counts[outcome] = (counts[outcome] or 0) + 1
  if outcome ~= "OK" and outcome ~= "INFORMATIONAL" then
    print(("%s: %s, close %s%s"):format(name, case.behavior, case.behaviorClose,
      REASONS[name] and " (" .. REASONS[name] .. ")" or ""))
    if not REASONS[name] then bad = bad + 1 end
  end
end

local line = {}
for outcome, n in pairs(counts) do line[#line + 1] = n .. " " .. outcome end
table.sort(line)
print(("%d cases: %s"):format(#names, table.concat(line, ", ")))
os.exit(bad == 0 and #names > 0)
