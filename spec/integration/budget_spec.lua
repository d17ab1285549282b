-- What all HTTP connections hold together is bounded, apart for those who are let in and those who are not.

local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"

local APP = [[
local leat = require "leat"
local app = leat.app()
app:connect(function(_, request) return request.token and { id = request.token } end)
local function size(_, request) return { status = 200, body = tostring(#(request.body or "")) } end
app:route("POST /public", size, { public = true })
app:route("POST /guarded", size)
local texts = { small = ("s"):rep(50000), large = ("l"):rep(900000) }
app:route("GET /text/{name}", function(_, request) return { status = 200, body = texts[request.params.name] } end,
  { public = true })
return app
]]

local MIB = 1048576

describe("the memory of HTTP connections", function()
  local s
  local conns = {}

  lazy_setup(function()
    s = stage.open { app = APP, schema = fixtures.schema, public = { ["large.bin"] = ("x"):rep(8 * MIB) },
      env = { LEAT_MAX_GUEST_BYTES = 2 * MIB, LEAT_MAX_REQUEST_BYTES = 4 * MIB } }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function()
    for _, conn in ipairs(conns) do conn:close() end
    conns = {}
    loop.eventually(function()
      local all = metrics.read(s.server)
      return all.leat_guest_bytes < 20000 and all.leat_request_bytes == 0
    end, nil, "nothing held")
  end)

  -- A request whose body never ends.
  local function begin(path, bytes, headers)
    local conn = tcp.connect(s.server.port)
    conns[#conns + 1] = conn
    local all = { ["Content-Length"] = MIB }
    for name, value in pairs(headers or {}) do all[name] = value end
    conn:write(http.text { method = "POST", path = path, headers = all } .. ("x"):rep(bytes))
    return conn
  end

  local function post(path, headers)
    return http.request(s.server, { method = "POST", path = path, body = ("y"):rep(1000), headers = headers })
  end

  local ALICE = { Authorization = "Bearer alice" }

  it("stays within max_guest_bytes: who holds too much gets 503, and small requests pass", function()
    local before = metrics.value(s.server, "leat_http_shed_total")
    local refused = 0
    for _ = 1, 20 do begin("/public", 400000) end

    loop.eventually(function() return metrics.value(s.server, "leat_http_shed_total") >= before + 10 end)

    assert.is_true(metrics.value(s.server, "leat_guest_bytes") < 2 * MIB)
    assert.equal("1000", post("/public").body)
    assert.equal("1000", post("/guarded", ALICE).body)
    for _, conn in ipairs(conns) do
      if conn:bytes():find("^HTTP/1.1 503 ") then
        refused = refused + 1
        assert.matches("Retry%-After: %d", conn:bytes())
        loop.eventually(function() return conn.ended end, nil, "the end")
      end
    end
    assert.is_true(refused >= 10, refused .. " were refused")
  end)

  it("of those who are let in does not come out of the guests'", function()
    for _ = 1, 4 do begin("/guarded", 400000, ALICE) end

    metrics.await_growth(s.server, "leat_request_bytes", 0, 1600000)
    assert.is_true(metrics.value(s.server, "leat_guest_bytes") < 100000)
    for _ = 1, 12 do begin("/guarded", 900000, ALICE) end
    metrics.await_growth(s.server, "leat_http_shed_total", 0)
    assert.is_true(metrics.value(s.server, "leat_request_bytes") <= 4 * MIB)
    assert.equal("1000", post("/public").body)
  end)

  it("is bounded for large heads, and for bytes behind a request that is not answered", function()
    for _ = 1, 300 do
      local conn = tcp.connect(s.server.port)
      conns[#conns + 1] = conn
      conn:write("GET / HTTP/1.1\r\nHost: x\r\nX-A: " .. ("a"):rep(12000))
    end

    metrics.await_growth(s.server, "leat_http_shed_total", 0)
    assert.is_true(metrics.value(s.server, "leat_guest_bytes") < 2 * MIB)
    assert.equal("1000", post("/public").body)
  end)

  it("is bounded for files that nobody reads", function()
    for _ = 1, 60 do
      local conn = tcp.connect(s.server.port)
      conns[#conns + 1] = conn
      conn:read_stop()
      conn:write(http.text { path = "/large.bin" })
    end

    metrics.await_growth(s.server, "leat_guest_bytes", 0, 500000)
    assert.is_true(metrics.value(s.server, "leat_guest_bytes") < 2 * MIB)
    assert.equal("1000", post("/public").body)
  end)

  it("is free again when an answer has left, on a connection that stays", function()
    for _, name in ipairs { "small", "large" } do
      for _ = 1, 10 do
        local conn = tcp.connect(s.server.port)
        conns[#conns + 1] = conn
        conn:write(http.text { path = "/text/" .. name })
        assert.equal(200, http.read_answer(conn).status)
      end
    end

    loop.eventually(function() return metrics.value(s.server, "leat_guest_bytes") < 20000 end, nil, "nothing held")
  end)

  it("is bounded for last answers that nobody reads", function()
    local before = metrics.value(s.server, "leat_http_shed_total")
    for _ = 1, 40 do
      local conn = tcp.connect(s.server.port)
      conns[#conns + 1] = conn
      conn:read_stop()
      conn:write(http.text { path = "/text/large", headers = { Connection = "close" } })
    end

    metrics.await_growth(s.server, "leat_http_shed_total", before, 20)
    local all = metrics.read(s.server)
    assert.is_true(all.leat_guest_bytes < 3 * MIB, all.leat_guest_bytes .. " bytes")
    assert.is_true(all.leat_send_buffer_bytes < 3 * MIB, all.leat_send_buffer_bytes .. " bytes unsent")
    assert.equal("1000", post("/public").body)
  end)
end)

describe("a last answer", function()
  it("may take longer than close_timeout_ms to leave", function()
    local s = stage.open { app = APP, schema = fixtures.schema, env = { LEAT_CLOSE_TIMEOUT_MS = 10 } }
    local conn = tcp.connect(s.server.port)
    conn:read_stop()
    conn:write(http.text { path = "/text/large", headers = { Connection = "close" } })
    metrics.await_growth(s.server, "leat_send_buffer_bytes", 0, 100000)

    s.session:run "select pg_sleep(0.2)" -- longer than close_timeout_ms
    conn:read_start()

    assert.equal(900000, #http.read_answer(conn).body)
    loop.eventually(function() return conn.ended end, nil, "the end")
    conn:close()
    s:close()
  end)
end)
