-- TLS of the server's own: certificates by name, versions, sessions, clients' certificates, handshakes that never end.

local cjson = require "cjson"
local files = require "spec.support.files"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"
local tls = require "spec.support.tls"

local APP = [[
local leat = require "leat"
local app = leat.app()
app:connect(function() return { id = 1 } end)
app:route("GET /tls", function(ctx, request)
  return { status = 200, body = leat.encode { tls = request.tls or leat.null } }
end, { public = true })
return app
]]

local GET = "GET /tls HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n"

local folder = files.folder()
local one = tls.certificate(folder, "one.test")
local wild = tls.certificate(folder, "wild", { names = { "*.two.test" } })
local exact = tls.certificate(folder, "exact", { names = { "a.two.test", "three.test" }, kind = "rsa" })
teardown(function() files.remove(folder) end)

local function with(variables, more)
  for key, value in pairs(more) do variables[key] = value end
  return variables
end

local function subject(port, args)
  return tls.ask(port, args):match("\nsubject=CN ?= ?(%S+)")
end

local function value(s, name)
  return metrics.value(s.server, name)
end

local function failures(s, reason)
  return value(s, ('leat_tls_handshake_failures_total{reason="%s"}'):format(reason))
end

describe("a server with certificates", function()
  local s, port

  lazy_setup(function()
    s = stage.open { app = APP, env = with(tls.variables(one, wild, exact), { LEAT_WORKERS = 2 }) }
    port = tls.port(s.server)
  end)
  lazy_teardown(function() s:close() end)

  it("serves by TLS, and beside it without", function()
    local text = tls.ask(port, { "-quiet", "-CAfile", one.certificate, "-verify_return_error",
      "-verify_hostname", "one.test", "-servername", "one.test" }, GET)

    assert.truthy(text:find("HTTP/1.1 200", 1, true), text)
    assert.equal(200, http.request(s.server, "/healthz").status)
  end)

  it("tells a script of it", function()
    local text = tls.ask(port, { "-quiet", "-tls1_3", "-servername", "one.test" }, GET)
    local found = cjson.decode(text:match("\r\n\r\n(%b{})")).tls

    assert.equal("TLSv1.3", found.version)
    assert.truthy(found.cipher:find("^TLS_"))
    assert.equal("one.test", found.server_name)
    assert.is_nil(found.client)
    assert.equal(cjson.null, cjson.decode(http.request(s.server, "/tls").body).tls)
  end)

  it("chooses the certificate by name: an exact one, a wildcard, or the first", function()
    local expected = { ["one.test"] = "one.test", ["a.two.test"] = "exact", ["b.two.test"] = "wild",
      ["B.TWO.test"] = "wild", ["three.test"] = "exact", ["two.test"] = "one.test", ["c.b.two.test"] = "one.test",
      ["elsewhere.test"] = "one.test" }
    for name, certificate in pairs(expected) do
      assert.equal(certificate, subject(port, { "-servername", name }), name)
      assert.equal(certificate, subject(port, { "-servername", name, "-tls1_2" }), name .. " by TLS 1.2")
    end
    assert.equal("one.test", subject(port, { "-noservername" }))
  end)

  it("speaks http/1.1, and nothing else", function()
    assert.truthy(tls.ask(port, { "-alpn", "h2,http/1.1" }):find("ALPN protocol: http/1.1", 1, true))
    assert.truthy(tls.ask(port, { "-alpn", "h2" }):find("alert no application protocol", 1, true))
    assert.equal(1, failures(s, "alpn"))
  end)

  it("refuses TLS 1.1, weak ciphers and renegotiation", function()
    local old = tls.ask(port, { "-tls1_1", "-cipher", "ALL:@SECLEVEL=0" })
    local weak = tls.ask(port, { "-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0", "-servername", "three.test" })
    local again = tls.ask(port, { "-tls1_2" }, "R\n")

    assert.truthy(old:find("alert protocol version", 1, true), old)
    assert.truthy(weak:find("alert handshake failure", 1, true), weak)
    assert.truthy(again:find("no renegotiation", 1, true), again)
    assert.equal(1, failures(s, "version"))
    assert.equal(1, failures(s, "cipher"))
  end)

  it("resumes sessions, whichever worker gets the client", function()
    for _, version in ipairs { "-tls1_2", "-tls1_3" } do
      local session = folder .. "/session"
      local before = value(s, 'leat_tls_handshakes_total{kind="resumed"}')
      tls.ask(port, { version, "-quiet", "-sess_out", session }, GET)
      for _ = 1, 8 do
        tls.ask(port, { version, "-quiet", "-sess_in", session }, GET)
      end
      assert.equal(before + 8, value(s, 'leat_tls_handshakes_total{kind="resumed"}'), version)
    end
  end)

  it("takes a whole URL for a target, of https and of http", function()
    for scheme, status in pairs { https = "200", HTTPS = "200", http = "200", httpss = "400", wss = "400" } do
      local text = tls.ask(port, { "-quiet" }, GET:gsub("/tls", scheme .. "://one.test/tls"))
      assert.equal(status, text:match("HTTP/1.1 (%d+)"), scheme)
    end
  end)

  it("answers plain HTTP with 400, and closes", function()
    local before = failures(s, "plain_http")
    local answer, closed = http.raw({ port = port }, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    assert.equal(400, answer.status)
    assert.truthy(answer.body:find("use https or wss", 1, true))
    assert.is_true(closed)
    assert.equal(before + 1, failures(s, "plain_http"))
    s.server:await_log('handshake failed reason="http request"')
  end)

  it("closes on what is neither", function()
    local before = failures(s, "other") + failures(s, "version")
    local conn = tcp.connect(port)
    conn:write(("\1\2\3 nonsense \r\n"):rep(100))
    loop.eventually(function() return conn.ended end, nil, "the end")
    conn:close()

    assert.equal(before + 1, failures(s, "other") + failures(s, "version"))
  end)

  it("lets pages of its own in only if they came by https", function()
    local function origin(scheme)
      local text = tls.ask(port, { "-quiet" }, "GET /ws HTTP/1.1\r\nHost: one.test\r\nConnection: Upgrade\r\n"
        .. "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        .. "Origin: " .. scheme .. "://one.test\r\n\r\n")
      return tonumber(text:match("HTTP/1.1 (%d+)"))
    end
    assert.equal(403, origin("http"))
    assert.equal(101, origin("https"))
  end)

  it("counts what it has", function()
    assert.equal(0, value(s, "leat_tls_handshakes_under_way"))
    assert.truthy(value(s, "leat_tls_certificate_expiry_seconds") > os.time() + 29 * 86400)
    local tunnel = tls.tunnel(port)
    local conn = tcp.connect(tunnel.port)
    conn:write(http.text { path = "/healthz" })
    http.read_answer(conn)
    assert.equal(1, value(s, 'leat_tls_connections{encryption="process"}')
      + value(s, 'leat_tls_connections{encryption="kernel"}'))
    conn:close()
    tunnel:close()
    metrics.await(s.server, 'leat_tls_connections{encryption="process"}', 0)
  end)
end)

describe("clients' certificates", function()
  local authority = tls.certificate(folder, "authority", { is_ca = true })
  local alice = tls.certificate(folder, "alice", { ca = authority, subject = "/O=Leat/CN=Alice\\, \195\132" })
  local mallory = tls.certificate(folder, "mallory")

  local function facts(port, args)
    local all = { "-quiet" }
    for _, arg in ipairs(args) do all[#all + 1] = arg end
    local text = tls.ask(port, all, GET)
    local body = text:match("\r\n\r\n(%b{})")
    return body and cjson.decode(body).tls, text
  end

  local function by(pair)
    return { "-cert", pair.certificate, "-key", pair.key }
  end

  context("that are optional", function()
    local s, port
    lazy_setup(function()
      s = stage.open { app = APP, env = with(tls.variables(one), { LEAT_TLS_CLIENT_CA = authority.certificate }) }
      port = tls.port(s.server)
    end)
    lazy_teardown(function() s:close() end)

    it("are told, with what they are worth", function()
      local known, unknown = facts(port, by(alice)).client, facts(port, by(mallory)).client

      assert.is_true(known.verified)
      assert.truthy(known.subject:find("O=Leat", 1, true), known.subject)
      assert.truthy(known.subject:find("CN=Alice\\, \195\132", 1, true), known.subject)
      assert.equal(64, #known.fingerprint)
      assert.is_false(unknown.verified)
      assert.not_equal(known.fingerprint, unknown.fingerprint)
      assert.is_nil(facts(port, {}).client)
    end)

    it("stay with a session that is resumed", function()
      local session = folder .. "/client.session"
      local args = by(alice)
      args[#args + 1], args[#args + 2] = "-sess_out", session
      local first = facts(port, args).client
      local again = facts(port, { "-sess_in", session }).client

      assert.same(first, again)
      assert.equal(1, value(s, 'leat_tls_handshakes_total{kind="resumed"}'))
    end)
  end)

  it("are required if the configuration says so", function()
    local s = stage.open { app = APP, env = with(tls.variables(one),
      { LEAT_TLS_CLIENT_CA = authority.certificate, LEAT_TLS_CLIENT_REQUIRED = "true" }) }
    local port = tls.port(s.server)

    assert.is_true(facts(port, by(alice)).client.verified)
    assert.is_nil((facts(port, by(mallory))))
    assert.is_nil((facts(port, {})))
    assert.equal(2, failures(s, "client_certificate"))
    s:close()
  end)
end)

describe("handshakes that never end", function()
  it("are given up after tls_handshake_timeout_ms", function()
    local s = stage.open { app = APP, env = with(tls.variables(one), { LEAT_TLS_HANDSHAKE_TIMEOUT_MS = 100 }) }
    local silent, slow = tcp.connect(tls.port(s.server)), tcp.connect(tls.port(s.server))
    slow:write("\22\3\1\2")
    loop.eventually(function() return silent.ended and slow.ended end, nil, "the end of both")

    assert.equal(2, failures(s, "timeout"))
    assert.equal(0, value(s, "leat_tls_handshakes_under_way"))
    silent:close()
    slow:close()
    s:close()
  end)

  it("are few, and do not keep others out", function()
    local s = stage.open { app = APP, env = with(tls.variables(one), { LEAT_MAX_TLS_HANDSHAKES = 5 }) }
    local port = tls.port(s.server)
    local crowd = {}
    for i = 1, 40 do
      crowd[i] = tcp.connect(port)
      crowd[i]:write("\22\3\1\2")
    end
    metrics.await(s.server, 'leat_tls_handshake_failures_total{reason="crowded"}', 35)

    assert.equal(5, value(s, "leat_tls_handshakes_under_way"))
    assert.truthy(tls.ask(port, { "-quiet" }, GET):find("HTTP/1.1 200", 1, true))
    for _, conn in ipairs(crowd) do conn:close() end
    metrics.await(s.server, "leat_tls_handshakes_under_way", 0)
    s:close()
  end)
end)

describe("a server without a plain listener", function()
  it("serves by TLS alone", function()
    local s = stage.open { app = APP, env = with(tls.variables(one),
      { LEAT_LISTEN = "none", LEAT_METRICS_LISTEN = "127.0.0.1:0" }) }

    assert.equal(s.server.port, tls.port(s.server))
    assert.truthy(tls.ask(s.server.port, { "-quiet" }, GET):find("HTTP/1.1 200", 1, true))
    assert.equal(400, http.request(s.server, "/healthz").status)
    s:close()
  end)
end)
