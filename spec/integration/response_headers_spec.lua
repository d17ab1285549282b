-- The headers of answers: what every answer has, what a script may say, and who may read it (CORS).

local files = require "spec.support.files"
local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"
local tls = require "spec.support.tls"

local APP = [[
local leat = require "leat"
local app = leat.app()
app:connect(function(ctx, request)
  if request.token ~= "good" then return leat.deny("unauthenticated") end
  return { id = 1 }
end)
app:route("GET /plain", function() return { body = "plain" } end)
app:route("POST /plain", function() return { body = "posted" } end)
app:route("GET /own", function()
  return { body = "own", headers = { ["content-security-policy"] = "sandbox", ["X-Frame-Options"] = "SAMEORIGIN",
    ["Access-Control-Allow-Origin"] = "https://mine.example" } }
end, { public = true })
app:route("GET /cookies", function()
  return { body = "two", headers = { ["Set-Cookie"] = { "a=1; Path=/", "b=2; Path=/" } } }
end, { public = true })
app:route("GET /bad/{what}", function(ctx, request)
  local bad = {
    cr = { ["X-A"] = "a\rSet-Cookie: b" }, lf = { ["X-A"] = "a\nSet-Cookie: b" }, nul = { ["X-A"] = "a\0b" },
    crlf = { ["X-A"] = "a\r\n\r\n<script>" }, list = { ["X-A"] = { "good", "a\r\nX-B: c" } },
    name = { ["X-A: b\r\nX-B"] = "c" }, space = { ["X A"] = "b" }, empty = { [""] = "b" },
    length = { ["Content-Length"] = "3" }, coding = { ["transfer-encoding"] = "chunked" },
    connection = { Connection = "close" }, upgrade = { upgrade = "h2c" }, alive = { ["Keep-Alive"] = "timeout=1" },
    te = { TE = "trailers" }, trailer = { Trailer = "X-A" }, proxy = { ["Proxy-Connection"] = "close" },
    value = { ["X-A"] = {} , ["X-B"] = true },
  }
  return { body = "never", headers = bad[request.params.what] }
end, { public = true })
app:route("GET /type", function() return { body = "x", content_type = "text/html\r\nX-A: b" } end, { public = true })
app:route("OPTIONS /mine", function() return { status = 200, body = "my own" } end, { public = true })
app:topic("t", { subscribe = function(ctx)
  return leat.subscribe_authorized(ctx, {}, { snapshot = function() return 1 end })
end })
app:stream("/stream", "t")
return app
]]

local POLICY = "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'"
local A, B = "https://a.example", "https://b.example"

