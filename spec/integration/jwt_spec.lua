-- leat.jwt.verify: good tokens of every algorithm are let through, and every known trick is refused, with its code.

local cjson = require "cjson"
local base64url = require "spec.support.base64url"
local files = require "spec.support.files"
local jose = require "spec.support.jose"
local stage = require "spec.support.stage"

local APP = [[
local leat = require "leat"
local app = leat.app()

local keys = {}
for _, name in ipairs { "RSA", "P256", "P384", "P521", "Ed25519", "Ed448", "small", "secret", "set", "pem" } do
  local ok, made = pcall(leat.jwt.keys, { file = name .. ".json" })
  keys[name] = ok and made or nil
end
keys.secret = leat.jwt.keys { secret = ("k"):rep(64) }
keys.rotated = leat.jwt.keys { secret = { ("n"):rep(32), ("o"):rep(32) } }
keys.pem = leat.jwt.keys { file = "rsa.pem" }

local function make(options)
  local ok, err = pcall(leat.jwt.keys, options)
  return ok and "ok" or tostring(err)
end
local file = assert(leat.jwt.keys { file = "P256.json" })
local refusals = {
  short = make { secret = ("x"):rep(31) },

  pem_secret = make { secret = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOC\n-----END PUBLIC KEY-----" },
  jwk_secret = make { secret = '{"kty":"RSA","n":"abcdefghijklmnopqrstuvwxyz","e":"AQAB"}' },
  small = make { file = "small.json" },
  private = make { file = "private.pem" },
  two = make { secret = ("x"):rep(32), url = "https://example.org" },
  none = make {},
  unknown = make { secrets = "x" },
  http = make { url = "http://example.org/keys" },
  file_url = make { url = "file:///etc/passwd" },
  user = make { url = "https://me:secret@example.org/keys" },
  space = make { url = "https://example.org/a b" },
  absent = make { file = "absent.json" },

  twice = make { jwk = ('{"kty":"oct","k":"%s","k":"%s"}'):format(("A"):rep(43), ("A"):rep(43)) },
  off_curve = make { jwk = { kty = "EC", crv = "P-256", x = ("A"):rep(43), y = ("A"):rep(43) } },
}

app:method("make", function(_, name) return refusals[name] or tostring(refusals) end)
app:method("late", function() return make { secret = ("x"):rep(32) } end)
app:method("verify", function(_, p)
  local options = p.options or {}
  options.keys = keys[p.keys]
  local ok, claims, code = pcall(leat.jwt.verify, p.token, options)
  if not ok then return { error = tostring(claims) } end
  return { claims = claims, code = code }
end)
app:connect(function() return { id = 1 } end)
return app
]]

local NOW = os.time()
local GOOD = { sub = "17", exp = NOW + 600, iss = "https://id.example.org/", aud = "leat" }

describe("leat.jwt.verify", function()
  local s, client, keys, folder

  lazy_setup(function()
    folder = files.folder()
    keys = { secret = jose.secret(("k"):rep(64)) }
    for _, kind in ipairs { "RSA", "P256", "P384", "P521", "Ed25519",
      "Ed448" } do keys[kind] = jose.key(folder, kind) end
    keys.other = jose.key(folder, "RSA")
    keys.other256 = jose.key(folder, "P256")
    keys.small = jose.key(folder, "RSA", 1024)
    s = stage.open { app = "return require('leat').app()", env = {} }
    for _, kind in ipairs { "RSA", "P256", "P384", "P521", "Ed25519", "Ed448", "small" } do
      files.write(s.folder .. "/" .. kind .. ".json", cjson.encode(keys[kind]:jwk()))
    end
    files.write(s.folder .. "/set.json", cjson.encode { keys = {
      keys.RSA:jwk { kid = "r1", use = "sig", alg = "RS256" },
      keys.P256:jwk { kid = "e1", key_ops = { "verify" } },
    } })
    files.write(s.folder .. "/rsa.pem", keys.RSA.pem)
    files.write(s.folder .. "/private.pem", files.read(keys.RSA.file))
    files.write(s.app, APP)
    s:stop()
    s:serve {}
  end)
  lazy_teardown(function()
    s:close()
    files.remove(folder)
  end)
  before_each(function() client = s:connect {} end)
  after_each(function() s:settle() end)

  local function call(method, params)
    return client:ask({ op = "call", id = 1, method = method, params = params }, "ok").data
  end

  local function options_of(alg, more)
    local options = { algorithms = { alg }, issuer = "https://id.example.org/", audience = "leat" }
    for name, value in pairs(more or {}) do options[name] = value end
    return options
  end

  local function verify(name, token, options)
    return call("verify", { keys = name, token = token, options = options })
  end

  local function code_of(...)
    local answer = verify(...)
    assert.is_nil(answer.error)
    assert.is_nil(answer.claims)
    return answer.code
  end

  local function claims(changes)
    local all = {}
    for name, value in pairs(GOOD) do all[name] = value end
    for name, value in pairs(changes) do all[name] = value ~= cjson.null and value or nil end
    return all
  end

  -- Signed with the secret; claims may be a text.
  local function hs(body, header)
    return jose.sign(keys.secret, header or { alg = "HS256", typ = "JWT" }, body, "HS256")
  end

  local ALGORITHMS = {
    { "HS256", "secret" }, { "HS384", "secret" }, { "HS512", "secret" },
    { "RS256", "RSA" }, { "RS384", "RSA" }, { "RS512", "RSA" },
    { "PS256", "RSA" }, { "PS384", "RSA" }, { "PS512", "RSA" },
    { "ES256", "P256" }, { "ES384", "P384" }, { "ES512", "P521" },
    { "EdDSA", "Ed25519" }, { "EdDSA", "Ed448" },
  }
  for _, case in ipairs(ALGORITHMS) do
    local alg, name = case[1], case[2]
    it("takes " .. alg .. " of the key " .. name .. ", and nothing that is nearly it", function()
      local token = jose.sign(keys[name], { alg = alg }, GOOD)
      local options = options_of(alg)
      local text, signature = token:match("^(.*)%.(.*)$")
      local bytes = base64url.decode(signature)

      assert.same(GOOD, verify(name, token, options).claims)
      assert.equal("signature", code_of(name, text .. ".", options))
      assert.equal("signature", code_of(name, text .. "." .. base64url.encode(("\0"):rep(#bytes)), options))
      assert.equal("signature", code_of(name, text .. "." .. base64url.encode(bytes .. "\0"), options))
      assert.equal("signature", code_of(name, text .. "." .. base64url.encode(bytes:sub(1, -2)), options))
      local flipped = bytes:sub(1, -3) .. string.char(bytes:byte(-2) ~ 1) .. bytes:sub(-1)
      assert.equal("signature", code_of(name, text .. "." .. base64url.encode(flipped), options))
      local changed = jose.part { alg = alg } .. "." .. jose.part(claims { sub = "18" }) .. "." .. signature
      assert.equal("signature", code_of(name, changed, options))
    end)
  end

  it("wants the algorithms named", function()
    local token = hs(GOOD)

    assert.matches("algorithms is missing", verify("secret", token, {}).error, 1, true)
    assert.matches("algorithms must have 1 to 16", verify("secret", token, { algorithms = {} }).error, 1, true)
    assert.matches("no algorithm 'none'", verify("secret", token, { algorithms = { "none" } }).error, 1, true)
    assert.matches("no algorithm 'hs256'", verify("secret", token, { algorithms = { "hs256" } }).error, 1, true)
    assert.matches("none of the keys is one for RS256", verify("secret", token,
      { algorithms = { "RS256" } }).error, 1, true)
    assert.matches("secret of 64 bytes, as HS512", verify("rotated", token,
      { algorithms = { "HS512" } }).error, 1, true)
    assert.matches("unknown key 'audiance'",
      verify("secret", token, { algorithms = { "HS256" }, audiance = "x" }).error, 1, true)
    assert.matches("keys must be", verify("absent", token, { algorithms = { "HS256" } }).error, 1, true)
  end)

  it("never takes a token without a signature", function()
    for _, alg in ipairs { "none", "None", "NONE", "nOnE", "", "HS256 ", "hs256" } do
      local text = jose.part { alg = alg } .. "." .. jose.part(GOOD) .. "."
      assert.equal("algorithm", code_of("secret", text, options_of "HS256"))
      assert.equal("algorithm", code_of("RSA", text, options_of "RS256"))
    end
    assert.equal("malformed", code_of("secret", jose.part "{}" .. "." .. jose.part(GOOD) .. ".", options_of "HS256"))
    assert.equal("malformed", code_of("secret", jose.part '{"alg":null}' .. "." .. jose.part(GOOD) .. ".",
      options_of "HS256"))
    assert.equal("malformed", code_of("secret",
      jose.part '{"alg":["HS256"]}' .. "." .. jose.part(GOOD) .. ".", options_of "HS256"))
  end)

  it("never takes a public key for a secret", function()
    for _, public in ipairs { keys.RSA.pem, keys.RSA.pem:gsub("\n$", ""), cjson.encode(keys.RSA:jwk()) } do
      local token = jose.sign(jose.secret(public), { alg = "HS256" }, GOOD)
      assert.equal("algorithm", code_of("pem", token, options_of "RS256"))
      local both = verify("pem", token, { algorithms = { "RS256", "HS256" }, audience = false })
      assert.matches("none of the keys is a secret of 32 bytes", both.error, 1, true)
    end
    -- A set with keys of both families: each verifies its own only.
    assert.equal("key", code_of("set", jose.sign(keys.RSA, { alg = "RS256", kid = "e1" }, GOOD),
      { algorithms = { "RS256", "ES256" } }))
    assert.equal("key", code_of("set", jose.sign(keys.P256, { alg = "ES256", kid = "r1" }, GOOD),
      { algorithms = { "RS256", "ES256" } }))
  end)

  it("binds a JWK to its alg", function()
    local token = jose.sign(keys.RSA, { alg = "PS256", kid = "r1" }, GOOD)
    assert.matches("none of the keys is one for PS256", verify("set", token, options_of "PS256").error, 1, true)
  end)

  it("takes ECDSA signatures as two numbers only", function()
    local text = jose.part { alg = "ES256" } .. "." .. jose.part(GOOD)
    local der = base64url.encode(keys.P256:sign("ES256", text, true))
    assert.equal("signature", code_of("P256", text .. "." .. der, options_of "ES256"))
    -- r and s of the curve's order, and of more than it.
    local order = "\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"
      .. "\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51"
    for _, pair in ipairs { order .. order, ("\xff"):rep(64), ("\0"):rep(32) .. order,
      ("\0"):rep(31) .. "\1" .. ("\0"):rep(32) } do
      assert.equal("signature", code_of("P256", text .. "." .. base64url.encode(pair), options_of "ES256"))
    end
  end)

  it("looks a kid up among its own keys, and nowhere else", function()
    assert.same(GOOD, verify("set", jose.sign(keys.RSA, { alg = "RS256", kid = "r1" }, GOOD),
      options_of "RS256").claims)
    assert.same(GOOD, verify("set", jose.sign(keys.RSA, { alg = "RS256" }, GOOD), options_of "RS256").claims)
    -- A key of the operator's without a name is tried whatever the token calls it.
    assert.same(GOOD, verify("pem", jose.sign(keys.RSA, { alg = "RS256", kid = "any" }, GOOD),
      options_of "RS256").claims)
    for _, kid in ipairs { "", "r2", "R1", "../../etc/passwd", "/dev/null", "r1' or '1'='1", "r1\0", "r1\0x", "|id",
      "https://example.org/keys", ("x"):rep(1024) } do
      assert.equal("key", code_of("set", jose.sign(keys.RSA, { alg = "RS256", kid = kid }, GOOD), options_of "RS256"))
    end
    for _, kid in ipairs { "1", "null", '["r1"]', '{"kid":"r1"}' } do
      local header = '{"alg":"RS256","kid":' .. kid .. "}"
      assert.equal("malformed", code_of("set", jose.sign(keys.RSA, header, GOOD, "RS256"), options_of "RS256"))
    end
    local large = { alg = "RS256", kid = ("x"):rep(8 * 1024) }
    assert.equal("too_large", code_of("set", jose.sign(keys.RSA, large, GOOD), options_of "RS256"))
  end)

  it("uses no key that a token brings along", function()
    for _, header in ipairs {
      { alg = "RS256", jwk = keys.other:jwk() },
      { alg = "RS256", jku = "https://example.org/keys", kid = "r1" },
      { alg = "RS256", x5u = "https://example.org/cert" },
      { alg = "RS256", x5c = { "MIIB" }, ["x5t#S256"] = "abc" },
    } do
      assert.equal("signature", code_of("RSA", jose.sign(keys.other, header, GOOD), options_of "RS256"))
    end
    local own = { alg = "RS256", jwk = keys.other:jwk(), jku = "http://127.0.0.1:1/" }
    assert.same(GOOD, verify("RSA", jose.sign(keys.RSA, own, GOOD), options_of "RS256").claims)
  end)

  it("refuses extensions that it does not understand", function()
    assert.equal("critical", code_of("secret", hs(GOOD, { alg = "HS256", crit = { "b64" }, b64 = false }),
      options_of "HS256"))
    assert.equal("critical", code_of("secret", hs(GOOD, { alg = "HS256", crit = { "exp" }, exp = 1 }),
      options_of "HS256"))
    assert.equal("critical", code_of("secret", hs(GOOD, '{"alg":"HS256","crit":[]}'), options_of "HS256"))
    assert.equal("critical", code_of("secret", hs(GOOD, '{"alg":"HS256","crit":null}'), options_of "HS256"))
  end)

  it("refuses what is no such token", function()
    local token = hs(GOOD)
    local header, body, signature = token:match("^(.*)%.(.*)%.(.*)$")
    for _, text in ipairs {
      "", ".", "..", "...", "a.b", "a.b.c", header, header .. "." .. body, token .. ".", token .. ".x", "." .. token,
      token .. "=", header .. "=." .. body .. "." .. signature, token .. "\n", " " .. token, token .. "\0",
      header .. "." .. body .. "." .. signature:gsub("[-_]", "+"):gsub("^.", "+"),
      -- Bits that no byte uses: the same bytes, another text.
      token:sub(1, -2) .. string.char(token:byte(-1) + 1),
      -- JWE, and the JSON form.
      header .. "." .. body .. "." .. signature .. "." .. body .. "." .. signature,
      '{"payload":"' .. body .. '","protected":"' .. header .. '","signature":"' .. signature .. '"}',
    } do
      assert.equal("malformed", code_of("secret", text, options_of "HS256"), text)
    end
    assert.equal("malformed", verify("secret", nil, options_of "HS256").code)
    assert.equal("too_large", code_of("secret", token .. ("x"):rep(16384), options_of "HS256"))
  end)

  it("refuses JSON of which two readers could see two things", function()
    for _, head in ipairs { '{"alg":"HS256","alg":"none"}', '{"alg":"none","alg":"HS256"}',
      '{"alg":"HS256","\\u0061lg":"HS256"}', '{"alg":"HS256","x":{"y":1,"y":2}}', '["HS256"]', '"HS256"', "null",
      '{"alg":"HS256"}x', '\239\187\191{"alg":"HS256"}', '{"alg":"HS256",}', '{"alg":"HS256","x":"\255"}',
      '{"alg":"HS256","x":' .. ("["):rep(64) .. ("]"):rep(64) .. "}" } do
      assert.equal("malformed", code_of("secret", hs(GOOD, head), options_of "HS256"), head)
    end
    local exp = NOW + 600
    for _, body in ipairs { '{"exp":1,"exp":%d,"aud":"leat"}', '{"exp":%d,"sub":"1","sub":"2"}',
      '{"exp":%d,"a":[{"b":1,"b":1}]}',
      '[{"exp":%d}]', '"%d"', "%d", '{"exp":%d}{}', "" } do
      assert.equal("malformed", code_of("secret", hs(body:format(exp)),
        { algorithms = { "HS256" }, audience = false }), body)
    end
    -- Nested: a token in the place of the claims.
    assert.equal("malformed", code_of("secret", hs(hs(GOOD)), options_of "HS256"))
  end)

  describe("claims", function()
    local function with(body, more)
      local text = type(body) == "string" and body or claims(body)
      local answer = verify("secret", hs(text), options_of("HS256", more))
      assert.is_nil(answer.error)
      return answer.code or "ok"
    end

    it("hold for their time, and no longer", function()
      local now = os.time() -- the file may have run for a minute
      assert.equal("expired", with { exp = now - 1 })
      assert.equal("expired", with { exp = 0 })
      assert.equal("claim", with { exp = cjson.null })
      assert.equal("ok", with({ exp = cjson.null }, { required = cjson.decode "[]" }))
      assert.equal("ok", with({ exp = now - 5 }, { leeway_s = 60 }))
      assert.equal("expired", with({ exp = now - 61 }, { leeway_s = 60 }))
      assert.equal("not_yet_valid", with { nbf = now + 60 })
      assert.equal("ok", with({ nbf = now + 30 }, { leeway_s = 60 }))
      assert.equal("ok", with { nbf = now - 1 })
      assert.equal("not_yet_valid", with { iat = now + 60 })
      assert.equal("ok", with({ iat = now - 30 }, { max_age_s = 60 }))
      assert.equal("expired", with({ iat = now - 90 }, { max_age_s = 60 }))
      assert.equal("ok", with({ iat = now - 90 }, { max_age_s = 60, leeway_s = 60 }))
      assert.equal("claim", with({}, { max_age_s = 60 }))
    end)

    it("have times that are times", function()
      for _, exp in ipairs { "1e300", "1e10", "-1", "-0", "-0.5", "99999999999999999999", "253402300800",
        '"9999999999"', "true", "null",
        "[9999999999]", "{}", "1E400" } do
        assert.equal("malformed", with(('{"exp":%s,"iss":"https://id.example.org/","aud":"leat"}'):format(exp)), exp)
      end
      for _, name in ipairs { "nbf", "iat" } do
        assert.equal("malformed",
          with(('{"exp":%d,"%s":"0","iss":"https://id.example.org/","aud":"leat"}'):format(NOW + 600, name)))
      end
      assert.equal("ok", with(('{"exp":%d.75,"iss":"https://id.example.org/","aud":"leat"}'):format(NOW + 600)))
      assert.equal("ok", with '{"exp":253402300799,"iss":"https://id.example.org/","aud":"leat"}')
    end)

    it("name the issuer", function()
      assert.equal("issuer", with { iss = "https://id.example.org" })
      assert.equal("issuer", with { iss = cjson.null })
      assert.equal("malformed", with { iss = { "https://id.example.org/" } })
      assert.equal("ok", with({ iss = "b" }, { issuer = { "a", "b" } }))
    end)

    it("name the audience", function()
      assert.equal("audience", with { aud = "other" })
      assert.equal("audience", with { aud = cjson.null })
      assert.equal("audience", with { aud = { "a", "b" } })
      assert.equal("ok", with { aud = { "a", "leat" } })
      assert.equal("ok", with({ aud = "b" }, { audience = { "a", "b" } }))
      assert.equal("malformed", with { aud = 1 })
      assert.equal("malformed", with { aud = { "leat", 1 } })
      -- Whoever is not named refuses a token that is for somebody.
      assert.equal("audience", verify("secret", hs(claims {}), { algorithms = { "HS256" } }).code)
      assert.equal("ok", with({}, { audience = false }))
    end)

    it("name the subject, and what else is required", function()
      assert.equal("subject", with({}, { subject = "18" }))
      assert.equal("ok", with({}, { subject = { "17", "18" } }))
      assert.equal("malformed", with { sub = 17 })
      assert.equal("claim", with({}, { required = { "exp", "email" } }))
      assert.equal("ok", with({ email = "x" }, { required = { "exp", "email" } }))
    end)

    it("reach the script as they are", function()
      local body = '{"exp":%d,"aud":"leat","iss":"https://id.example.org/","roles":[],"deep":{"a":[1,null]}}'
      local got = verify("secret", hs(body:format(NOW + 600)), options_of "HS256").claims

      assert.same({}, got.roles)
      assert.same({ 1, cjson.null }, got.deep.a)
    end)
  end)

  it("checks the type of a token, if it is told one", function()
    local token = jose.sign(keys.secret, { alg = "HS256", typ = "AT+jwt" }, GOOD)
    assert.same(GOOD, verify("secret", token, options_of("HS256", { type = "at+jwt" })).claims)
    assert.same(GOOD, verify("secret", token, options_of("HS256", {})).claims)
    assert.equal("type", code_of("secret", token, options_of("HS256", { type = "JWT" })))
    assert.equal("type", code_of("secret", hs(GOOD, { alg = "HS256" }), options_of("HS256", { type = "at+jwt" })))
    assert.same(GOOD, verify("secret", jose.sign(keys.secret, { alg = "HS256", typ = "application/at+jwt" }, GOOD),
      options_of("HS256", { type = "at+jwt" })).claims)
  end)

  it("takes an old secret beside the new one", function()
    for _, letter in ipairs { "n", "o" } do
      local token = jose.sign(jose.secret(letter:rep(32)), { alg = "HS256" }, GOOD)
      assert.same(GOOD, verify("rotated", token, options_of "HS256").claims)
    end
    assert.equal("signature", code_of("rotated", jose.sign(jose.secret(("p"):rep(32)), { alg = "HS256" },
      GOOD), options_of "HS256"))
  end)

  it("refuses keys that are none", function()
    local expected = {
      short = "32 bytes at least", pem_secret = "a PEM text is no secret",
        jwk_secret = "a key of another kind is no secret",
      small = "2048 bits at least", private = "a private key does not belong here", two = "give either secret or url",
      none = "give one of secret, pem, jwk, file, url", unknown = "unknown key 'secrets'",
      http = "must begin with https://", file_url = "must begin with https://", user = "a name and a password",
      space = "a space or a control character", absent = "cannot be opened", twice = "has a member twice",
      off_curve = "make no key",
    }
    for name, reason in pairs(expected) do assert.matches(reason, call("make", name), 1, true) end
    assert.matches("while the application loads", call("late"), 1, true)
  end)

  it("counts by result, and writes no token to the log", function()
    local before = s:metrics()
    local token = jose.sign(keys.other, { alg = "RS256" }, GOOD)
    verify("RSA", token, options_of "RS256")
    local after = s:metrics()

    assert.equal(1,
      after['leat_jwt_verifications_total{result="signature"}']
        - before['leat_jwt_verifications_total{result="signature"}'])
    for _, line in ipairs(s.server.log) do
      assert.is_nil(line:find("eyJ", 1, true))
      assert.is_nil(line:find(GOOD.iss, 1, true))
    end
  end)
end)
