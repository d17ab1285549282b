-- A body is read only for a route that is there and a caller who is let in.

local fixtures = require "spec.support.fixtures"
local gate = require "spec.support.gate"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"
local ws = require "spec.support.ws"

local APP = ([[
local leat = require "leat"
local app = leat.app()
app:connect(function(ctx, request)
  ctx.db:exec("GATE")
  return ctx.db:one("select id, name from users where token = $1", request.token)
end)
local function echo(_, request)
  return { status = 200, body = "got " .. #(request.body or "") .. " " .. (request.body or ""):sub(1, 20) }
end
app:route("POST /guarded", echo)
app:route("GET /guarded", echo)
app:route("POST /public", echo, { public = true })
app:topic("room:{id:int}", { subscribe = function(ctx, args)
  return leat.subscribe_authorized(ctx, args, { snapshot = function() return 1 end })
end })
app:stream("/rooms/{id:int}/stream", "room:{id}")
app:websocket("/raw", { message = function(conn, data) conn:send(data) end })
return app
]]):gsub("GATE", gate.sql(gate.CONNECT))

-- A head whose body is said to follow.
local function head(method, path, length, headers)
  local all = { ["Content-Length"] = length }
  for name, value in pairs(headers or {}) do all[name] = value end
  return http.text { method = method, path = path, headers = all }
end

describe("a request's body", function()
  local s

  lazy_setup(function()
    s = stage.open { app = APP, schema = fixtures.schema, public = { ["index.html"] = "hello" },
      env = { LEAT_HEADER_TIMEOUT_MS = 60000, LEAT_MAX_BODY_BYTES = 200000, LEAT_CLOSE_TIMEOUT_MS = 2000 } }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  local ALICE = { Authorization = "Bearer alice" }

  -- The answer to a head whose body never comes, and whether the connection ends with it.
  local function ask(text)
    return http.raw(s.server, text)
  end

  for name, case in pairs {
    ["an unknown path"] = { 404, head("POST", "/nothing", 100000) },
    ["an unknown path, in chunks"] = { 404, http.text { method = "POST", path = "/nothing",
      headers = { ["Transfer-Encoding"] = "chunked" } } },
    ["a wrong method"] = { 405, head("PUT", "/guarded", 100000) },
    ["a static file"] = { 200, head("GET", "/", 100000) },
    ["a method that a static file has not"] = { 405, head("POST", "/", 100000) },
    ["a health check"] = { 200, head("GET", "/healthz", 100000) },
    ["a route without a token"] = { 401, head("POST", "/guarded", 100000) },
    ["a GET of a route without a token"] = { 401, head("GET", "/guarded", 100000) },
    ["an upgrade"] = { 400, head("GET", "/ws?token=alice", 100000, ws.headers()) },
    ["a stream"] = { 401, head("GET", "/rooms/1/stream", 100000, { Accept = "text/event-stream" }) },
  } do
    it("is not waited for before the answer to " .. name, function()
      local answer, closed = ask(case[2])

      assert.equal(case[1], answer.status)
      assert.equal("close", answer.headers.connection)
      assert.is_true(closed)
    end)
  end

  it("is not read while its caller is not let in", function()
    local shut = gate.shut(s.db, gate.CONNECT)
    local conns = {}
    for i = 1, 20 do
      conns[i] = tcp.connect(s.server.port)
      conns[i]:write(head("POST", "/guarded", 200000, ALICE) .. ("x"):rep(200000))
    end
    shut:await(10)

    local all = metrics.read(s.server)
    shut:open()

    assert.is_true(all.leat_guest_bytes < 20 * 24000, "guests hold " .. all.leat_guest_bytes)
    for i = 1, 20 do
      assert.equal("got 200000 " .. ("x"):rep(20), http.read_answer(conns[i]).body)
      conns[i]:close()
    end
    metrics.await(s.server, "leat_request_bytes", 0)
  end)

  it("reaches a handler whole, on one connection many times, and of public routes too", function()
    local conn = tcp.connect(s.server.port)
    for _, path in ipairs { "/guarded", "/public", "/guarded", "/public" } do
      conn:write(http.text { method = "POST", path = path, body = ("b"):rep(150000), headers = ALICE })
      assert.equal("got 150000 " .. ("b"):rep(20), http.read_answer(conn).body)
    end
    conn:write(http.text { method = "POST", path = "/public", headers = { ["Transfer-Encoding"] = "chunked" } }
      .. "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert.equal("got 5 abcde", http.read_answer(conn).body)
    conn:close()
  end)

  it("that is too large or broken ends the connection", function()
    local large, large_closed = ask(http.text { method = "POST", path = "/public",
      headers = { ["Transfer-Encoding"] = "chunked" } } .. "fffff\r\n")
    local broken = ask(http.text { method = "POST", path = "/public",
      headers = { ["Transfer-Encoding"] = "chunked" } } .. "zz\r\n")

    assert.same({ 413, true }, { large.status, large_closed })
    assert.equal(400, broken.status)
  end)

  it("that came whole with a refused request leaves the connection usable", function()
    local conn = tcp.connect(s.server.port)
    conn:write(http.text { method = "POST", path = "/nothing", body = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" }
      .. http.text { path = "/" })

    assert.equal(404, http.read_answer(conn).status)
    assert.equal("hello", http.read_answer(conn).body)
    conn:close()
  end)

  it("lets a client that still sends see the refusal", function()
    local conn = tcp.connect(s.server.port)
    conn:write(head("POST", "/nothing", 190000))
    assert.equal(404, http.read_answer(conn).status)

    conn:write(("x"):rep(190000))

    loop.eventually(function() return conn.ended end, nil, "the end")
    assert.is_nil(conn.err)
    conn:close()
  end)

  it("goes with its client", function()
    local conn = tcp.connect(s.server.port)
    conn:write(head("POST", "/public", 100000) .. ("x"):rep(50000))
    metrics.await_growth(s.server, "leat_guest_bytes", 50000, 0)
    conn:abort()

    loop.eventually(function() return metrics.value(s.server, "leat_guest_bytes") < 20000 end, nil, "what is held")
  end)

  context("with Expect: 100-continue", function()
    local function expecting(path, headers, value, version)
      local all = { Expect = value or "100-continue" }
      for name, text in pairs(headers or {}) do all[name] = text end
      return (head("POST", path, 5, all):gsub("HTTP/1%.1", "HTTP/" .. (version or "1.1"), 1))
    end

    it("is asked for once its caller is let in", function()
      for path, headers in pairs { ["/guarded"] = ALICE, ["/public"] = {} } do
        local conn = tcp.connect(s.server.port)
        conn:write(expecting(path, headers))
        assert.equal(100, http.read_answer(conn).status)

        conn:write("hello")

        assert.equal("got 5 hello", http.read_answer(conn).body)
        conn:close()
      end
    end)

    it("is not asked for when it is refused", function()
      for path, status in pairs { ["/guarded"] = 401, ["/nothing"] = 404, ["/"] = 405 } do
        local answer, closed = ask(expecting(path))
        assert.same({ status, true }, { answer.status, closed })
      end
    end)

    it("is not asked for when it is there already", function()
      local conn = tcp.connect(s.server.port)
      conn:write(expecting("/public") .. "hello")
      assert.equal(200, http.read_answer(conn).status)
      conn:close()
    end)

    it("is refused where something else is expected", function()
      for _, value in ipairs { "tea", "100-continue, tea", "100-continue;q=1" } do
        local answer, closed = ask(expecting("/public", nil, value))
        assert.same({ 417, true }, { answer.status, closed })
      end
    end)

    it("is not asked for by HTTP/1.0", function()
      local conn = tcp.connect(s.server.port)
      conn:write(expecting("/public", nil, nil, "1.0"))
      conn:write("hello")
      assert.equal("got 5 hello", http.read_answer(conn).body)
      conn:close()
    end)
  end)

  context("beside an upgrade", function()
    local HIDDEN = "GET /public-is-not-reached HTTP/1.1\r\nHost: x\r\n\r\n"

    -- The statuses that a connection sees for bytes that are sent at once.
    local function statuses(bytes)
      local conn = tcp.connect(s.server.port)
      conn:write(bytes)
      local all = {}
      loop.poll(function() return conn.ended end)
      for status in conn:bytes():gmatch("HTTP/1%.1 (%d%d%d)") do all[#all + 1] = tonumber(status) end
      local ended = conn.ended
      conn:close()
      return all, ended
    end

    for name, case in pairs {
      ["that is refused"] = { 401, "/ws", ws.headers() },
      ["of the wrong version"] = { 426, "/ws?token=alice", ws.headers { ["Sec-WebSocket-Version"] = "12" } },
      ["of a stream, refused"] = { 401, "/rooms/1/stream", ws.headers() },
      ["of a raw socket, refused"] = { 401, "/raw", ws.headers() },
      ["of a raw socket, malformed"] = { 400, "/raw?token=alice", ws.headers { ["Sec-WebSocket-Key"] = "x" } },
      ["to an unknown path"] = { 404, "/nothing", ws.headers() },
      ["of a route that has none"] = { 401, "/guarded", ws.headers() },
      ["of a route that answers"] = { 200, "/guarded?token=alice", ws.headers() },
      ["of a file"] = { 200, "/", ws.headers() },
      ["of a health check"] = { 200, "/healthz", ws.headers() },
      ["to HTTP/2"] = { 404, "/nothing", { Upgrade = "h2c", Connection = "Upgrade, HTTP2-Settings" } },
      ["that Connection does not name"] = { 404, "/nothing", { Upgrade = "websocket" } },
      ["that only Connection names"] = { 404, "/nothing", { Connection = "keep-alive, upgrade" } },
    } do
      it(name .. " ends the connection, and what came along is no request", function()
        local all, ended = statuses(http.text { path = case[2], headers = case[3] } .. HIDDEN)

        assert.same({ { case[1] }, true }, { all, ended })
      end)
    end

    it("that is let in is followed by its frames", function()
      local client = ws.attempt(s.server, { token = "alice", pipelined = true })
      s.clients[#s.clients + 1] = client
      client:send { op = "subscribe", id = 7, topic = "room:1" }
      client:await_upgrade()
      assert.equal(7, client:expect("snapshot").id)
    end)

    it("is not CONNECT", function()
      assert.same({ 400 }, (statuses("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n" .. HIDDEN)))
    end)

    it("that is none: pipelined requests behind an error are requests", function()
      local text = http.text { path = "/nothing" } .. http.text { path = "/", headers = { Connection = "close" } }
      assert.same({ 404, 200 }, (statuses(text)))
    end)
  end)
end)

describe("a request's body that does not come in time", function()
  it("is answered 408, and ends the connection", function()
    local s = stage.open { app = APP, schema = fixtures.schema, env = { LEAT_HEADER_TIMEOUT_MS = 1000 } }

    local late, closed = http.raw(s.server,
      head("POST", "/guarded", 10, { Authorization = "Bearer alice" }) .. "abc")

    assert.same({ 408, true }, { late.status, closed })
    s:close()
  end)
end)
