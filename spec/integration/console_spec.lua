-- The console: who is let in, what leaks without the token, and that it answers the questions of the operator's socket.

local console = require "spec.support.console"
local fixtures = require "spec.support.fixtures"
local hmac = require "spec.support.hmac"
local base64url = require "spec.support.base64url"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local stage = require "spec.support.stage"
local json = require "cjson"

local TOKEN = console.TOKEN

describe("the console", function()
  local s, k

  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema, env = console.variables(),
      log = { "too many wrong tokens" } }
    k = console.of(s.server)
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  local PATHS = { "/", "/console", "/console/", "/console/index.html", "/console/style.css", "/console/main.js",
    "/console/api/summary", "/console/api/live", "/console/api/tail?name=room:1", "/console/api/nothing",
    "/metrics", "/healthz", "/leat/client.js", "/nothing" }

  -- Addresses that have brought no wrong token yet.
  local last_address = 1
  local function fresh()
    last_address = last_address + 1
    return "127.0.3." .. last_address
  end

  it("answers 401 at every path without the token, and says nothing", function()
    for _, path in ipairs(PATHS) do
      local from = fresh()
      for _, token in ipairs { false, "another-token-0123456789", TOKEN .. "x", TOKEN:sub(1, -2) } do
        local answer = k:request({ path = path, from = from }, token)
        assert.same({ path, 401 }, { path, answer.status })
        assert.equal('{"code":"unauthenticated","message":"the console\'s token, please"}', answer.body)
        assert.is_nil(answer.headers.server)
      end
    end
    assert.equal(401, k:request({ method = "POST", path = "/console/api/reload", headers = { ["Leat-Console"] = "1" } })
      .status)
  end)

  it("shows whoever navigates to it a form that says nothing about the server", function()
    local answer = k:request { path = "/console/", headers = { Accept = "text/html,*/*;q=0.8" } }

    assert.equal(401, answer.status)
    assert.matches("<form method=post>", answer.body, 1, true)
    assert.is_nil(answer.body:lower():find("leat", 1, true))
    assert.matches("default-src 'none'; style-src 'sha256-", answer.headers["content-security-policy"], 1, true)
    assert.equal("no-store", answer.headers["cache-control"])
  end)

  it("lets a browser in by a cookie that scripts do not see", function()
    local answer, cookie = k:log_in(TOKEN)

    assert.equal(303, answer.status)
    assert.equal("/console/", answer.headers.location)
    assert.matches("; Path=/console; HttpOnly; SameSite=Lax; Max%-Age=43200$", answer.headers["set-cookie"])
    assert.is_nil(cookie:find(TOKEN, 1, true))
    assert.equal(200, k:request { path = "/console/api/summary", headers = { Cookie = "a=b; " .. cookie } }.status)
    assert.equal(200, k:request { path = "/console/", headers = { Cookie = cookie } }.status)
  end)

  it("takes the form at the page's own address, which keeps what is behind #, and elsewhere at the login's", function()
    local function post(token)
      return k:request { method = "POST", path = "/console/", headers = { Origin = "http://127.0.0.1:" .. k.port },
        body = "token=" .. token }
    end
    local answer = post(TOKEN)
    assert.same({ 303, "/console/" }, { answer.status, answer.headers.location })
    assert.matches("^leat_console=%d", answer.headers["set-cookie"])
    assert.equal(401, post("another-token-0123456789").status)
    for _, path in ipairs { "/", "/console", "/console/api/summary" } do
      local page = k:request { path = path, headers = { Accept = "text/html" } }
      assert.matches('<form method=post action="/console/login">', page.body, 1, true)
      assert.equal(401, k:request({ method = "POST", path = path, body = "token=" .. TOKEN }).status)
    end
  end)

  it("takes no cookie that is forged, changed or over", function()
    local _, cookie = k:log_in(TOKEN)
    local name, ends, code = cookie:match("^(.-)=(%d+)%.(.*)$")
    local function with(second, key)
      local text = "leat console session " .. second
      local digits = hmac.sha256((key:gsub(".", function(c) return ("%02x"):format(c:byte()) end)), text)
      local code_of = digits:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end)
      return name .. "=" .. second .. "." .. base64url.encode(code_of)
    end
    local function status(text)
      return k:request { path = "/console/api/summary", headers = { Cookie = text }, from = fresh() }.status
    end
    local now = os.time()

    assert.equal(cookie, with(ends, TOKEN))
    assert.equal(200, status(with(now + 60, TOKEN)))
    for _, bad in ipairs { with(now - 1, TOKEN), with(now + 13 * 3600, TOKEN), with(ends, "another"),
      name .. "=" .. (ends + 1) .. "." .. code, name .. "=" .. ends .. ".", name .. "=." .. code, name .. "=",
      cookie .. "A", cookie:sub(1, -2), name .. "=-5." .. code } do
      assert.same({ bad, 401 }, { bad, status(bad) })
    end
  end)

  it("refuses a wrong token in the form, and one from a page of another site", function()
    local wrong, none = k:log_in("another-token-0123456789")
    assert.equal(401, wrong.status)
    assert.is_nil(none)
    assert.matches("This is not the token.", wrong.body, 1, true)
    assert.equal(403, (k:log_in(TOKEN, { Origin = "http://evil.example" })).status)
    assert.equal(403, (k:log_in(TOKEN, { Origin = "null" })).status)
  end)

  it("sends the cookie by HTTPS only, if the login came so", function()
    local answer = k:log_in(TOKEN, { Origin = "https://127.0.0.1:" .. k.port })
    assert.matches("; Secure$", answer.headers["set-cookie"])
  end)

  it("ends a session in the browser", function()
    local answer = k:request({ method = "POST", path = "/console/logout", headers = { ["Leat-Console"] = "1" } }, TOKEN)
    assert.equal(303, answer.status)
    assert.matches("^leat_console=; .*Max%-Age=0$", answer.headers["set-cookie"])
  end)

  it("answers the questions of the operator's socket, and others with 404", function()
    s:connect { token = "alice" }:subscribe("room:1")
    for _, question in ipairs { "summary", "topics", "topic?name=room:1", "clients", "pool", "config", "script",
      "watches", "postgres", "history", "handlers", "patterns", "statements", "ready" } do
      local answer, status = k:ask(question)
      assert.same({ question, 200 }, { question, status })
      assert.equal(question:match("^%a+"), answer.question)
    end
    assert.equal(1, k:ask("summary").connections)
    assert.equal(404, (select(2, k:ask("nothing"))))
    assert.equal(404, k:request({ path = "/console/apisummary" }, TOKEN).status)
    assert.equal(404, k:request({ path = "/metrics" }, TOKEN).status)
  end)

  it("shows neither its token nor a password", function()
    local all = json.encode((k:ask("config")))
    assert.is_nil(all:find(TOKEN, 1, true))
    for _, row in ipairs(k:ask("config").keys) do
      if row.key == "console_token" then assert.equal("(not shown)", row.value) end
    end
  end)

  it("does what changes something only with a header that no form can set, and for pages of its own", function()
    local function status(headers) return k:act("resync?name=room:1", headers).status end
    assert.equal(200, status())
    assert.equal(200, status { Origin = false })
    assert.equal(403, status { ["Leat-Console"] = false })
    assert.equal(403, status { Origin = "http://evil.example" })
    assert.equal(403, status { Origin = "null" })
    assert.equal(403, status { Origin = "http://127.0.0.1:1" })
    assert.equal(405, k:request({ path = "/console/api/resync?name=room:1" }, TOKEN).status)
  end)

  it("answers no question of a page that a browser says is another one's", function()
    local function status(site, path)
      return k:request({ path = path or "/console/api/summary", headers = { ["Sec-Fetch-Site"] = site } }, TOKEN).status
    end
    for site, expected in pairs { ["same-origin"] = 200, none = 200, ["same-site"] = 403, ["cross-site"] = 403 } do
      assert.same({ site, expected }, { site, status(site) })
    end
    assert.equal(403, status("cross-site", "/console/api/live"))
    assert.equal(403, status("cross-site", "/console/api/tail?name=room:1"))
    assert.equal(200, status("cross-site", "/console/")) -- a link leads there
  end)

  it("resyncs a topic, disconnects a client and reloads, and the log names who did it", function()
    local client = s:connect { token = "alice" }
    client:subscribe("room:1")
    assert.equal(200, k:act("resync?name=room:1").status)
    assert.is_not_nil(client:expect("snapshot"))
    local id = k:ask("clients").clients[1].client

    assert.equal(200, k:act("disconnect?client=" .. id).status)
    assert.equal(1001, (client:closed()))
    assert.equal(200, k:act("reload").status)

    local by = " by=127%.0%.0%.1:%d+ door=console"
    s.server:await_log("done by an operator action=resync topic=room:1" .. by)
    s.server:await_log("done by an operator action=disconnect client=" .. id:gsub("%-", "%%-") .. by)
    s.server:await_log("done by an operator action=reload" .. by)
    s.server:await_log("scripts reloaded")
  end)

  it("answers for no name of the internet", function()
    local hosts = { ["evil.example"] = 421, ["127.0.0.1:1"] = 200, ["[::1]:80"] = 200, localhost = 200 }
    for host, expected in pairs(hosts) do
      local answer = k:request({ path = "/console/api/summary", headers = { Host = host } }, TOKEN)
      assert.same({ host, expected }, { host, answer.status })
    end
  end)

  it("has its own strict headers, whatever those of the application are", function()
    local headers = k:request({ path = "/console/" }, TOKEN).headers
    assert.matches("^default%-src 'none'; script%-src 'self'; style%-src 'self';", headers["content-security-policy"])
    assert.same({ "nosniff", "DENY", "same-origin" },
      { headers["x-content-type-options"], headers["x-frame-options"], headers["referrer-policy"] })
  end)

  it("keeps the last minute, and sends each new sample", function()
    local history = k:ask("history")
    assert.equal("at_ms", history.fields[1])
    assert.equal(#history.fields, #history.minute[1])
    assert.equal(#history.fields, #history.hour[1])

    local stream = k:stream("live")
    local first, second = stream:recv(), stream:recv()
    local a, b = json.decode(first.data), json.decode(second.data)

    assert.equal("sample", first.event)
    assert.equal(#history.fields, #a)
    assert.is_true(b[1] > a[1])
    assert.equal(1, s:metrics().leat_console_streams)
    stream:close()
    loop.eventually(function() return s:metrics().leat_console_streams == 0 end, nil, "no stream")
  end)

  it("opens a stream for GET only", function()
    for _, path in ipairs { "live", "tail?name=room:1" } do
      local answer = k:request({ method = "HEAD", path = "/console/api/" .. path }, TOKEN)
      assert.same({ path, 404 }, { path, answer.status })
    end
    assert.equal(0, s:metrics().leat_console_streams)
  end)

  it("tells how long events and handshakes took, and nothing while there are none", function()
    local client = s:connect { token = "alice" }
    client:subscribe("room:1")
    local fields, at = k:ask("history").fields, {}
    for i, name in ipairs(fields) do at[name] = i end
    local function of(sample, name) return sample[at[name]] end
    s.session:run([[select leat.publish('room:1', '{}')]])
    client:expect("event")

    local seen = loop.eventually(function()
      for _, sample in ipairs(k:ask("history").minute) do
        if of(sample, "commit_to_client_p99_us") ~= json.null then return sample end
      end
    end, nil, "a time from commit to client")

    assert.is_true(of(seen, "commit_to_client_p50_us") > 0)
    assert.is_true(of(seen, "commit_to_client_p50_us") <= of(seen, "commit_to_client_p99_us"))
    assert.is_true(of(seen, "handshake_authorise_us_total") > 0)
    loop.eventually(function()
      local minute = k:ask("history").minute
      return of(minute[#minute], "commit_to_client_p99_us") == json.null
    end, nil, "a second in which nothing happens")
  end)

  it("tells on which statements the database's time is spent", function()
    s:connect { token = "alice" }:subscribe("room:1")
    local function rows()
      local all = {}
      for _, worker in ipairs(k:ask("statements").workers) do
        for _, row in ipairs(worker.statements) do
          local sum = all[row.statement] or { count = 0, errors = 0, total_ms = 0 }
          for name, value in pairs(sum) do sum[name] = value + row[name] end
          all[row.statement] = sum
        end
      end
      return all
    end
    local text, before
    for statement, row in pairs(rows()) do
      if statement:find("from notes", 1, true) then text, before = statement, row end
    end
    assert.is_true(before.count > 0 and before.total_ms > 0, "a statement of the snapshot")
    s:connect { token = "alice" }:subscribe("room:1")

    assert.equal(before.count + 1, rows()[text].count)
    assert.equal(0, rows()[text].errors)
    assert.is_nil(text:find("alice", 1, true))
  end)

  it("follows a topic", function()
    local stream = k:stream("tail?name=room:5")
    assert.equal("snapshot", stream:recv().event)
    s.session:run([[select leat.publish('room:5', '{"n":1}')]])
    assert.equal(1, json.decode(stream:recv().data).data.n)
    stream:close()
  end)

  it("ends streams with the session that they were opened with", function()
    local function session(seconds)
      local ends = os.time() + seconds
      local key = TOKEN:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
      local code = hmac.sha256(key, "leat console session " .. ends):gsub("%x%x", function(pair)
        return string.char(tonumber(pair, 16))
      end)
      return { Cookie = "leat_console=" .. ends .. "." .. base64url.encode(code) }
    end
    local streams = {}
    for i, path in ipairs { "live", "tail?name=room:7" } do
      streams[i] = http.sse(k.server, "/console/api/" .. path, session(2))
      assert.equal(200, streams[i].status)
    end
    for _, stream in ipairs(streams) do
      loop.eventually(function() return stream.conn.ended end, nil, "the end of a stream")
    end
  end)

  it("writes the token into no line of the log", function()
    k:log_in(TOKEN)
    k:request({ path = "/console/api/summary" }, TOKEN)
    k:request({ path = "/console/api/summary?token=" .. TOKEN })
    local log = s.server.process:output()
    assert.matches("console refused why=no_token", log, 1, true)
    assert.is_nil(log:find(TOKEN, 1, true))
  end)

  it("counts requests, and those without the token", function()
    local before = s:metrics()
    k:request({ path = "/console/api/summary" }, TOKEN)
    k:request({ path = "/console/api/summary" })
    local after = s:metrics()
    assert.equal(before.leat_console_requests_total + 2, after.leat_console_requests_total)
    assert.equal(before.leat_console_refused_total + 1, after.leat_console_refused_total)
  end)
end)
