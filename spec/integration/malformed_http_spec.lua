-- HTTP that is none: each request is answered with a status, and the server is up afterwards.

local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"
local ws = require "spec.support.ws"

describe("a malformed request", function()
  local s

  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema, env = { LEAT_MAX_BODY_BYTES = 1000 } }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function()
    assert.equal(200, http.request(s.server, "/healthz").status)
    metrics.settled(s.server)
  end)

  local HOST = "Host: x\r\n"
  local many_headers = {}
  for i = 1, 101 do many_headers[i] = "X-" .. i .. ": 1\r\n" end

  local CASES = {
    ["no HTTP at all"] = { 400, "hello there\r\n\r\n" },
    ["zero bytes"] = { 400, ("\0"):rep(100) },
    ["a TLS hello"] = { 400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" .. ("a"):rep(100) },
    ["HTTP/0.9"] = { 400, "GET /healthz\r\n\r\n" },
    ["HTTP/2.0"] = { { 400, 505 }, "GET /healthz HTTP/2.0\r\n" .. HOST .. "\r\n" },
    ["HTTP/2's preface"] = { { 400, 505 }, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" },
    ["an unknown method"] = { { 400, 405, 501 }, "DANCE /healthz HTTP/1.1\r\n" .. HOST .. "\r\n" },
    ["no Host"] = { 400, "GET /healthz HTTP/1.1\r\n\r\n" },
    ["two Hosts"] = { 400, "GET /healthz HTTP/1.1\r\n" .. HOST .. HOST .. "\r\n" },
    ["a space before the colon"] = { 400, "GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n" },
    ["a folded header"] = { 400, "GET /healthz HTTP/1.1\r\n" .. HOST .. "X-A: b\r\n c\r\n\r\n" },
    ["a control character in a header"] = { 400, "GET /healthz HTTP/1.1\r\n" .. HOST .. "X-A: \1\r\n\r\n" },
    ["a zero byte in a header"] = { 400, "GET /healthz HTTP/1.1\r\n" .. HOST .. "X-A: a\0b\r\n\r\n" },
    ["a header without a name"] = { 400, "GET /healthz HTTP/1.1\r\n" .. HOST .. ": x\r\n\r\n" },
    ["a space in the path"] = { 400, "GET /heal thz HTTP/1.1\r\n" .. HOST .. "\r\n" },
    ["a length that is no number"] = { 400, "POST /x HTTP/1.1\r\n" .. HOST .. "Content-Length: five\r\n\r\n" },
    ["two lengths"] = { 400, "POST /x HTTP/1.1\r\n" .. HOST .. "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab" },
    ["a length and chunks"] = { 400, "POST /x HTTP/1.1\r\n" .. HOST
      .. "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
    ["an unknown coding"] = { { 400, 501 }, "POST /x HTTP/1.1\r\n" .. HOST .. "Transfer-Encoding: magic\r\n\r\n" },
    ["a chunk that is none"] = { { 400, 404 }, "POST /x HTTP/1.1\r\n" .. HOST
      .. "Transfer-Encoding: chunked\r\n\r\nzz\r\n" },
    ["a body too large"] = { 413, "POST /x HTTP/1.1\r\n" .. HOST .. "Content-Length: 1001\r\n\r\n" },
    ["a head too large"] = { 431, "GET /healthz HTTP/1.1\r\n" .. HOST .. "X-A: " .. ("a"):rep(20000) .. "\r\n\r\n" },
    ["a query too long"] = { 414, "GET /?q=" .. ("a"):rep(9000) .. " HTTP/1.1\r\n" .. HOST .. "\r\n" },
    ["a path too long"] = { { 414, 431 }, "GET /" .. ("a"):rep(20000) .. " HTTP/1.1\r\n" .. HOST .. "\r\n" },
    ["too many headers"] = { 431, "GET /healthz HTTP/1.1\r\n" .. HOST .. table.concat(many_headers) .. "\r\n" },
  }

  for name, case in pairs(CASES) do
    it("with " .. name .. " is answered, and the connection closed", function()
      local statuses = type(case[1]) == "table" and case[1] or { case[1] }

      local answer, closed = http.raw(s.server, case[2])

      assert.is_not_nil(answer, "no answer")
      local fits = false
      for _, status in ipairs(statuses) do fits = fits or status == answer.status end
      assert.is_true(fits, "answered " .. answer.status)
      assert.is_true(closed, "not closed")
    end)
  end

  it("that is a flood of headers takes no memory for it", function()
    local conn = tcp.connect(s.server.port)
    conn:write("GET / HTTP/1.1\r\n" .. HOST)
    for _ = 1, 200 do conn:write(("X-Filler: " .. ("f"):rep(1000) .. "\r\n"):rep(10)) end

    assert.equal(431, http.read_answer(conn).status)
    conn:close()
  end)

  it("pipelined behind a good one does not spoil the good one's answer", function()
    local conn = tcp.connect(s.server.port)
    conn:write("GET /healthz HTTP/1.1\r\n" .. HOST .. "\r\nGET /healthz HTTP/1.1\r\n" .. HOST .. "\r\nbogus\r\n\r\n")

    assert.equal(200, http.read_answer(conn).status)
    assert.equal(200, http.read_answer(conn).status)
    assert.equal(400, http.read_answer(conn).status)
    conn:close()
  end)

  it("cut off anywhere leaves nothing behind", function()
    local text = http.text { path = "/ws", headers = ws.headers { Authorization = "Bearer alice" } }
    for i = 1, #text, 7 do
      local conn = tcp.connect(s.server.port)
      conn:write(text:sub(1, i))
      if i % 2 == 0 then conn:close() else conn:abort() end
    end
  end)

  context("for an upgrade", function()
    local UPGRADES = {
      ["without Upgrade"] = { 426, { Upgrade = false, Connection = false } },
      ["to something else"] = { 426, { Upgrade = "h2c" } },
      ["without Connection"] = { 400, { Connection = "keep-alive" } },
      ["without a version"] = { 426, { ["Sec-WebSocket-Version"] = false } },
      ["to an old version"] = { 426, { ["Sec-WebSocket-Version"] = "8" } },
      ["without a key"] = { 400, { ["Sec-WebSocket-Key"] = false } },
      ["with a short key"] = { 400, { ["Sec-WebSocket-Key"] = "c2hvcnQ=" } },
      ["with a key that is not base64"] = { 400, { ["Sec-WebSocket-Key"] = "!!!!!!!!!!!!!!!!!!!!!!==" } },
    }

    for name, case in pairs(UPGRADES) do
      it(name .. " is answered " .. case[1], function()
        local headers = ws.headers(case[2])
        headers.Authorization = "Bearer alice"

        local answer = http.request(s.server, { path = "/ws", headers = headers })

        assert.equal(case[1], answer.status)
        if case[1] == 426 then assert.equal("13", answer.headers["sec-websocket-version"]) end
      end)
    end

    it("by POST is answered 405", function()
      assert.equal(405, http.request(s.server, { method = "POST", path = "/ws", headers = ws.headers() }).status)
    end)

    it("may bring its first frames in the same packet", function()
      local client = ws.attempt(s.server, { token = "alice", pipelined = true })
      client:send { op = "subscribe", id = 1, topic = "room:1" }
      client:await_upgrade()

      client:expect("snapshot", 1)
      client:close()
    end)
  end)
end)

describe("a request", function()
  local s

  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema,
      env = { LEAT_HEADER_TIMEOUT_MS = 300, LEAT_KEEP_ALIVE_TIMEOUT_MS = 300 } }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() metrics.settled(s.server) end)

  it("that never ends is answered 408", function()
    local answer, closed = http.raw(s.server, "GET /healthz HTTP/1.1\r\nHos")

    assert.equal(408, answer.status)
    assert.is_true(closed)
  end)

  it("that never begins is closed without a word", function()
    local conn = tcp.connect(s.server.port)

    assert.is_nil(http.read_answer(conn))
    conn:close()
  end)
end)
