-- HMAC-SHA256, by OpenSSL.

local process = require "spec.support.process"

local M = {}

--- The digest of text under a key of hexadecimal digits, as hexadecimal digits.
function M.sha256(key, text)
  local code, out, err = process.run("openssl", {
    args = { "dgst", "-sha256", "-mac", "HMAC", "-macopt", "hexkey:" .. key },
    input = text,
  })
  if code ~= 0 then error(out .. err) end
  return out:match("(%x+)%s*$")
end

return M
