-- Accept-Encoding: files and the answers of routes, compressed where the client wants it and nothing leaks by it.

local files = require "spec.support.files"
local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"
local uv = require "luv"
local zlib = require "zlib"

local TEXT = ("The quick brown fox jumps over the lazy dog. "):rep(200)
-- What no compressor makes shorter.
local NOISE = {}
math.randomseed(7)
for i = 1, 3000 do NOISE[i] = string.char(math.random(0, 255)) end
NOISE = table.concat(NOISE)

local APP = [[
local leat = require "leat"
local app = leat.app()
local text = ("All work and no play makes Jack a dull boy. "):rep(50)
app:connect(function(ctx, request)
  if request.token ~= "good" then return leat.deny("unauthenticated") end
  return { id = 1 }
end)
local function route(name, response) app:route("GET /" .. name, function() return response end, { public = true }) end
route("text", { body = text })
route("long", { body = text:rep(100) })
route("short", { body = "short" })
route("json", { body = { text = text } })
route("picture", { body = text, content_type = "image/png" })
route("cookie", { body = text, headers = { ["Set-Cookie"] = "a=b" } })
route("own", { body = text, headers = { ["Content-Encoding"] = "identity" } })
route("strong", { body = text, headers = { ETag = '"1"' } })
route("weak", { body = text, headers = { ETag = 'W/"1"', Vary = "Cookie" } })
route("fixed", { body = text, headers = { ["Cache-Control"] = "public, no-transform" } })
app:route("GET /mine", function() return { body = text } end)
return app
]]

local function unzip(answer)
  assert.equal("gzip", answer.headers["content-encoding"])
  return (zlib.inflate(31)(answer.body))
end

