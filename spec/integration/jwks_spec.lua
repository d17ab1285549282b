-- leat.jwt.keys { url = … }: keys that a provider publishes, renews, and sometimes does not give.

local cjson = require "cjson"
local env = require "spec.support.env"
local files = require "spec.support.files"
local jose = require "spec.support.jose"
local loop = require "spec.support.loop"
local process = require "spec.support.process"
local stage = require "spec.support.stage"
local web = require "spec.support.web"
local ws = require "spec.support.ws"

local APP = [[
local leat = require "leat"
local app = leat.app()
local keys = leat.jwt.keys { %s }
app:connect(function(_, request)
  if request.token == "plain" then return { id = 0 } end
  local claims, code = leat.jwt.verify(request.token, { keys = keys, algorithms = { "RS256", "ES256", "ES512" } })
  if not claims then return leat.deny("unauthenticated", code) end
  return { id = claims.sub, expires_at = claims.exp }
end)
app:method("whoami", function(ctx) return ctx.user.id end)
return app
]]

local FAILED = "keys not fetched"

describe("the keys of a URL", function()
  local folder, one, two, large, provider, s, published, behaviour

  local function publish(...) published = cjson.encode { keys = { ... } } end

  local function token(key, alg, kid, claims)
    claims = claims or { sub = "17", exp = os.time() + 600 }
    return jose.sign(key, { alg = alg, kid = kid }, claims)
  end

  lazy_setup(function()
    folder = files.folder()
    one, two, large = jose.key(folder, "RSA"), jose.key(folder, "P256"), jose.key(folder, "P521")
  end)
  lazy_teardown(function() files.remove(folder) end)
  before_each(function()
    publish(one:jwk { kid = "one" })
    behaviour = function() return 200, published, {} end
    provider = web.serve(function(...) return behaviour(...) end)
  end)
  after_each(function()
    if s then s:close() end
    s = nil
    provider:close()
  end)

  local function open(variables, options)
    local source = ('url = "%s/keys", allow_http = true'):format(provider.url)
    local all = { LEAT_JWKS_MIN_INTERVAL_MS = "100", LEAT_JWKS_TIMEOUT_MS = "20000" }
    for name, value in pairs(variables or {}) do all[name] = value end
    s = stage.open { app = APP:format(options or source), env = all, log = { FAILED } }
    return s
  end

  local function await_keys() s.server:await_log("keys fetched url=") end

  local function status(text)
    local attempt = ws.attempt(s.server, { token = text })
    attempt:close()
    return attempt.status
  end

  it("are fetched when the script is loaded, and let tokens in", function()
    open()
    local client = s:connect { token = token(one, "RS256", "one") }

    assert.equal("17", client:ask({ op = "call", id = 1, method = "whoami" }, "ok").data)
    assert.equal(1, s:metrics()['leat_jwks_fetches_total{outcome="ok"}'])
    assert.equal(401, status(token(two, "ES256", "one")))
  end)

  -- Attempts with the token until the provider is asked again: within the least interval, the kid is just unknown.
  local function attempts_until_asked(text, asked)
    local attempts = {}
    loop.eventually(function()
      if asked() then return true end
      local last = attempts[#attempts]
      if last and last.tcp:bytes() == "" then return false end
      attempts[#attempts + 1] = ws.attempt(s.server, { token = text, pipelined = true })
    end, nil, "a fetch")
    for i = 1, #attempts - 1 do attempts[i]:close() end
    return attempts[#attempts]
  end

  it("are fetched again for a kid that is not there, once for all who wait, while others go on", function()
    open()
    await_keys()
    publish(one:jwk { kid = "one" }, two:jwk { kid = "two" })
    local reply
    behaviour = function(_, answer) reply = answer end
    local text = token(two, "ES256", "two")
    local waiting = { attempts_until_asked(text, function() return reply end) }
    for _ = 1, 9 do waiting[#waiting + 1] = ws.attempt(s.server, { token = text, pipelined = true }) end

    assert.equal(101, status "plain")
    assert.equal(101, status(token(one, "RS256", "one")))
    reply(200, published)
    for _, attempt in ipairs(waiting) do
      attempt:await_upgrade()
      attempt:close()
    end

    assert.equal(2, #provider.requests)
    publish(two:jwk { kid = "two" })
  end)

  it("forget a key that is no longer published", function()
    open { LEAT_JWKS_REFRESH_S = "1" }
    await_keys()
    assert.equal(101, status(token(one, "RS256", "one")))
    publish(two:jwk { kid = "two" })

    loop.eventually(function() return status(token(one, "RS256", "one")) == 401 end)
    assert.equal(101, status(token(two, "ES256", "two")))
  end)

  it("are not fetched more often because of invented kids", function()
    open { LEAT_JWKS_MIN_INTERVAL_MS = "60000" }
    await_keys()

    for i = 1, 20 do assert.equal(401, status(token(one, "RS256", "kid-" .. i))) end

    assert.equal(1, #provider.requests)
  end)

  it("make callers wait no longer than their deadline", function()
    behaviour = function() end
    open { LEAT_CONTROL_TIMEOUT_MS = "300" }
    s.server:expect_log "deadline passed handler=connect"

    assert.equal(503, status(token(one, "RS256", "one")))
  end)

  it("that cannot be fetched are not the client's fault, and come by themselves", function()
    behaviour = function() return 500, "" end
    open { LEAT_JWKS_MIN_INTERVAL_MS = "60000" }
    s.server:await_log "keys not fetched"

    local attempt = ws.attempt(s.server, { token = token(one, "RS256", "one") })
    attempt:close()
    s.server:expect_log "read failed handler=connect"
    assert.equal(503, attempt.status)
    assert.is_not_nil(attempt.headers["retry-after"])
    assert.equal(1, s:metrics()['leat_jwt_verifications_total{result="unavailable"}'])
    behaviour = function() return 200, published end
    await_keys()

    assert.equal(101, status(token(one, "RS256", "one")))
  end)

  it("go on being used while the provider is down, until they are too old", function()
    open { LEAT_JWKS_REFRESH_S = "1", LEAT_JWKS_MAX_AGE_S = "8" }
    s.server:expect_log "read failed handler=connect"
    await_keys()
    behaviour = function() return 503, "" end
    s.server:await_log "keys not fetched"

    assert.equal(101, status(token(one, "RS256", "one")))
    -- Whether this key is a new one, nobody can say.
    assert.equal(503, status(token(two, "ES256", "two")))
    loop.eventually(function() return status(token(one, "RS256", "one")) == 503 end, 30000)
    assert.is_true(s:metrics().leat_jwks_age_seconds >= 1)
    behaviour = function() return 200, published end
    loop.eventually(function() return status(token(one, "RS256", "one")) == 101 end, 20000)
  end)

  it("outlive a reload", function()
    open()
    await_keys()
    behaviour = function() return 500, "" end
    s.server:send_signal "sighup"
    s.server:await_log "scripts reloaded"

    assert.equal(101, status(token(one, "RS256", "one")))
    assert.equal(1, #provider.requests)
  end)

  it("reach a caller whose script was replaced meanwhile; a caller who is gone does no harm", function()
    local reply
    behaviour = function(_, answer) reply = answer end
    open()
    local stays = ws.attempt(s.server, { token = token(one, "RS256", "one"), pipelined = true })
    local goes = ws.attempt(s.server, { token = token(one, "RS256", "one"), pipelined = true })
    loop.eventually(function() return reply end)
    assert.equal(101, status "plain")
    goes:close()
    s.server:send_signal "sighup"
    s.server:await_log "scripts reloaded"

    reply(200, published)
    stays:await_upgrade()
    stays:close()
    assert.equal(1, #provider.requests)
  end)

  it("do not hold up the end of the server", function()
    behaviour = function() end
    open { LEAT_JWKS_TIMEOUT_MS = "600000" }
    s.server:expect_log "."
    local waiting = ws.attempt(s.server, { token = token(one, "RS256", "one"), pipelined = true })
    assert.equal(101, status "plain")

    waiting:close()
    s:stop()
  end)

  it("do not fetch what is no set of public keys", function()
    local secret = cjson.encode { keys = { { kty = "oct", k = ("A"):rep(64), kid = "one" } } }
    local answers = {
      { 200, "", "no JSON" }, { 200, "<html>", "no JSON" }, { 200, "[]", "no JSON" }, { 200, '{"keys":{}}', "no list" },
      { 200, '{"keys":[]}', "no key" }, { 200, '{"keys":[1,null,{}]}', "no key" }, { 200, secret, "no key" },
      { 200, published .. " ", "ok" },
      { 200, published:gsub("^{", '{"keys":[],'), "member twice" }, { 200, (" "):rep(2000) .. published, "too large" },
      { 404, published, "404" }, { 204, "", "204" }, { 302, "", "redirects", { "Location: /keys" } },
      { 302, "", "file", { "Location: file:///etc/passwd" } }, { 301, "", "301" },
    }
    local at = 0
    behaviour = function(path)
      local answer = answers[math.max(at, 1)]
      if path ~= "/keys" then return 404, "" end
      return answer[1], answer[2], answer[4]
    end
    at = 1
    open { LEAT_JWKS_MAX_BYTES = "1024", LEAT_JWKS_MIN_INTERVAL_MS = "100", LEAT_LOG_BURST = "1000" }
    s.server:expect_log "read failed handler=connect"
    for i, answer in ipairs(answers) do
      at = i
      local from = #s.server.log + 1
      local asked = #provider.requests
      local expected = answer[3] == "ok" and "keys fetched" or "keys not fetched"
      loop.eventually(function()
        status(token(two, "ES256", "none"))
        return #provider.requests > asked and s.server:find_log(expected, from)
      end, nil, function() return answer[3] .. "\n" .. table.concat(s.server.log, "\n") end)
    end
  end)

  it("follow a redirect", function()
    behaviour = function(path)
      if path == "/keys" then return 302, "", { "Location: /moved" } end
      return 200, published
    end
    open()

    assert.equal(101, status(token(one, "RS256", "one")))
    assert.same({ "/keys", "/moved" }, provider.requests)
  end)

  it("follow no redirect whose own body is too large", function()
    behaviour = function(path)
      if path == "/keys" then return 302, ("x"):rep(2000000), { "Location: /moved", keeps_open = true } end
      return 200, published
    end
    open()

    s.server:await_log "the document is too large"
    assert.same("/keys", provider.requests[#provider.requests])
  end)

  it("verify ES512, which takes long, beside other things", function()
    publish(one:jwk { kid = "one" }, large:jwk { kid = "large" })
    open()
    await_keys()
    local attempts = {}
    for i = 1, 20 do
      local text = token(large, "ES512", "large", { sub = tostring(i), exp = os.time() + 600 })
      attempts[i] = ws.attempt(s.server, { token = text, pipelined = true })
      if i % 5 == 0 then attempts[i]:close() end
    end
    for i, attempt in ipairs(attempts) do
      if i % 5 ~= 0 then attempt:await_upgrade() end
      attempt:close()
    end
  end)

  describe("over HTTPS", function()
    local ca, tls_server

    local function serve_tls(name)
      local args = ("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=%s "
        .. "-addext subjectAltName=DNS:%s -keyout %s/tls.key -out %s/tls.crt"):format(name, name, folder, folder)
      local list = {}
      for arg in args:gmatch("%S+") do list[#list + 1] = arg end
      assert.equal(0, (process.run("openssl", { args = list })))
      ca = folder .. "/tls.crt"
      files.write(folder .. "/keys.json", published)
      tls_server = process.spawn("openssl", { cwd = folder, args = { "s_server", "-accept", "127.0.0.1:0", "-quiet",
        "-cert", ca, "-key", folder .. "/tls.key", "-WWW", "-naccept", "100" } })
      return tls_server:listening_port()
    end

    local function stop_tls()
      tls_server:send_signal "sigkill"
      tls_server:wait()
    end
    after_each(stop_tls)

    it("are taken from a server whose certificate is trusted", function()
      local port = serve_tls "localhost"
      open({ LEAT_CONFINE_READ = folder }, ('url = "https://localhost:%d/keys.json", ca_file = "%s"'):format(port, ca))

      assert.equal(101, status(token(one, "RS256", "one")))
    end)

    it("are not taken from one whose certificate nobody signed, nor from one of another name", function()
      local port = serve_tls "localhost"
      open({ LEAT_CONFINE_READ = folder }, ('url = "https://localhost:%d/keys.json"'):format(port))
      s.server:expect_log "read failed handler=connect"
      s.server:await_log "keys not fetched url=.* err=.*certificate"
      assert.equal(503, status(token(one, "RS256", "one")))
      s:close()
      stop_tls()
      port = serve_tls "example.org"
      open({ LEAT_CONFINE_READ = folder }, ('url = "https://localhost:%d/keys.json", ca_file = "%s"'):format(port, ca))
      s.server:expect_log "read failed handler=connect"
      s.server:await_log "keys not fetched url=.* err=.*SSL"

      assert.equal(503, status(token(one, "RS256", "one")))
    end)
  end)

  it("are not fetched by leat check", function()
    open()
    await_keys()
    local code, out = process.run(env.binary(), { args = { "check", "--app", s.app, "--database", s.db.url } })

    assert.equal(0, code, out)
    assert.equal(1, #provider.requests)
  end)
end)
