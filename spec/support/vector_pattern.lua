-- Messages with variables (clients/protocol/README.md): filled in to be sent, compared with what has come.
--
-- `values` holds, by name, { bound = v } once a message has had the variable, or { offered = v } before: what this side
-- sends if it is the first to use it.

local cjson = require "cjson"

local M = {}

-- "${name}", "${name+1}": the name, and what is added. Nothing for any other text.
local function parse(text)
  local name, added = text:match("^%${([%w_*]+)([+-]?%d*)}$")
  if name then return name, tonumber(added) or 0 end
end

local function value_of(values, name)
  local value = values[name]
  if not value then error("nothing is known of ${" .. name .. "}", 0) end
  value.bound = value.bound == nil and value.offered or value.bound
  return value.bound
end

--- The message with its variables replaced. Members that are ${none} are left out.
function M.fill(node, values)
  if type(node) == "string" then
    local name, added = parse(node)
    if not name then return (node:gsub("%${([%w_]+)}", function(inner) return value_of(values, inner) end)) end
    local value = value_of(values, name)
    return type(value) == "number" and value + added or value
  end
  if type(node) ~= "table" then return node end
  local copy = {}
  for key, child in pairs(node) do
    if child ~= "${none}" then copy[key] = M.fill(child, values) end
  end
  return copy
end

local function same_value(expected, got, values, where)
  local name, added = parse(expected)
  if name == "*" then return got ~= nil, where .. " is missing" end
  if name == "none" then return got == nil, where .. " should not be there" end
  if name then
    local bound = values[name] and values[name].bound
    if bound == nil then
      values[name] = { bound = type(got) == "number" and got - added or got }
      return got ~= nil, where .. " is missing"
    end
    local wanted = type(bound) == "number" and bound + added or bound
    return wanted == got, ("%s is %s, not %s"):format(where, tostring(got), tostring(wanted))
  end
  local before, inner, after = expected:match("^(.-)%${([%w_]+)}(.*)$")
  if not inner then return expected == got, ("%s is %s"):format(where, tostring(got)) end
  local is_alike = type(got) == "string" and #got > #before + #after and got:sub(1, #before) == before
    and got:sub(#got - #after + 1) == after
  if is_alike then values[inner] = { bound = got:sub(#before + 1, #got - #after) } end
  return is_alike, ("%s is %s"):format(where, tostring(got))
end

local compare

local function same_list(expected, got, values, where)
  if type(got) ~= "table" or #got ~= #expected then
    return false, ("%s is %s"):format(where, cjson.encode(got))
  end
  for i, child in ipairs(expected) do
    local ok, reason = compare(child, got[i], values, ("%s[%d]"):format(where, i))
    if not ok then return false, reason end
  end
  return true
end

local function same_object(expected, got, values, where)
  if type(got) ~= "table" then return false, where .. " is no object" end
  for key, child in pairs(expected) do
    local ok, reason = compare(child, got[key], values, where .. "." .. key)
    if not ok then return false, reason end
  end
  return true
end

function compare(expected, got, values, where)
  if type(expected) == "string" then return same_value(expected, got, values, where) end
  if type(expected) ~= "table" then
    return expected == got, ("%s is %s, not %s"):format(where, tostring(got), tostring(expected))
  end
  -- lua-cjson makes the same table of [] and {}.
  if next(expected) == nil then return type(got) == "table" and next(got) == nil, where .. " is not empty" end
  if expected[1] ~= nil then return same_list(expected, got, values, where) end
  return same_object(expected, got, values, where)
end

--- The values with what this message binds, or nil and why it is another one. Members that the pattern does not name
--- may be there.
function M.match(expected, got, values)
  local copy = {}
  for name, value in pairs(values) do copy[name] = { bound = value.bound, offered = value.offered } end
  local ok, reason = compare(expected, got, copy, "message")
  if ok then return copy end
  return nil, reason
end

return M
