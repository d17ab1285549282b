-- Ways to cut what is sent: none may change what comes back.

local M = {}

function M.whole(bytes) return { bytes } end

function M.every_byte(bytes)
  local parts = {}
  for i = 1, #bytes do parts[i] = bytes:sub(i, i) end
  return parts
end

function M.anywhere(bytes)
  local parts, at = {}, 1
  while at <= #bytes do
    local n = math.random(1, math.max(2, math.min(#bytes // 3, 20000)))
    parts[#parts + 1] = bytes:sub(at, at + n - 1)
    at = at + n
  end
  return parts
end

return M
