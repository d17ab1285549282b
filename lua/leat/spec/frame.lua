-- WebSocket frames (RFC 6455 §5), byte by byte: also those that nobody should send.

local zlib = require "zlib"

local M = {}

M.CONTINUATION, M.TEXT, M.BINARY, M.CLOSE, M.PING, M.PONG = 0, 1, 2, 8, 9, 10

-- Long payloads are sent under a mask of zeros, which is a mask like any other and costs no time here.
local LONG = 4096

local function mask_payload(payload, key)
  if key == "\0\0\0\0" then return payload end
  local k = { key:byte(1, 4) }
  local out = {}
  for i = 1, #payload do out[i] = string.char(payload:byte(i) ~ k[(i - 1) % 4 + 1]) end
  return table.concat(out)
end

local function encode_length(n, masked, shortest)
  local bit = masked and 0x80 or 0
  if shortest and n < 126 then return string.char(bit | n) end
  if shortest and n < 65536 then return string.char(bit | 126) .. string.pack(">I2", n) end
  return string.char(bit | 127) .. string.pack(">I8", n)
end

--- A client's frame. f: op, payload; fin = false, rsv (0 to 7), mask = false, long_length = true, key.
function M.encode(f)
  local payload = f.payload or ""
  local first = (f.fin == false and 0 or 0x80) | (f.rsv or 0) << 4 | f.op
  local head = string.char(first) .. encode_length(#payload, f.mask ~= false, not f.long_length)
  if f.mask == false then return head .. payload end
  local key = f.key or (#payload > LONG and "\0\0\0\0" or "\x37\xfa\x21\x3d")
  return head .. key .. mask_payload(payload, key)
end

-- What is left out at the end of a compressed message (RFC 7692 §7.2.1).
local DEFLATE_TAIL = "\0\0\xff\xff"

--- Decodes a server's frame that begins at that byte: { fin, op, payload } and where the next one begins; nil if it
--- is not whole. deflate: the window in bits if permessage-deflate was agreed (true: 15); a compressed message also
--- has compressed_length.
function M.decode(bytes, start, deflate)
  local there = #bytes - start + 1
  if there < 2 then return nil end
  local first, second = bytes:byte(start, start + 1)
  assert(second < 128, "a server must not mask")
  local length, at = second, start + 2
  if second == 126 then
    if there < 4 then return nil end
    length, at = string.unpack(">I2", bytes, at)
    assert(length > 125, "a length must be in its shortest form")
  elseif second == 127 then
    if there < 10 then return nil end
    length, at = string.unpack(">I8", bytes, at)
    assert(length > 65535, "a length must be in its shortest form")
  end
  if #bytes < at + length - 1 then return nil end
  local f = { fin = first >= 128, op = first & 15, payload = bytes:sub(at, at + length - 1) }
  if deflate and first & 0x70 == 0x40 and f.op < M.CLOSE then
    f.compressed_length = length
    f.payload = zlib.inflate(deflate == true and -15 or -deflate)(f.payload .. DEFLATE_TAIL)
  else
    assert(first & 0x70 == 0, "no reserved bit may be set")
  end
  return f, at + length
end

function M.close_payload(code, reason)
  return string.pack(">I2", code) .. (reason or "")
end

return M
