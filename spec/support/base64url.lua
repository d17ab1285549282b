-- Base64url without padding (RFC 4648, section 5).

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

local M = {}

function M.encode(bytes)
  local out = {}
  for at = 1, #bytes, 3 do
    local a, b, c = bytes:byte(at, at + 2)
    local n = a << 16 | (b or 0) << 8 | (c or 0)
    for i = 0, (b and 1 or 0) + (c and 1 or 0) + 1 do
      local digit = n >> (18 - 6 * i) & 63
      out[#out + 1] = ALPHABET:sub(digit + 1, digit + 1)
    end
  end
  return table.concat(out)
end

function M.decode(text)
  local out, n, bits = {}, 0, 0
  for char in text:gmatch(".") do
    n, bits = n << 6 | assert(ALPHABET:find(char, 1, true)) - 1, bits + 6
    if bits >= 8 then
      bits = bits - 8
      out[#out + 1] = string.char(n >> bits & 255)
    end
    n = n & (1 << bits) - 1
  end
  return table.concat(out)
end

return M
