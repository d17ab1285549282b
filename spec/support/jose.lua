-- Keys, JWKs and signed tokens, by the openssl program: another code than the one that is tested.

local cjson = require "cjson"
local base64url = require "spec.support.base64url"
local files = require "spec.support.files"
local process = require "spec.support.process"

local M = {}

local DIGEST = { ["256"] = "sha256", ["384"] = "sha384", ["512"] = "sha512" }
local CURVE = {
  P256 = { name = "P-256", size = 32 },
  P384 = { name = "P-384", size = 48 },
  P521 = { name = "P-521", size = 66 },
}

local function bytes_of_hex(hex)
  return (hex:gsub("%s", ""):gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end))
end

-- Runs a shell command whose output is bytes.
local function run(command)
  local code, out, err = process.run("sh", { args = { "-c", command .. " | od -An -v -tx1" } })
  assert(code == 0 and err == "", err)
  return bytes_of_hex(out)
end

local Key = {}
Key.__index = Key

local GENERATE = {
  RSA = "-algorithm RSA -pkeyopt rsa_keygen_bits:%d",
  P256 = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
  P384 = "-algorithm EC -pkeyopt ec_paramgen_curve:P-384",
  P521 = "-algorithm EC -pkeyopt ec_paramgen_curve:P-521",
  Ed25519 = "-algorithm Ed25519",
  Ed448 = "-algorithm Ed448",
}

--- A new key in the folder. kind: RSA, P256, P384, P521, Ed25519, Ed448; bits: of an RSA key.
function M.key(folder, kind, bits)
  local self = setmetatable({ kind = kind, folder = folder, file = os.tmpname():gsub("^.*/", folder .. "/") }, Key)
  run(("openssl genpkey -quiet %s -out %s 2>&1"):format(GENERATE[kind]:format(bits or 2048), self.file))
  run(("openssl pkey -in %s -pubout -out %s.pub"):format(self.file, self.file))
  self.pem = files.read(self.file .. ".pub")
  return self
end

--- Its public JWK with further members.
function Key:jwk(more)
  local der = run(("openssl pkey -pubin -in %s.pub -outform DER"):format(self.file))
  local jwk
  local curve = CURVE[self.kind]
  if self.kind == "RSA" then
    local hex = run(("openssl rsa -pubin -in %s.pub -noout -modulus"):format(self.file)):match("=(%x+)")
    jwk = { kty = "RSA", n = base64url.encode(bytes_of_hex(hex)), e = "AQAB" }
  elseif curve then
    jwk = { kty = "EC", crv = curve.name, x = base64url.encode(der:sub(-2 * curve.size, -curve.size - 1)),
      y = base64url.encode(der:sub(-curve.size)) }
  else
    jwk = { kty = "OKP", crv = self.kind, x = base64url.encode(der:sub(self.kind == "Ed448" and -57 or -32)) }
  end
  for name, value in pairs(more or {}) do jwk[name] = value end
  return jwk
end

-- A number of DER, as size bytes.
local function integer(der, at, size)
  local len = der:byte(at + 1)
  local bytes = der:sub(at + 2, at + 1 + len):gsub("^\0+", "")
  return ("\0"):rep(size - #bytes) .. bytes, at + 2 + len
end

--- The two numbers of an ECDSA signature in DER, one behind the other.
local function raw_of_der(der, size)
  local at = der:byte(2) < 128 and 3 or 4
  local r, next_at = integer(der, at, size)
  return r .. integer(der, next_at, size)
end

local PSS = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"

--- The signature over the text. der: of ECDSA, as OpenSSL makes it.
function Key:sign(alg, text, der)
  local input = self.file .. ".txt"
  files.write(input, text)
  if alg == "EdDSA" then
    return run(("openssl pkeyutl -sign -rawin -inkey %s -in %s"):format(self.file, input))
  end
  local signature = run(("openssl dgst -%s %s -sign %s %s"):format(DIGEST[alg:sub(3)],
    alg:find("^PS") and PSS or "", self.file, input))
  return alg:find("^ES") and not der and raw_of_der(signature, CURVE[self.kind].size) or signature
end

--- A secret of HMAC: its bytes.
function M.secret(bytes)
  return setmetatable({ secret = bytes, sign = function(_, alg, text)
    local hex = bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
    local code, out, err = process.run("openssl", {
      args = { "dgst", "-" .. DIGEST[alg:sub(3)], "-mac", "HMAC", "-macopt", "hexkey:" .. hex }, input = text,
    })
    assert(code == 0, err)
    return bytes_of_hex(out:match("(%x+)%s*$"))
  end }, Key)
end

--- A text in base64url; a table as its JSON.
function M.part(value)
  return base64url.encode(type(value) == "table" and cjson.encode(value) or value)
end

--- The token: header and claims are tables, or texts.
function M.sign(key, header, claims, alg)
  local text = M.part(header) .. "." .. M.part(claims)
  return text .. "." .. base64url.encode(key:sign(alg or header.alg, text))
end

return M
