-- What a client proves itself with is in no line of the log, no metric and no answer, whatever goes wrong.

local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"
local ws = require "spec.support.ws"

-- Fails in the way that the query or the header X-Fail asks for, each time with the secrets in its mouth.
local APP = [==[
local leat = require "leat"
local app = leat.app()
local function spill(request)
  local all = { request.token or "-" }
  for name, value in pairs(request.headers) do all[#all + 1] = name .. ": " .. value end
  for name, value in pairs(request.cookies) do all[#all + 1] = name .. "=" .. value end
  for name, value in pairs(request.query) do all[#all + 1] = name .. "=" .. value end
  return table.concat(all, " | ")
end
local function fail(ctx, how)
  local request = ctx.request
  if how == "error" then error(spill(request)) end
  if how == "error value" then error({ token = request.token, text = spill(request) }) end
  if how == "print" then
    print(spill(request), request.token)
    print("two words", nil, 3)
  end
  if how == "log" then
    ctx.log:error(spill(request), { token = request.token, cookie = request.headers.cookie or "-" })
    ctx.log:debug(request.token or "-", { [request.token or "-"] = 1 })
  end
  if how == "cast" then ctx.db:one("select $1::int", request.token or spill(request)) end
  if how == "raise" then ctx.db:exec("do $$ begin raise exception 'no' using hint = 'x'; end $$") end
  if how == "sql" then ctx.db:exec("select no_such_column -- a mistake") end
  if how == "slow" then ctx:with_timeout(50).db:exec("select pg_sleep(9), $1::text", request.token or "-") end
  if how == "index" then return nil .. spill(request) end
  if how == "budget" then local all = spill(request); while true do all = all:reverse() end end
  if how == "deny" then return leat.deny("forbidden") end
  if how == "deny token" then return leat.deny("unauthenticated", spill(request)) end
end
app:connect(function(ctx, request)
  local refusal = fail(ctx, request.headers["x-fail"] or request.query.fail)
  if refusal then return refusal end
  return { id = 1 }
end)
app:topic("room:{id:int}", {
  subscribe = function(ctx, args)
    local refusal = fail(ctx, ctx.params and ctx.params.fail)
    if refusal then return refusal end
    return leat.subscribe_authorized(ctx, args, { snapshot = function() return "here" end })
  end,
  publish = function(ctx, args, data) return fail(ctx, data.fail) end,
})
app:stream("/rooms/{id:int}/stream", "room:{id}")
app:route("GET /route", function(ctx) return fail(ctx, ctx.request.query.late) or { status = 200, body = "done" } end)
app:route("POST /route", function(ctx) return fail(ctx, ctx.request.query.late) or { status = 200, body = "done" } end)
app:route("GET /public", function(ctx, request)
  ctx = { request = request, db = ctx.db, log = ctx.log, with_timeout = ctx.with_timeout }
  return fail(ctx, request.query.late) or { status = 200, body = "done" }
end, { public = true })
app:websocket("/raw", { message = function(conn, data) error(data) end })
app:method("fail", function(ctx, params) return fail(ctx, params.how) end)
return app
]==]

local SECRET = { query = "QUERYSECRET.a-b_c~d", header = "HEADERSECRET.a-b_c~d", cookie = "COOKIESECRET.a-b_c~d",
  protocol = "PROTOCOLSECRET.a-b", message = "MESSAGESECRET.a-b_c~d", referer = "REFERERSECRET.a-b_c~d",
  body = "BODYSECRET.a-b_c~d" }
local MARKS = { "QUERYSEC", "HEADERSEC", "COOKIESEC", "PROTOCOLSEC", "MESSAGESEC", "REFERERSEC" }

local FAILURES = { "error", "error value", "print", "log", "cast", "raise", "sql", "slow", "index", "deny" }
-- What a handler says to a client, it may say; but of a refused identity that gets into the log.
local REFUSALS = table.move(FAILURES, 1, #FAILURES, 2, { "deny token" })

describe("a secret", function()
  local s
  local heard = {} -- everything that the server has sent

  lazy_setup(function()
    s = stage.open { app = APP, schema = fixtures.schema, public = { ["index.html"] = "page" },
      env = { LEAT_LOG_LEVEL = "debug", LEAT_LOG_BURST = 10000, LEAT_LOG_RATE = 10000, LEAT_LOG_BYTES_PER_S = 100000000,
        LEAT_HEADER_TIMEOUT_MS = 300, LEAT_MAX_HEADER_BYTES = 4096, LEAT_SCRIPT_BUDGET_MS = 100 },
      log = { "script", "app" } }
  end)
  lazy_teardown(function() s:close() end)

  local function secrets(changes)
    local headers = { Authorization = "Bearer " .. SECRET.header, Cookie = "sid=" .. SECRET.cookie,
      ["Sec-WebSocket-Protocol"] = "leat.v1, " .. SECRET.protocol,
      Referer = "http://localhost/page?token=" .. SECRET.referer }
    for name, value in pairs(changes or {}) do headers[name] = value end
    return headers
  end

  -- Bytes as they are; what comes back is heard until the server has nothing more to say.
  local function say(bytes)
    local conn = tcp.connect(s.server.port)
    conn:write(bytes)
    loop.poll(function() return conn.ended or conn:bytes():find("\r\n\r\n", 1, true) end, 3000)
    loop.poll(function() return conn.ended end, 20)
    heard[#heard + 1] = conn:bytes()
    conn:close()
  end

  local function ask(request)
    request.headers = secrets(request.headers)
    say(http.text(request))
  end

  local function with_token(path, query)
    return path .. "?" .. (query and query .. "&" or "") .. "token=" .. SECRET.query
  end

  local function talk(path, messages, headers)
    local client = ws.attempt(s.server, { path = path, headers = secrets(headers) })
    heard[#heard + 1] = tostring(client.body)
    for name, value in pairs(client.headers or {}) do heard[#heard + 1] = name .. ": " .. value end
    if client.status == 101 then
      for _, message in ipairs(messages) do client:send_text(message) end
      while true do
        local f = client:poll_frame(300)
        if not f then break end
        heard[#heard + 1] = f.payload
      end
      heard[#heard + 1] = tostring(client.close_reason)
    end
    client:close()
  end

  -- Fails with the line, if there is one.
  local function expect_nowhere()
    local _, text = metrics.read(s.server)
    heard[#heard + 1] = text
    for _, mark in ipairs(MARKS) do
      for _, list in ipairs { s.server.log, heard } do
        for _, line in ipairs(list) do
          assert.is_nil(line:find(mark, 1, true), mark .. " in " .. line)
        end
      end
    end
    heard = {}
  end

  it("of a request is nowhere, whatever the connect handler does with it", function()
    for _, how in ipairs(REFUSALS) do
      local fail = { ["X-Fail"] = how }
      for _, path in ipairs { "/route", "/rooms/1/stream", "/ws" } do
        ask { path = with_token(path), headers = fail }
        ask { path = path, headers = { ["X-Fail"] = how, Authorization = false } }
      end
      ask { path = with_token("/rooms/1/stream"), headers = { ["X-Fail"] = how, Accept = "text/event-stream" } }
      for _, path in ipairs { "/ws", "/rooms/1/stream", "/raw" } do talk(with_token(path), {}, fail) end
      talk(with_token("/ws"), {}, { ["X-Fail"] = how, Authorization = false })
    end
    assert.is_true(s.server:count_log("script failed") > 0)
    assert.is_true(s.server:count_log('print text="two words\\x09nil\\x093"') > 0)
    assert.is_true(s.server:count_log("%[secret%]") > 0)
    expect_nowhere()
  end)

  it("of a request is nowhere, whatever later handlers do with it", function()
    for _, how in ipairs(FAILURES) do
      local late = "late=" .. how:gsub(" ", "%%20")
      ask { path = with_token("/route", late) }
      ask { path = with_token("/route", late), headers = { Authorization = false } }
      ask { path = with_token("/public", late) }
      ask { path = with_token("/route", late), method = "POST", body = "x" }
      for _, changes in ipairs { {}, { Authorization = false } } do
        talk(with_token("/ws"), {
          ('{"op":"call","id":1,"method":"fail","params":{"how":"%s"}}'):format(how),
          ('{"op":"subscribe","id":2,"topic":"room:1","params":{"fail":"%s"}}'):format(how),
          ('{"op":"publish","id":3,"topic":"room:1","data":{"fail":"%s"}}'):format(how) }, changes)
      end
    end
    expect_nowhere()
  end)

  it("of a message is nowhere, whatever the handlers do with it", function()
    local token = ('"token":"%s"'):format(SECRET.message)
    for _, how in ipairs(FAILURES) do
      for _, path in ipairs { "/ws", "/ws?authenticate=message" } do
        local first = path == "/ws" and "?fail=-" or "&fail=" .. how:gsub(" ", "%%20")
        talk(path .. first, { '{"op":"authenticate","id":1,' .. token .. "}",
            ('{"op":"call","id":2,"method":"fail","params":{"how":"%s"}}'):format(how) })
      end
    end
    talk("/ws?authenticate=message&fail=deny%20token", { '{"op":"authenticate","id":1,' .. token .. "}" })
    for _, path in ipairs { "/ws", "/ws?authenticate=message" } do
      for _, text in ipairs { '{"op":"authenticate","id":1,' .. token, '{"op":"authenticate","id":1,' .. token .. "}}",
        '{"op":"authenticate","id":1,' .. token .. "," .. token .. "}", '{"op":"fly","id":1,' .. token .. "}",
        '{"op":"authenticate","id":1,"token":{"x":"' .. SECRET.message .. '"}}',
        '{"op":"authenticate","timeout_ms":-1,' .. token .. "}",
        '{"op":"subscribe","id":1,"topic":"nothing:1",' .. token .. "}" } do
        talk(path, { text })
      end
    end
    expect_nowhere()
  end)

  it("of a request that is refused before the scripts is nowhere", function()
    for _, path in ipairs { "/nothing", "/", "/index.html", "/index.html/x", "/../x", "/%00", "/ws", "/healthz",
      "/readyz", "/metrics", "/route/", "/rooms/x/stream", "/rooms/1/stream" } do
      for _, method in ipairs { "GET", "HEAD", "POST", "DELETE", "OPTIONS", "BREW" } do
        ask { path = with_token(path), method = method }
      end
    end
    ask { path = with_token("/ws"), headers = ws.headers { Origin = "http://evil.example/?token=x" } }
    ask { path = with_token("/ws"), headers = ws.headers { ["Sec-WebSocket-Version"] = "12" } }
    ask { path = with_token("/ws"), headers = ws.headers { ["Sec-WebSocket-Key"] = SECRET.header } }
    ask { path = with_token("/ws", "authenticate=x") }
    ask { path = with_token("/route"), headers = { Host = "evil.example" } }
    local sse = { Accept = "text/event-stream", ["Last-Event-ID"] = SECRET.header }
    ask { path = with_token("/rooms/1/stream", "params=nonsense"), headers = sse }
    ask { path = with_token("/rooms/1/stream"), headers = sse }
    expect_nowhere()
  end)

  it("of a malformed request is nowhere", function()
    local line = "GET " .. with_token("/route") .. " HTTP/1.1\r\n"
    local head = ("Host: localhost\r\nAuthorization: Bearer %s\r\nCookie: sid=%s\r\n"):format(SECRET.header,
      SECRET.cookie)
    for _, bytes in ipairs {
      with_token("/route") .. "\r\n\r\n", "GET " .. with_token("/route") .. "\r\n\r\n",
      "GET " .. with_token("/route") .. " HTTP/2.0\r\n" .. head .. "\r\n",
      "G@T " .. with_token("/route") .. " HTTP/1.1\r\n\r\n",
      line .. head .. head .. "\r\n", line .. head .. "Bad Header: x\r\n\r\n", line .. head .. "X: \0\r\n\r\n",
      line .. head .. "X: " .. ("x"):rep(5000) .. "\r\n\r\n", line .. head .. "Content-Length: x\r\n\r\n",
      line .. head .. "Transfer-Encoding: gzip\r\n\r\n", line .. head .. "Expect: " .. SECRET.header .. "\r\n\r\n",
      line .. head, line, "GET http://user:" .. SECRET.header .. "@localhost/ HTTP/1.1\r\n\r\n",
      "GET " .. with_token("/route") .. ("x"):rep(5000) .. " HTTP/1.1\r\n" .. head .. "\r\n",
      "PROXY TCP4 " .. SECRET.header .. "\r\n", "\22\3\1" .. SECRET.header .. "\r\n",
    } do
      say(bytes)
    end
    expect_nowhere()
  end)
end)
