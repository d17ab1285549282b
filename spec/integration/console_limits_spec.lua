-- The console: what it takes of one address, and of all.

local console = require "spec.support.console"
local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"

local TOKEN = console.TOKEN

describe("the console's limits", function()
  local s, k

  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema, env = console.variables(),
      log = { "too many wrong tokens" } }
    k = console.of(s.server)
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  -- Addresses that have brought no wrong token yet.
  local last_address = 1
  local function fresh()
    last_address = last_address + 1
    return "127.0.3." .. last_address
  end

  it("has no more than 32 streams", function()
    local streams = {}
    for i = 1, 33 do streams[i] = k:stream("live") end
    assert.equal(200, streams[32].status)
    assert.equal(503, streams[33].status)
    for _, stream in ipairs(streams) do stream:close() end
    loop.eventually(function() return s:metrics().leat_console_streams == 0 end, nil, "no stream")
  end)

  it("lets an address bring ten wrong tokens, and then one a second, by whatever way", function()
    local from = fresh()
    local before = s:metrics()
    local _, good = k:log_in(TOKEN)
    local forged = good:gsub(".$", function(c) return c == "A" and "B" or "A" end)
    local function header(token, where)
      return k:request({ path = "/console/api/ready", from = where or from }, token)
    end
    local function form(token)
      return k:request { method = "POST", path = "/console/login", from = from, body = "token=" .. token }
    end
    local function cookie(text)
      return k:request { path = "/console/api/ready", from = from, headers = { Cookie = text } }
    end
    local wrong = "another-token-0123456789"
    for _ = 1, 3 do
      assert.same({ 401, 401, 401 }, { header(wrong).status, form(wrong).status, cookie(forged).status })
    end
    local refused = loop.eventually(function() -- the machine may be so slow that another one is due meanwhile
      local answer = header(wrong)
      return answer.status == 429 and answer
    end)

    assert.equal("1", refused.headers["retry-after"])
    assert.matches('"code":"rate_limited"', refused.body, 1, true)
    s.server:await_log("too many wrong tokens remote=" .. from)
    assert.is_true(s:metrics().leat_console_limited_total > before.leat_console_limited_total)
    assert.equal(200, header(TOKEN, fresh()).status)
    assert.equal(401, k:request({ path = "/console/", from = from, headers = { Accept = "text/html" } }).status)
    loop.eventually(function() return header(TOKEN).status == 200 end, nil, "its turn")
    assert.equal(303, loop.eventually(function()
      local answer = form(TOKEN)
      return answer.status ~= 429 and answer
    end).status)
  end)

  it("gives the right token no answer either, while its address waits", function()
    local from = fresh()
    local asked = {}
    for i = 1, 40 do -- in one packet: no second passes
      asked[i] = ("GET /console/api/ready HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n"):format(
        i < 40 and "another-token-0123456789" or TOKEN)
    end
    local conn = tcp.connect(k.port, { from = from })
    conn:write(table.concat(asked))
    local statuses = {}
    for i = 1, 40 do statuses[i] = http.read_answer(conn, "GET").status end
    assert.same({ 401, 429 }, { statuses[10], statuses[40] })
    conn:abort()
  end)

  it("counts the tokens of forms that are sent at the same time", function()
    local from, body = fresh(), "token=another-token-0123456789"
    local conns, n = {}, { [401] = 0, [429] = 0 }
    for i = 1, 40 do
      conns[i] = tcp.connect(k.port, { from = from })
      conns[i]:write(("POST /console/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"):format(#body))
    end
    assert.equal(200, k:request({ path = "/console/api/summary", from = fresh() }, TOKEN).status)
    for _, conn in ipairs(conns) do conn:write(body) end

    for _, conn in ipairs(conns) do
      local status = http.read_answer(conn, "POST").status
      n[status] = n[status] + 1
      conn:abort()
    end
    assert.is_true(n[401] >= 10 and n[429] >= 10, n[401] .. " were looked at")
  end)

  it("takes no notice of a session that is over: a page may still ask with it", function()
    local _, cookie = k:log_in(TOKEN)
    local from = fresh()
    for _ = 1, 15 do
      assert.equal(401, k:request({ path = "/console/api/ready", from = from,
        headers = { Cookie = cookie:gsub("=%d+", "=" .. os.time() - 1) } }).status)
    end
  end)

  it("has half of its connections for one address, before it knows who asks", function()
    local from, conns = fresh(), {}
    local before = s:metrics()['leat_addresses_refused_total{limit="connections"}']
    for i = 1, 65 do conns[i] = tcp.connect(k.port, { from = from }) end
    loop.eventually(function()
      return s:metrics()['leat_addresses_refused_total{limit="connections"}'] == before + 1
    end, nil, "a refusal")
    assert.equal(200, k:request({ path = "/console/api/ready", from = fresh() }, TOKEN).status)
    for _, conn in ipairs(conns) do conn:abort() end
  end)
end)