local function lines(answer, name)
  local found = {}
  for line in answer.head:gmatch("[^\r\n]+") do
    local key, value = line:match("^([^:]+): ?(.*)$")
    if key and key:lower() == name then found[#found + 1] = value end
  end
  return found
end

local function open(env)
  return stage.open { app = APP, schema = fixtures.schema, env = env, log = { "script failed handler=route" },
    public = { ["index.html"] = "<!doctype html>page" } }
end

describe("every answer", function()
  local s
  lazy_setup(function() s = open { LEAT_MAX_CONNECTIONS = "8" } end)
  lazy_teardown(function() s:close() end)
  after_each(function() metrics.settled(s.server) end)

  it("has the headers that browsers expect, be it a page, a route, a refusal or a rejection", function()
    local answers = {
      page = http.request(s.server, "/"),
      health = http.request(s.server, "/healthz"),
      absent = http.request(s.server, "/nothing"),
      head = http.request(s.server, { method = "HEAD", path = "/" }),
      route = http.request(s.server, { path = "/plain", headers = { Authorization = "Bearer good" } }),
      refused = http.request(s.server, "/plain"),
      upgrade = http.request(s.server, "/ws"),
      rejected = http.raw(s.server, "GET / HTTP/1.1\r\nHost : x\r\n\r\n"),
    }
    answers.again = http.request(s.server, { path = "/", headers = { ["If-None-Match"] = answers.page.headers.etag } })

    assert.equal(304, answers.again.status)
    for name, answer in pairs(answers) do
      assert.same({ POLICY }, lines(answer, "content-security-policy"), name)
      assert.same({ "nosniff" }, lines(answer, "x-content-type-options"), name)
      assert.same({ "DENY" }, lines(answer, "x-frame-options"), name)
      assert.same({ "same-origin" }, lines(answer, "referrer-policy"), name)
      assert.matches("camera=%(%)", lines(answer, "permissions-policy")[1], nil, name)
    end
  end)

  it("has them, be it a stream of events", function()
    local stream = http.sse(s.server, "/stream", { Authorization = "Bearer good" })

    assert.equal(200, stream.status)
    assert.equal(POLICY, stream.headers["content-security-policy"])
    assert.equal("nosniff", stream.headers["x-content-type-options"])
    stream:close()
  end)

  it("has a script's own header instead, once", function()
    local answer = http.request(s.server, "/own")

    assert.same({ "sandbox" }, lines(answer, "content-security-policy"))
    assert.same({ "SAMEORIGIN" }, lines(answer, "x-frame-options"))
    assert.same({ "nosniff" }, lines(answer, "x-content-type-options"))
  end)

  it("of another method names those that the path answers, and no HEAD of a stream", function()
    local function allow(path)
      local answer = http.request(s.server, { method = "DELETE", path = path })
      assert.equal(405, answer.status)
      return answer.headers.allow
    end
    assert.equal("GET, HEAD, POST", allow("/plain"))
    assert.equal("GET", allow("/stream"))
  end)

  it("may set several cookies", function()
    assert.same({ "a=1; Path=/", "b=2; Path=/" }, lines(http.request(s.server, "/cookies"), "set-cookie"))
  end)

  for _, what in ipairs { "cr", "lf", "nul", "crlf", "list", "name", "space", "empty", "length", "coding",
    "connection", "upgrade", "alive", "te", "trailer", "proxy", "value" } do
    it("is a script error for a header that cannot be one (" .. what .. ")", function()
      local answer = http.request(s.server, "/bad/" .. what)

      assert.equal(500, answer.status)
      assert.same({}, lines(answer, "x-a"))
      assert.same({}, lines(answer, "x-b"))
      assert.same({}, lines(answer, "set-cookie"))
    end)
  end

  it("is a script error for a content type with a line break", function()
    assert.equal(500, http.request(s.server, "/type").status)
  end)

  it("tells other origins nothing, since none is allowed", function()
    local answer = http.request(s.server, { path = "/plain", headers = { Authorization = "Bearer good", Origin = A } })
    local preflight = http.request(s.server, { method = "OPTIONS", path = "/plain",
      headers = { Origin = A, ["Access-Control-Request-Method"] = "POST" } })

    assert.equal(200, answer.status)
    assert.same({}, lines(answer, "access-control-allow-origin"))
    assert.same({}, lines(answer, "vary"))
    assert.equal(403, preflight.status)
    assert.same({}, lines(preflight, "access-control-allow-methods"))
  end)
end)

describe("the configuration of headers", function()
  it("changes them, and switches them off", function()
    local s = open { LEAT_HEADERS_CONTENT_SECURITY_POLICY = "default-src 'none'", LEAT_HEADERS_FRAME_OPTIONS = "off",
      LEAT_HEADERS_REFERRER_POLICY = "off" }

    local answer = http.request(s.server, "/")

    assert.same({ "default-src 'none'" }, lines(answer, "content-security-policy"))
    assert.same({}, lines(answer, "x-frame-options"))
    assert.same({}, lines(answer, "referrer-policy"))
    assert.same({ "nosniff" }, lines(answer, "x-content-type-options"))
    s:close()
  end)
end)

describe("Strict-Transport-Security", function()
  it("stands in answers by TLS only, and can be switched off", function()
    local folder = files.folder()
    local variables = tls.variables(tls.certificate(folder, "one.test"))
    local function ask(env)
      for name, value in pairs(variables) do env[name] = value end
      local s = open(env)
      local by_tls = tls.ask(tls.port(s.server), { "-quiet" },
        "GET / HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n")
      local plain = http.request(s.server, "/")
      s:close()
      return by_tls:match("Strict%-Transport%-Security: ([^\r]+)"), lines(plain, "strict-transport-security")[1]
    end

    assert.same({ "max-age=31536000" }, { ask {} })
    assert.same({}, { ask { LEAT_HEADERS_STRICT_TRANSPORT_SECURITY = "off" } })
    files.remove(folder)
  end)
end)

describe("CORS", function()
  local s

  local function ask(path, origin, changes)
    local headers = { Authorization = "Bearer good", Origin = origin }
    for name, value in pairs(changes and changes.headers or {}) do headers[name] = value end
    return http.request(s.server, { method = changes and changes.method, path = path, headers = headers })
  end

  local function preflight(path, origin)
    return ask(path, origin, { method = "OPTIONS", headers = { Authorization = false,
      ["Access-Control-Request-Method"] = "POST", ["Access-Control-Request-Headers"] = "authorization" } })
  end

  local function allowed(answer)
    return { lines(answer, "access-control-allow-origin")[1], lines(answer, "access-control-allow-credentials")[1] }
  end

  context("for listed origins", function()
    lazy_setup(function() s = open { LEAT_ALLOWED_ORIGINS = A .. ", https://c.example" } end)
    lazy_teardown(function() s:close() end)
    after_each(function() metrics.settled(s.server) end)

    it("names the origin that asked, and no other", function()
      assert.same({ A }, allowed(ask("/plain", A)))
      assert.same({}, allowed(ask("/plain", B)))
      assert.same({}, allowed(ask("/plain", "null")))
      assert.same({}, allowed(ask("/plain", A .. ".evil.example")))
      assert.same({}, allowed(ask("/plain", false)))
    end)

    it("tells caches that the answer depends on the origin, also without one", function()
      for _, origin in ipairs { A, B, false } do
        assert.same({ "Origin" }, lines(ask("/plain", origin), "vary"))
      end
    end)

    it("holds for refusals, so that a page can read why", function()
      local answer = ask("/plain", A, { headers = { Authorization = "Bearer bad" } })

      assert.equal(401, answer.status)
      assert.same({ A }, allowed(answer))
      assert.same({ "Retry-After, Leat-Position" }, lines(answer, "access-control-expose-headers"))
      assert.same({ A }, allowed(ask("/plain", A, { method = "DELETE" })))
    end)

    it("answers a preflight before the guard", function()
      local answer = preflight("/plain", A)

      assert.equal(204, answer.status)
      assert.same({ A }, allowed(answer))
      assert.same({ "GET, HEAD, POST" }, lines(answer, "access-control-allow-methods"))
      assert.same({ "Authorization, Content-Type, Last-Event-ID" }, lines(answer, "access-control-allow-headers"))
      assert.same({ "600" }, lines(answer, "access-control-max-age"))
      assert.same({ "Origin" }, lines(answer, "vary"))
      assert.same({}, lines(answer, "content-length"))
    end)

    it("refuses a preflight of another origin, and leaves a script's own OPTIONS to it", function()
      local refused = preflight("/plain", B)

      assert.equal(403, refused.status)
      assert.same({}, allowed(refused))
      assert.same({}, lines(refused, "access-control-allow-methods"))
      assert.equal("my own", preflight("/mine", A).body)
    end)

    it("says nothing on pages and on the server's own paths", function()
      for _, path in ipairs { "/", "/healthz", "/nothing" } do
        assert.same({}, allowed(ask(path, A)))
        assert.not_equal("Origin", lines(ask(path, A), "vary")[1])
      end
    end)

    it("leaves it to a script that says who may read", function()
      assert.same({ "https://mine.example" }, lines(ask("/own", A), "access-control-allow-origin"))
    end)

    it("holds for a stream of events", function()
      local stream = http.sse(s.server, "/stream", { Authorization = "Bearer good", Origin = A })

      assert.equal(200, stream.status)
      assert.equal(A, stream.headers["access-control-allow-origin"])
      assert.equal("Origin", stream.headers.vary)
      stream:close()
      assert.equal(403, ask("/stream", B, { headers = { Accept = "text/event-stream" } }).status)
      assert.equal(A, ask("/stream", A, { headers = { Accept = "text/event-stream", Authorization = "Bearer bad" } })
        .headers["access-control-allow-origin"])
    end)
  end)

  context("with cookies", function()
    lazy_setup(function()
      s = open { LEAT_ALLOWED_ORIGINS = A .. ",*", LEAT_CORS_CREDENTIALS = "true", LEAT_CORS_MAX_AGE_S = "5" }
    end)
    lazy_teardown(function() s:close() end)

    it("allows them to origins that are listed by name, never to those of the star", function()
      assert.same({ A, "true" }, allowed(ask("/plain", A)))
      assert.same({ "*" }, allowed(ask("/plain", B)))
      assert.same({ "*" }, allowed(ask("/plain", "null")))
      assert.same({ A, "true" }, allowed(preflight("/plain", A)))
      assert.same({ "*" }, allowed(preflight("/plain", B)))
      assert.same({ "Origin" }, lines(ask("/plain", B), "vary"))
      assert.same({ "5" }, lines(preflight("/plain", B), "access-control-max-age"))
    end)
  end)

  context("for everybody", function()
    lazy_setup(function() s = open { LEAT_ALLOWED_ORIGINS = "*", LEAT_CORS_CREDENTIALS = "true" } end)
    lazy_teardown(function() s:close() end)

    it("is a star without cookies, the same for all", function()
      for _, origin in ipairs { A, "null" } do
        assert.same({ "*" }, allowed(ask("/plain", origin)))
        assert.same({}, lines(ask("/plain", origin), "vary"))
      end
    end)
  end)
end)
