-- leat.cookie and request.cookies: what a client keeps, and cannot change.

local cjson = require "cjson"
local base64url = require "spec.support.base64url"
local hmac = require "spec.support.hmac"
local http = require "spec.support.http"
local stage = require "spec.support.stage"

local APP = [[
local leat = require "leat"
local app = leat.app()
local NEW, OLD = ("n"):rep(32), ("o"):rep(32)

app:method("sign", function(_, p)
  local ok, text = pcall(leat.cookie.sign, p.value, p.old and OLD or NEW, p.options)
  return { text = ok and text or nil, error = not ok and text or nil }
end)
app:method("verify", function(_, p)
  local value, more = leat.cookie.verify(p.text, p.both and { NEW, OLD } or NEW, p.options)
  return { value = value, code = not value and more or nil, expires_at = value and more or nil }
end)
app:method("short", function()
  return { select(2, pcall(leat.cookie.verify, "x", ("x"):rep(31))), select(2, pcall(leat.cookie.verify, "x", {})),
    select(2, pcall(leat.cookie.sign, "x", ("x"):rep(32), { nmae = "x" })) }
end)
app:route("GET /cookies", function(_, request)
  local n = 0
  for _ in pairs(request.cookies) do n = n + 1 end
  return { body = { cookies = request.cookies, n = n } }
end, { public = true })
app:connect(function() return { id = 1 } end)
return app
]]

local KEY = ("6e"):rep(32) -- "n"

-- The documented format, by another code.
local function signed(value, expires, name, purpose)
  local text = ("%s\n%s\n%s.%s"):format(purpose or "leat.cookie.v1", name or "", value, expires)
  local digest = hmac.sha256(KEY, text)
  local bytes = digest:gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end)
  return value .. "." .. expires .. "." .. base64url.encode(bytes)
end

describe("leat.cookie", function()
  local s, client

  lazy_setup(function() s = stage.open { app = APP } end)
  lazy_teardown(function() s:close() end)
  before_each(function() client = s:connect {} end)
  after_each(function() s:settle() end)

  local function call(method, params)
    return client:ask({ op = "call", id = 1, method = method, params = params }, "ok").data
  end

  local function verify(text, more)
    local params = { text = text }
    for name, value in pairs(more or {}) do params[name] = value end
    return call("verify", params)
  end

  it("signs in the format that is documented", function()
    local expires = os.time() + 60

    assert.equal(signed("17", 0), call("sign", { value = "17" }).text)
    assert.equal(signed("a.b", expires, "session"),
      call("sign", { value = "a.b", options = { name = "session", expires_at = expires } }).text)
  end)

  it("verifies what it has signed, and tells until when it is good", function()
    local expires = os.time() + 60
    assert.same({ value = "17" }, verify(signed("17", 0)))
    assert.same({ value = "a.b.c", expires_at = expires }, verify(signed("a.b.c", expires)))
    assert.same({ code = "expired" }, verify(signed("17", os.time())))
  end)

  it("takes an old secret beside the new one", function()
    local text = call("sign", { value = "17", old = true }).text

    assert.same({ code = "signature" }, verify(text))
    assert.same({ value = "17" }, verify(text, { both = true }))
    assert.same({ value = "17" }, verify(signed("17", 0), { both = true }))
  end)

  it("takes a value only for the name that it was signed for", function()
    local options = { name = "session" }
    assert.same({ value = "17" }, verify(signed("17", 0, "session"), { options = options }))
    assert.same({ code = "signature" }, verify(signed("17", 0, "theme"), { options = options }))
    assert.same({ code = "signature" }, verify(signed("17", 0), { options = options }))
    assert.same({ code = "signature" }, verify(signed("17", 0, "session")))
    assert.same({ code = "signature" }, verify(signed("17", 0, nil, "other")))
  end)

  it("refuses what was changed", function()
    local text = signed("17", 0)
    local value, expires, signature = text:match("^(.-)%.(.-)%.(.*)$")
    for _, changed in ipairs {
      "18." .. expires .. "." .. signature, value .. ".9999999999." .. signature, text .. "A",
      text .. "=", text:sub(1, -2),
      value .. "." .. expires .. ".", "17.0." .. signature:upper(),
    } do
      assert.same({ code = "signature" }, verify(changed), changed)
    end
    for _, changed in ipairs { "", ".", "..", value .. "." .. signature, value .. ".x." .. signature,
      value .. ".-1." .. signature, value .. ".00." .. signature, "." .. expires .. "." .. signature,
      "1 7.0." .. signature, "1;7.0." .. signature,
      ("x"):rep(5000) .. ".0." .. signature } do
      assert.same({ code = "malformed" }, verify(changed), changed)
    end
    assert.same({ code = "malformed" }, verify(nil))
  end)

  it("refuses what a cookie cannot hold, and weak secrets", function()
    for _, value in ipairs { "", "a b", "a;b", "a,b", 'a"b', "a\\b", "a\nb", "ä", ("x"):rep(4096) } do
      assert.matches("a cookie cannot hold this", call("sign", { value = value }).error, 1, true)
    end
    assert.matches("expires_at must be", call("sign", { value = "1", options = { expires_at = 0 } }).error, 1, true)
    local errors = call "short"
    assert.matches("32 bytes at least", errors[1], 1, true)
    assert.matches("1 to 8 secrets", errors[2], 1, true)
    assert.matches("unknown key 'nmae'", errors[3], 1, true)
  end)

  describe("of a request", function()
    local function cookies(...)
      local lines = { "Host: x" }
      for _, line in ipairs { ... } do lines[#lines + 1] = "Cookie: " .. line end
      local text = "GET /cookies HTTP/1.1\r\n" .. table.concat(lines, "\r\n") .. "\r\n\r\n"
      return cjson.decode(http.raw(s.server, text).body)
    end

    it("are read as browsers send them: the first of a name counts", function()
      assert.same({ a = "1", b = "2=3", c = '"x"', d = "" },
        cookies('a=1; b=2=3;c="x" ; a=4; ;=5; flag; d=', "a=6").cookies)
    end)

    it("are bounded", function()
      local pairs_of = {}
      for i = 1, 1000 do pairs_of[i] = "c" .. i .. "=1" end
      assert.equal(256, cookies(table.concat(pairs_of, ";")).n)
    end)
  end)
end)
