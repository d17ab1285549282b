-- Protobuf by a table of fields (clients/protocol/centrifuge/fields.json): messages as tables, to bytes and back.
-- Enough for a spec that speaks to the server. A field of type "json" holds JSON as bytes.

local cjson = require "cjson"

local M = {}

local function varint(n)
  local out = {}
  while n < 0 or n >= 128 do
    out[#out + 1] = string.char(n & 127 | 128)
    n = n >> 7
  end
  return table.concat(out) .. string.char(n)
end

local function read_varint(bytes, at)
  local value, shift = 0, 0
  while true do
    local byte = bytes:byte(at)
    assert(byte, "a number that is cut short")
    value = value | (byte & 127) << shift
    at, shift = at + 1, shift + 7
    if byte < 128 then return value, at end
  end
end

local encode_message, decode_message

local function field(number, kind, bytes)
  return varint(number << 3 | kind) .. bytes
end

local function text(number, bytes)
  return field(number, 2, varint(#bytes) .. bytes)
end

local function encode_value(fields, number, kind, value)
  if kind == "varint" then return value == 0 and "" or field(number, 0, varint(math.tointeger(value))) end
  if kind == "bool" then return value and field(number, 0, "\1") or "" end
  if kind == "string" then return value == "" and "" or text(number, value) end
  if kind == "json" then return text(number, cjson.encode(value)) end
  return text(number, encode_message(fields, kind, value))
end

local function encode_field(fields, number, kind, value)
  local out = {}
  local of = kind:match("^list (.*)$")
  if of then
    for _, item in ipairs(value) do out[#out + 1] = encode_value(fields, number, of, item) end
    return table.concat(out)
  end
  of = kind:match("^map (.*)$")
  if not of then return encode_value(fields, number, kind, value) end
  for key, item in pairs(value) do
    out[#out + 1] = text(number, text(1, key) .. encode_value(fields, 2, of, item))
  end
  return table.concat(out)
end

-- In the order of the field numbers, as libraries do.
function encode_message(fields, name, message)
  local names = {}
  for member in pairs(message) do
    assert(fields[name][member], name .. " has no " .. member)
    names[#names + 1] = member
  end
  table.sort(names, function(a, b) return fields[name][a][1] < fields[name][b][1] end)
  local out = {}
  for i, member in ipairs(names) do
    local number, kind = table.unpack(fields[name][member])
    out[i] = encode_field(fields, math.tointeger(number), kind, message[member])
  end
  return table.concat(out)
end

local function decode_value(fields, kind, wire, raw)
  if kind == "varint" then return raw end
  if kind == "bool" then return raw ~= 0 end
  assert(wire == 2, "a field of another kind")
  if kind == "string" then return raw end
  if kind == "json" then return cjson.decode(raw) end
  return decode_message(fields, kind, raw)
end

local function put(fields, message, member, kind, wire, raw)
  local of = kind:match("^list (.*)$")
  if of then
    message[member] = message[member] or {}
    table.insert(message[member], decode_value(fields, of, wire, raw))
    return
  end
  of = kind:match("^map (.*)$")
  if not of then
    message[member] = decode_value(fields, kind, wire, raw)
    return
  end
  local entry = { key = { 1, "string" }, value = { 2, of } }
  local pair = decode_message(setmetatable({ entry = entry }, { __index = fields }), "entry", raw)
  message[member] = message[member] or {}
  message[member][pair.key or ""] = pair.value
end

function decode_message(fields, name, bytes)
  local message, at = {}, 1
  while at <= #bytes do
    local head, raw
    head, at = read_varint(bytes, at)
    local wire = head & 7
    if wire == 0 then
      raw, at = read_varint(bytes, at)
    else
      assert(wire == 2, "a kind of field that the protocol does not have")
      local length
      length, at = read_varint(bytes, at)
      raw, at = bytes:sub(at, at + length - 1), at + length
    end
    for member, known in pairs(fields[name]) do
      if known[1] == head >> 3 then put(fields, message, member, known[2], wire, raw) end
    end
  end
  return message
end

M.encode, M.decode = encode_message, decode_message

--- Messages, each with its length before it.
function M.encode_frame(fields, name, messages)
  local out = {}
  for i, message in ipairs(messages) do
    local bytes = encode_message(fields, name, message)
    out[i] = varint(#bytes) .. bytes
  end
  return table.concat(out)
end

function M.decode_frame(fields, name, bytes)
  local messages, at = {}, 1
  while at <= #bytes do
    local length
    length, at = read_varint(bytes, at)
    messages[#messages + 1] = decode_message(fields, name, bytes:sub(at, at + length - 1))
    at = at + length
  end
  return messages
end

return M
