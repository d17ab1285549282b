-- Whether two values are the same as JSON, and where they first differ.

local cjson = require "cjson"

local M = {}

local function is_nothing(value)
  return value == nil or value == cjson.null
end

local function show(value)
  if is_nothing(value) then return "nothing" end
  local ok, text = pcall(cjson.encode, value)
  text = ok and text or tostring(value)
  return #text > 300 and text:sub(1, 300) .. " …" or text
end

local function keys_of(a, b)
  local all, seen = {}, {}
  for _, t in ipairs { a, b } do
    for key in pairs(t) do
      if not seen[key] then all[#all + 1], seen[key] = key, true end
    end
  end
  table.sort(all, function(x, y) return tostring(x) < tostring(y) end)
  return all
end

--- Where they first differ: { path, a, b }, the values as text; nil if they do not. A null is as good as nothing.
function M.difference(a, b, path)
  path = path or ""
  if is_nothing(a) and is_nothing(b) then return nil end
  if type(a) ~= "table" or type(b) ~= "table" then
    return a ~= b and { path = path == "" and "the whole" or path, a = show(a), b = show(b) } or nil
  end
  for _, key in ipairs(keys_of(a, b)) do
    local step = math.type(key) == "integer" and ("[%d]"):format(key) or "." .. tostring(key)
    local found = M.difference(a[key], b[key], path .. step)
    if found then return found end
  end
  return nil
end

--- A copy that shares nothing.
function M.copy(value)
  if type(value) ~= "table" or value == cjson.null then return value end
  local made = {}
  for key, v in pairs(value) do made[key] = M.copy(v) end
  return made
end

return M
