-- What all clients of one address may ask for in a second: subscribes, and requests over HTTP.

local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"

local BURST = 5

local APP = [[
local leat = require "leat"
local app = leat.app()
app:topic("room:{id:int}", {
  subscribe = function(ctx, args)
    ctx.log:info("asked", { room = args.id })
    return leat.subscribe_authorized(ctx, args, { snapshot = function() return {} end })
  end,
})
app:stream("/rooms/{id:int}/stream", "room:{id}")
app:route("GET /hello", function(ctx)
  ctx.log:info("answered")
  return { status = 200, body = "hello" }
end)
return app
]]

-- Every spec has addresses of its own: those that a trusted proxy names.
describe("the clients of an address", function()
  local s
  local n_addresses = 0
  local conns = {}

  lazy_setup(function()
    s = stage.open { app = APP, env = {
      LEAT_METRICS_LISTEN = "127.0.0.1:0", LEAT_TRUSTED_PROXIES = "127.0.0.1", LEAT_MAX_CONNECTIONS_PER_ADDRESS = 50,
      LEAT_REQUEST_RATE_PER_ADDRESS = 1, LEAT_REQUEST_BURST_PER_ADDRESS = BURST,
      LEAT_SUBSCRIBE_RATE_PER_ADDRESS = 1, LEAT_SUBSCRIBE_BURST_PER_ADDRESS = BURST,
    } }
    s.inside = { port = tonumber((s.server:await_log("metrics address=%S+:(%d+)"))) }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function()
    for _, conn in ipairs(conns) do conn:close() end
    conns = {}
    metrics.settled(s.inside)
  end)

  local function new_address()
    n_addresses = n_addresses + 1
    return { ["X-Forwarded-For"] = "192.0.2." .. n_addresses }
  end

  local function limited(what)
    return metrics.value(s.inside, ('leat_rate_limited_total{limit="%s"}'):format(what))
  end

  local function client_of(address)
    conns[#conns + 1] = s:connect { headers = address }
    return conns[#conns]
  end

  local function subscribe(client, room)
    client:send { op = "subscribe", id = 1, topic = "room:" .. room }
    return (client:recv())
  end

  -- The clients subscribe in turn until one is refused. (A slow machine gives them time to be allowed more.)
  -- Returns the refusal, the room that it is for, and who was refused.
  local function subscribe_until_refused(clients)
    for room = 1, 100 do
      local client = clients[1 + room % #clients]
      local answer = subscribe(client, room)
      if answer.op == "error" then
        assert.is_true(room > BURST, room - 1 .. " were allowed")
        return answer, room, client
      end
    end
    error "none was refused"
  end

  local function open_conn()
    conns[#conns + 1] = tcp.connect(s.server.port)
    return conns[#conns]
  end

  local function ask(conn, address, path, accept)
    local headers = { Accept = accept, ["Cache-Control"] = accept and "no-cache" }
    for name, value in pairs(address) do headers[name] = value end
    conn:write(http.text { path = path, headers = headers })
    return http.read_answer(conn)
  end

  -- Likewise. Returns the refusal, and how many were answered.
  local function ask_until_refused(address, path, on)
    for i = 1, 100 do
      local answer = ask(on[1 + i % #on], address, path)
      if answer.status ~= 200 then
        assert.is_true(i > BURST, i - 1 .. " were allowed")
        return answer, i - 1
      end
    end
    error "none was refused"
  end

  it("subscribe no faster than subscribe_rate_per_address together", function()
    local address, before, line = new_address(), limited "subscribes", #s.server.log + 1

    local refusal, room = subscribe_until_refused { client_of(address), client_of(address) }

    assert.equal("rate_limited", refusal.code)
    assert.is_true(refusal.retry_after_ms >= 1000, refusal.retry_after_ms)
    assert.equal(before + 1, limited "subscribes")
    s.server:await_log('refused limit=subscribe_rate_per_address who="?192.0.2.' .. n_addresses, line)
    assert.is_nil(table.concat(s.server.log, "\n", line):find("room=" .. room, 1, true)) -- its handler has not run
    assert.equal("snapshot", subscribe(client_of(new_address()), room).op)
  end)

  it("may subscribe again once they have waited", function()
    local refusal, room, client = subscribe_until_refused { client_of(new_address()) }

    local at = loop.now() + refusal.retry_after_ms
    loop.eventually(function() return loop.now() >= at end)

    assert.equal("snapshot", subscribe(client, room).op)
  end)

  it("are not charged for a subscribe that is refused for another reason", function()
    local client = client_of(new_address())
    assert.equal("snapshot", subscribe(client, 1).op)
    for _ = 1, 2 * BURST do assert.equal("already_subscribed", subscribe(client, 1).code) end

    for room = 2, BURST do assert.equal("snapshot", subscribe(client, room).op) end
  end)

  it("ask no faster than request_rate_per_address, on all connections together", function()
    local address, before, line = new_address(), limited "requests", #s.server.log + 1
    local first, second = open_conn(), open_conn()

    local refusal, n_answered = ask_until_refused(address, "/hello", { first, second })

    assert.equal(429, refusal.status)
    assert.is_true(tonumber(refusal.headers["retry-after"]) >= 1)
    assert.is_truthy(refusal.body:find('"rate_limited"', 1, true))
    assert.equal(before + 1, limited "requests")
    s.server:await_log("refused limit=request_rate_per_address remote=192.0.2." .. n_addresses, line)
    local _, n_run = table.concat(s.server.log, "\n", line):gsub("answered", "")
    assert.equal(n_answered, n_run) -- no handler ran for the one that was refused
    for _, conn in ipairs { first, second } do -- the proxy's connections go on, for other clients
      assert.equal(200, ask(conn, new_address(), "/hello").status)
    end
  end)

  it("ask for files no faster either, and again once they have waited", function()
    local address, conn = new_address(), open_conn()

    assert.equal(429, ask_until_refused(address, "/leat/client.js", { conn }).status)

    loop.eventually(function() return ask(conn, address, "/leat/client.js").status == 200 end)
  end)

  it("are told to come back if they are an EventSource, which would give up on 429", function()
    local address, conn = new_address(), open_conn()
    ask_until_refused(address, "/hello", { open_conn() })
    ask(conn, address, "/hello") -- whatever has been allowed again meanwhile

    local answer = ask(conn, address, "/rooms/1/stream", "text/event-stream")

    assert.equal(200, answer.status)
    loop.eventually(function() return conn:bytes():find('"code":"rate_limited"', 1, true) end)
    assert.is_truthy(conn:bytes():find("retry: %d%d%d%d"))
  end)
end)

describe("a peer on this machine", function()
  it("that may stand for many clients is not bounded", function()
    local s = stage.open { app = APP, env = {
      LEAT_REQUEST_RATE_PER_ADDRESS = 1, LEAT_REQUEST_BURST_PER_ADDRESS = 1,
      LEAT_SUBSCRIBE_RATE_PER_ADDRESS = 1, LEAT_SUBSCRIBE_BURST_PER_ADDRESS = 1,
    } }
    local client = s:connect()

    for i = 1, 5 do
      client:subscribe("room:" .. i)
      assert.equal(200, http.request(s.server, "/hello").status)
    end

    s:settle()
    s:close()
  end)
end)
