-- The vectors of Project Wycheproof for the algorithms of tokens. scripts/test wycheproof gets them.

local cjson = require "cjson"
local files = require "spec.support.files"
local process = require "spec.support.process"

local FOLDER = os.getenv "LEAT_WYCHEPROOF"
local VERIFY = os.getenv "LEAT_WYCHEPROOF_VERIFY"
local REASON = os.getenv "LEAT_WYCHEPROOF_REASON" or "the vectors are not here: scripts/test wycheproof gets them"

local DIGEST_BYTES = { ["SHA-256"] = 32, ["SHA-384"] = 48, ["SHA-512"] = 64 }
local DIGEST_OF = { ["256"] = "SHA-256", ["384"] = "SHA-384", ["512"] = "SHA-512" }

local function hex(text)
  return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

-- The forms in which a group gives its key.
local function keys_of(group)
  local keys = {}
  local jwk = group.publicKeyJwk or group.keyJwk
  if jwk then
    jwk.kid = nil
    keys.jwk = hex(cjson.encode(jwk))
  end
  keys.pem = group.publicKeyPem and hex(group.publicKeyPem)
  return keys
end

-- True if the algorithm of tokens is the one of the group.
local function is_of(alg, group)
  local digest = DIGEST_OF[alg:sub(3)]
  if group.type == "RsassaPssVerify" then
    return group.sha == digest and group.mgf == "MGF1" and group.mgfSha == digest
      and group.sLen == DIGEST_BYTES[digest]
  end
  return group.sha == nil or group.sha == digest
end

-- A MAC is whole, and its secret at least as long as itself (RFC 7518, section 3.2).
local function is_strong(alg, group)
  local bits = tonumber(alg:sub(3))
  return group.tagSize == bits and group.keySize >= bits
end

local function add(cases, alg, form, key, test, must)
  cases[#cases + 1] = { alg = alg, line = table.concat({ alg, form, key, test.msg, test.sig or test.tag }, "\t"),
    must = must, what = ("%s by %s, case %d: %s"):format(alg, form, test.tcId, test.comment) }
end

-- What is valid for another algorithm is not for this one; what is not may be, as a salt of another length.
local function outcome(test, holds)
  if holds then return test.result end
  return test.result == "valid" and "invalid" or "acceptable"
end

local function add_group(cases, alg, group, is_its_own)
  if group.type == "MacTest" then
    for _, test in ipairs(group.tests) do
      add(cases, alg, "secret", test.key, test, outcome(test, is_its_own and is_strong(alg, group)))
    end
  end
  for form, key in pairs(keys_of(group)) do
    for _, test in ipairs(group.tests) do
      add(cases, alg, form, key, test, outcome(test, is_its_own and is_of(alg, group)))
    end
  end
end

-- A key that is refused is an answer, too, where the signature is not valid. "acceptable" leaves it open.
local function fits(must, answer)
  return must == "acceptable" or (must == "valid") == (answer == "valid")
end

-- Returns what is wrong, and how many cases got which answer.
local function check(alg, name, is_its_own)
  local cases, wrong, count = {}, {}, { valid = 0, invalid = 0, key = 0 }
  for _, group in ipairs(cjson.decode(files.read(FOLDER .. "/" .. name .. "_test.json")).testGroups) do
    add_group(cases, alg, group, is_its_own)
  end
  local lines = {}
  for i, case in ipairs(cases) do lines[i] = case.line end
  local path = files.folder() .. "/cases"
  files.write(path, table.concat(lines, "\n") .. "\n")
  local code, out, err = process.run(VERIFY, { args = { path } })
  assert(code == 0 and err == "", err)
  local at = 0
  for answer in out:gmatch "[^\n]+" do
    at = at + 1
    count[answer] = count[answer] + 1
    if not fits(cases[at].must, answer) and #wrong < 20 then
      wrong[#wrong + 1] = ("%s: must be %s, is %s"):format(cases[at].what, cases[at].must, answer)
    end
  end
  assert(at == #cases, "an answer to each case")
  return wrong, count
end

-- Algorithm, file, and whether the file is one for it. With the others no signature may be valid.
local FILES = {
  { "ES256", "ecdsa_secp256r1_sha256_p1363", true },
  { "ES384", "ecdsa_secp384r1_sha384_p1363", true },
  { "ES512", "ecdsa_secp521r1_sha512_p1363", true },
  { "ES256", "ecdsa_secp256r1_sha512_p1363" },
  { "ES384", "ecdsa_secp384r1_sha512_p1363" },
  { "ES256", "ecdsa_secp256k1_sha256_p1363" },
  { "ES384", "ecdsa_brainpoolP384r1_sha384_p1363" },
  { "ES256", "ecdsa_secp256r1_sha256" },
  { "EdDSA", "ed25519", true },
  { "EdDSA", "ed448", true },
  { "HS256", "hmac_sha256", true },
  { "HS384", "hmac_sha384", true },
  { "HS512", "hmac_sha512", true },
  { "HS256", "hmac_sha3_256" },
  { "PS256", "rsa_pss_2048_sha256_mgf1_32", true },
  { "PS256", "rsa_pss_3072_sha256_mgf1_32", true },
  { "PS256", "rsa_pss_4096_sha256_mgf1_32", true },
  { "PS384", "rsa_pss_2048_sha384_mgf1_48", true },
  { "PS384", "rsa_pss_4096_sha384_mgf1_48", true },
  { "PS512", "rsa_pss_4096_sha512_mgf1_64", true },
  { "PS256", "rsa_pss_2048_sha256_mgf1_0" },
  { "PS256", "rsa_pss_2048_sha256_mgf1sha1_20" },
  { "PS512", "rsa_pss_4096_sha512_mgf1_32" },
  { "PS256", "rsa_pss_2048_sha256_mgf1_32_params" },
  { "PS256", "rsa_pss_misc", true },
  { "PS384", "rsa_pss_misc", true },
  { "PS512", "rsa_pss_misc", true },
}
for _, bits in ipairs { "2048", "3072", "4096", "8192" } do
  for _, size in ipairs { "256", "384", "512" } do
    FILES[#FILES + 1] = { "RS" .. size, ("rsa_signature_%s_sha%s"):format(bits, size), true }
  end
end
FILES[#FILES + 1] = { "RS256", "rsa_signature_2048_sha512" }
FILES[#FILES + 1] = { "RS256", "rsa_signature_2048_sha3_256" }
FILES[#FILES + 1] = { "PS256", "rsa_signature_2048_sha256" }
FILES[#FILES + 1] = { "RS256", "rsa_pss_2048_sha256_mgf1_32" }

describe("the vectors of Wycheproof", function()
  for _, entry in ipairs(FILES) do
    local alg, name, is_its_own = table.unpack(entry)
    it(("%s %s"):format(is_its_own and "are answered rightly by" or "of others are refused by", alg)
      .. " (" .. name .. ")", function()
      if not FOLDER then
        pending(REASON)
        return
      end

      local wrong, count = check(alg, name, is_its_own)

      assert.are.same({}, wrong)
      assert.is_true(count.valid > 0 or not is_its_own)
      assert.is_true(count.invalid + count.key > 0)
    end)
  end
end)
