-- leat.crypto: scripts get the same results as everybody else, and wrong arguments are named.

local stage = require "spec.support.stage"

local APP = [[
local leat = require "leat"
local app = leat.app()
local crypto = leat.crypto

local steps = {
  hash = function(p) return crypto.hex(crypto.hash(p["1"], p["2"])) end,
  hmac = function(p) return crypto.hex(crypto.hmac(p["1"], p["2"], p["3"])) end,
  equal = function(p) return crypto.equal(p["1"], p["2"]) end,
  base64 = function(p) return crypto.base64(p["1"]) end,
  base64url = function(p) return crypto.base64url(p["1"]) end,
  from_base64 = function(p) return leat.array { crypto.from_base64(p["1"]) } end,
  from_base64url = function(p) return leat.array { crypto.from_base64url(p["1"]) } end,
  random = function(p) return crypto.hex(crypto.random(p["1"])) end,
  zeros = function() return crypto.hex(crypto.from_base64url("AAD_")) end,
  large = function() return crypto.hash("sha256", ("x"):rep(16 * 1024 * 1024 + 1)) end,
}

app:method("run", function(_, params)
  local ok, result = pcall(steps[params.step], params)
  if not ok then return { error = tostring(result) } end
  return { result = result }
end)

app:connect(function() return { id = 1 } end)
return app
]]

describe("leat.crypto", function()
  local s, client

  lazy_setup(function() s = stage.open { app = APP, env = { LEAT_SCRIPT_BUDGET_MS = "2000" } } end)
  lazy_teardown(function() s:close() end)
  before_each(function() client = s:connect {} end)
  after_each(function() s:settle() end)

  local function run(step, ...)
    local params = { step = step }
    -- Positions as text keys: a list with a name beside it is no JSON.
    for i, value in ipairs { ... } do params[tostring(i)] = value end
    return client:ask({ op = "call", id = 1, method = "run", params = params }, "ok").data
  end

  local function result(...) return run(...).result end

  it("hashes and authenticates", function()
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", result("hash", "sha256", "abc"))
    assert.equal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      result("hmac", "sha256", "Jefe", "what do ya want for nothing?"))
  end)

  it("writes and reads base64 in both alphabets", function()
    assert.equal("Pz8/Pj4+", result("base64", "???>>>"))
    assert.equal("Pz8_Pj4-", result("base64url", "???>>>"))
    assert.equal("Zg==", result("base64", "f"))
    assert.equal("Zg", result("base64url", "f"))
    assert.same({ "f" }, result("from_base64", "Zg=="))
    assert.same({ "f" }, result("from_base64url", "Zg"))
    assert.equal("0000ff", result("zeros"))
  end)

  it("names what is not base64", function()
    assert.equal("not base64 with padding (RFC 4648, section 4)", result("from_base64", "Zg")[2])
    assert.equal("not base64url without padding (RFC 4648, section 5)", result("from_base64url", "Zg==")[2])
  end)

  it("compares texts", function()
    assert.is_true(result("equal", "token", "token"))
    assert.is_false(result("equal", "token", "Token"))
    assert.is_false(result("equal", "token", "token2"))
  end)

  it("has random bytes", function()
    local a, b = result("random", 16), result("random", 16)

    assert.equal(32, #a)
    assert.not_equal(a, b)
  end)

  it("names the argument that is wrong", function()
    assert.matches("the hash must be sha256, sha384 or sha512", run("hash", "md5", "abc").error, 1, true)
    assert.matches("the key is empty", run("hmac", "sha256", "", "abc").error, 1, true)
    assert.matches("1 to 1024 bytes", run("random", 0).error, 1, true)
    assert.matches("a text may have 16 MiB at most", run("large").error, 1, true)
  end)
end)