describe("Accept-Encoding", function()
  local s

  lazy_setup(function()
    s = stage.open { app = APP, schema = fixtures.schema, public = {
      ["index.html"] = TEXT, ["app.js"] = TEXT, ["short.css"] = "body {}", ["noise.txt"] = NOISE,
      ["picture.png"] = TEXT, ["fresh.js"] = TEXT, ["fresh.js.gz"] = "not gzip, but served as such",
      ["stale.js"] = TEXT, ["stale.js.gz"] = "older than its file", ["changes.js"] = TEXT, ["waits.js"] = TEXT,
    } }
    uv.fs_utime(s.folder .. "/public/fresh.js", 1000, 1000)
    uv.fs_utime(s.folder .. "/public/stale.js.gz", 1000, 1000)
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() metrics.settled(s.server) end)

  local function get(path, headers, method)
    headers = headers or {}
    if headers["Accept-Encoding"] == nil then headers["Accept-Encoding"] = "gzip, deflate, br" end
    return http.request(s.server, { method = method, path = path, headers = headers })
  end

  context("of a file", function()
    it("compresses it, and says that this depends on the request", function()
      for _, path in ipairs { "/", "/app.js" } do
        local answer = get(path)

        assert.equal(200, answer.status)
        assert.equal(TEXT, unzip(answer))
        assert.is_true(#answer.body < 500)
        assert.equal("Accept-Encoding", answer.headers.vary)
      end
    end)

    it("sends it as it is to who does not want it compressed, with another tag", function()
      local plain, coded = get("/app.js", { ["Accept-Encoding"] = false }), get("/app.js")

      assert.equal(TEXT, plain.body)
      assert.is_nil(plain.headers["content-encoding"])
      assert.equal("Accept-Encoding", plain.headers.vary)
      assert.not_equal(plain.headers.etag, coded.headers.etag)
    end)

    it("tells HEAD what GET would get", function()
      local head, answer = get("/app.js", nil, "HEAD"), get("/app.js")

      for _, name in ipairs { "content-length", "content-encoding", "etag", "vary", "content-type" } do
        assert.equal(answer.headers[name], head.headers[name], name)
      end
      assert.equal("", head.body)
    end)

    it("sends nothing again to who has that form of it", function()
      local plain, coded = get("/app.js", { ["Accept-Encoding"] = false }), get("/app.js")

      local again = get("/app.js", { ["If-None-Match"] = coded.headers.etag })
      local weakly = get("/app.js", { ["If-None-Match"] = "W/" .. coded.headers.etag })
      local other = get("/app.js", { ["If-None-Match"] = plain.headers.etag })

      assert.same({ 304, coded.headers.etag, "Accept-Encoding" },
        { again.status, again.headers.etag, again.headers.vary })
      assert.is_nil(again.headers["content-encoding"])
      assert.equal(304, weakly.status)
      assert.same({ 200, TEXT }, { other.status, unzip(other) })
    end)

    it("leaves alone what is short, what is compressed, and what gets no shorter", function()
      for path, body in pairs { ["/short.css"] = "body {}", ["/picture.png"] = TEXT, ["/noise.txt"] = NOISE } do
        local answer = get(path)

        assert.is_nil(answer.headers["content-encoding"], path)
        assert.is_true(body == answer.body, path)
      end
      assert.is_nil(get("/picture.png").headers.vary)
    end)

    it("takes a FILE.gz beside it, unless it is older", function()
      local fresh, stale = get("/fresh.js"), get("/stale.js")

      assert.same({ "gzip", "not gzip, but served as such" }, { fresh.headers["content-encoding"], fresh.body })
      assert.equal("text/javascript; charset=utf-8", fresh.headers["content-type"])
      assert.equal(TEXT, get("/fresh.js", { ["Accept-Encoding"] = "identity" }).body)
      assert.equal(TEXT, unzip(stale))
    end)

    it("compresses a new version anew", function()
      assert.equal(TEXT, unzip(get("/changes.js")))

      files.write(s.folder .. "/public/changes.js", TEXT .. "more")

      assert.equal(TEXT .. "more", unzip(get("/changes.js")))
    end)

    it("compresses it once for many who ask at the same time", function()
      local before = s:metrics().leat_gzip_cache_bytes
      local conns = {}
      for i = 1, 20 do
        conns[i] = tcp.connect(s.server.port)
        conns[i]:write(http.text { path = "/waits.js", headers = { ["Accept-Encoding"] = "gzip" } })
      end
      conns[20]:abort()

      for i = 1, 19 do assert.equal(TEXT, unzip(http.read_answer(conns[i]))) end
      for _, conn in ipairs(conns) do conn:close() end
      assert.is_true(s:metrics().leat_gzip_cache_bytes - before < 1000)
    end)

    it("answers 406 if plain bytes are excluded and there are no others", function()
      local none = get("/app.js", { ["Accept-Encoding"] = "br, identity;q=0" })

      assert.same({ 406, "Accept-Encoding" }, { none.status, none.headers.vary })
      assert.equal(406, get("/noise.txt", { ["Accept-Encoding"] = "gzip, *;q=0" }).status)
      assert.equal(TEXT, unzip(get("/app.js", { ["Accept-Encoding"] = "gzip, identity;q=0" })))
    end)

    it("follows the weights", function()
      local CASES = {
        ["gzip"] = true, ["GZIP"] = true, ["x-gzip"] = true, ["*"] = true, ["br, gzip;q=0.001"] = true,
        ["gzip;q=1.000"] = true, ["gzip ; q=0.5, identity;q=0.5"] = true, ["gzip;Q=0.5"] = true, [",,gzip,"] = true,
        ["identity;q=0, *"] = true, [""] = false, ["br"] = false, ["identity"] = false, ["gzip;q=0"] = false,
        ["gzip;q=0.000, *"] = false, ["gzip;q=0.5, identity"] = false, ["*;q=0, identity"] = false,
        ["gzip;q=2"] = false, ["gzip;q=0.1234"] = false, ["gzip;q="] = false, ["gzip;level=9"] = false,
        ["gzipped"] = false,
      }
      for value, wanted in pairs(CASES) do
        assert.equal(wanted and "gzip" or nil, get("/app.js", { ["Accept-Encoding"] = value })
          .headers["content-encoding"], value)
      end
    end)

    it("gives a part of the plain bytes only", function()
      local answer = get("/app.js", { Range = "bytes=4-8" })

      assert.same({ 206, "quick", "bytes 4-8/" .. #TEXT }, { answer.status, answer.body,
        answer.headers["content-range"] })
      assert.is_nil(answer.headers["content-encoding"])
      assert.equal("Accept-Encoding", answer.headers.vary)
    end)
  end)

  context("of a route", function()
    local body = ("All work and no play makes Jack a dull boy. "):rep(50)

    it("compresses text and JSON, at once or by the pool", function()
      assert.equal(body, unzip(get("/text")))
      assert.equal(body:rep(100), unzip(get("/long")))
      assert.equal('{"text":"' .. body .. '"}', unzip(get("/json")))
      assert.equal("Accept-Encoding", get("/text").headers.vary)
      assert.same({ get("/text").headers["content-length"], "" },
        { get("/text", nil, "HEAD").headers["content-length"], get("/text", nil, "HEAD").body })
    end)

    it("leaves alone what is short, what is no text, and what the script has decided about", function()
      for _, path in ipairs { "/short", "/picture", "/own", "/strong", "/fixed" } do
        local answer = get(path)

        assert.not_equal("gzip", answer.headers["content-encoding"], path)
        assert.is_nil(answer.headers.vary, path)
      end
      local weak = get("/weak")
      assert.equal(body, unzip(weak))
      assert.is_truthy(weak.head:find("Vary: Cookie\r\n", 1, true))
      assert.is_truthy(weak.head:find("Vary: Accept-Encoding\r\n", 1, true))
    end)

    it("compresses nothing that a browser may have asked for with somebody's rights", function()
      assert.is_nil(get("/cookie").headers["content-encoding"])
      assert.is_nil(get("/text", { Cookie = "session=1" }).headers["content-encoding"])
      assert.is_nil(get("/text", { Authorization = "Basic YTpi" }).headers["content-encoding"])
      assert.equal("Accept-Encoding", get("/text", { Cookie = "session=1" }).headers.vary)
      assert.equal(body, unzip(get("/mine", { Authorization = "Bearer good" })))
    end)

    it("gives up with the client", function()
      local conn = tcp.connect(s.server.port)
      conn:write(http.text { path = "/long", headers = { ["Accept-Encoding"] = "gzip" } })
      conn:abort()

      assert.equal(body:rep(100), unzip(get("/long")))
    end)
  end)
end)

describe("a range", function()
  local s
  lazy_setup(function()
    s = stage.open { app = APP, schema = fixtures.schema, public = { ["a.bin"] = "0123456789", ["empty.bin"] = "" } }
  end)
  lazy_teardown(function() s:close() end)

  local CASES = {
    ["bytes=0-3"] = { 206, "0123", "bytes 0-3/10" },
    ["bytes=0-0"] = { 206, "0", "bytes 0-0/10" },
    ["bytes=7-"] = { 206, "789", "bytes 7-9/10" },
    ["bytes=7-99"] = { 206, "789", "bytes 7-9/10" },
    ["bytes=9-99999999999999999999999"] = { 206, "9", "bytes 9-9/10" },
    ["bytes=-2"] = { 206, "89", "bytes 8-9/10" },
    ["bytes=-99"] = { 206, "0123456789", "bytes 0-9/10" },
    ["BYTES=1-2"] = { 206, "12", "bytes 1-2/10" },
    ["bytes=10-"] = { 416, "", "bytes */10" },
    ["bytes=-0"] = { 416, "", "bytes */10" },
    ["bytes=5-3"] = { 200, "0123456789" },
    ["bytes=1-2,4-5"] = { 200, "0123456789" },
    ["bytes="] = { 200, "0123456789" },
    ["bytes=-"] = { 200, "0123456789" },
    ["bytes=a-b"] = { 200, "0123456789" },
    ["bytes=0x1-3"] = { 200, "0123456789" },
    ["lines=1-2"] = { 200, "0123456789" },
  }
  for range, case in pairs(CASES) do
    it(range .. " is answered " .. case[1], function()
      local answer = http.request(s.server, { path = "/a.bin", headers = { Range = range } })

      assert.same(case, { answer.status, answer.body, answer.headers["content-range"] })
    end)
  end

  it("counts only for the version that the client has", function()
    local first = http.request(s.server, "/a.bin")
    local function part(version)
      local headers = { Range = "bytes=1-2", ["If-Range"] = version }
      return http.request(s.server, { path = "/a.bin", headers = headers }).status
    end

    assert.equal("bytes", first.headers["accept-ranges"])
    assert.equal(206, part(first.headers.etag))
    assert.equal(206, part(first.headers["last-modified"]))
    assert.equal(200, part('"another"'))
    assert.equal(200, part("W/" .. first.headers.etag))
  end)

  it("does not count twice, for HEAD, or against 304", function()
    local first = http.request(s.server, "/a.bin")
    local twice = http.raw(s.server, "GET /a.bin HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\nRange: bytes=2-3\r\n\r\n")
    local head = http.request(s.server, { method = "HEAD", path = "/a.bin", headers = { Range = "bytes=0-1" } })
    local fresh = http.request(s.server, { path = "/a.bin", headers = { Range = "bytes=0-1",
      ["If-None-Match"] = first.headers.etag } })

    assert.same({ 200, 200, "10", 304 }, { twice.status, head.status, head.headers["content-length"], fresh.status })
    assert.equal(416, http.request(s.server, { path = "/empty.bin", headers = { Range = "bytes=0-" } }).status)
  end)
end)

describe("gzip_cache_bytes", function()
  it("bounds what is kept: the oldest go, and what does not fit is sent as it is", function()
    local public = { ["huge.txt"] = ("x"):rep(70000) }
    for i = 1, 8 do public[i .. ".txt"] = ("x"):rep(20000) .. i end
    local s = stage.open { app = APP, schema = fixtures.schema, public = public,
      env = { LEAT_GZIP_CACHE_BYTES = "50000" } }
    local function get(path)
      return http.request(s.server, { path = path, headers = { ["Accept-Encoding"] = "gzip" } })
    end

    for _ = 1, 3 do
      for i = 1, 8 do assert.equal(("x"):rep(20000) .. i, unzip(get("/" .. i .. ".txt"))) end
    end
    assert.is_true(s:metrics().leat_gzip_cache_bytes <= 50000)
    assert.equal(0, s:metrics().leat_gzip_no_room_total)
    assert.is_nil(get("/huge.txt").headers["content-encoding"])
    assert.equal(1, s:metrics().leat_gzip_no_room_total)
    s:close()
  end)
end)

describe("gzip_level 0", function()
  it("compresses nothing", function()
    local s = stage.open { app = APP, schema = fixtures.schema, public = { ["app.js"] = TEXT, ["app.js.gz"] = "x" },
      env = { LEAT_GZIP_LEVEL = "0" } }
    for _, path in ipairs { "/app.js", "/text" } do
      local answer = http.request(s.server, { path = path, headers = { ["Accept-Encoding"] = "gzip" } })
      assert.is_nil(answer.headers["content-encoding"])
      assert.is_nil(answer.headers.vary)
    end
    s:close()
  end)
end)

describe("a server that stops while it compresses", function()
  it("ends well", function()
    local public = {}
    for i = 1, 8 do public[i .. ".txt"] = (NOISE .. TEXT):rep(40) .. i end
    local s = stage.open { app = APP, schema = fixtures.schema, public = public }
    local conns = {}
    for i = 1, 16 do
      conns[i] = tcp.connect(s.server.port)
      local path = i <= 8 and "/" .. i .. ".txt" or "/long"
      conns[i]:write(http.text { path = path, headers = { ["Accept-Encoding"] = "gzip" } })
    end

    s:close()

    for _, conn in ipairs(conns) do conn:close() end
  end)
end)
