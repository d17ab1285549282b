-- Conflating signals: who reads gets each; who does not gets the newest of each key, and nothing that is old.

local stage = require "spec.support.stage"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"

local APP = [[
local leat = require "leat"
local app = leat.app()
app:connect(function() return { id = 1 } end)
app:topic("t", {
  subscribe = function(ctx)
    return leat.subscribe_authorized(ctx, {}, { snapshot = function() return {} end })
  end,
})
app:method("signal", function(_, params) app:signal("t", params.data, params.options) end)
return app
]]

local BACKLOG, FILLER = 8192, ("x"):rep(6000)

describe("a conflating signal", function()
  local s, caller

  lazy_setup(function()
    s = stage.open { app = APP, env = { LEAT_WORKERS = 3, LEAT_MAX_SIGNAL_BACKLOG = BACKLOG } }
    caller = s:connect()
  end)
  lazy_teardown(function() s:close() end)

  local function subscriber()
    local client = s:connect()
    client:subscribe("t")
    return client
  end

  local function send(data, key)
    s.session:run(("select leat.signal('t', '%s', '%s')"):format(data, key))
  end

  it("reaches each who reads, on every worker", function()
    local clients = {}
    for i = 1, 6 do clients[i] = subscriber() end

    for n = 1, 20 do
      send(('{"n":%d}'):format(n), "k")
      for _, client in ipairs(clients) do assert.equal(n, client:expect("signal").data.n) end
    end

    for _, client in ipairs(clients) do client:close() end
  end)

  it("waits for who does not read, until a newer one of its key replaces it", function()
    local slow, quick = subscriber(), subscriber()
    slow.tcp:read_stop()
    local before = s:metrics()

    -- Until the server notices, what it sends goes into the sockets' buffers.
    local n = 0
    local function round()
      for _ = 1, 50 do
        n = n + 1
        send(('{"n":%d,"filler":"%s"}'):format(n, FILLER), "a")
        send(('{"n":%d}'):format(n), "b")
        quick:expect("signal")
        quick:expect("signal")
      end
    end
    loop.eventually(function()
      round()
      return s:metrics().leat_signals_conflated_total > before.leat_signals_conflated_total + 100
    end, 60000)
    local conflated = s:metrics().leat_signals_conflated_total - before.leat_signals_conflated_total
    local all = s:metrics()
    assert.is_true(all.leat_send_buffer_bytes <= BACKLOG + 7000, all.leat_send_buffer_bytes .. " bytes unsent")
    assert.is_true(all.leat_kept_signal_bytes < 4 * 7000, all.leat_kept_signal_bytes .. " bytes kept")

    slow.tcp:read_start()
    local last, got = { 0, 0 }, 0
    repeat
      local data = slow:expect("signal").data
      local key = data.filler and 1 or 2
      assert.is_true(data.n > last[key])
      last[key] = data.n
      got = got + 1
    until last[1] == n and last[2] == n

    assert.equal(2 * n - conflated, got)
    assert.equal(before.leat_signals_dropped_total, s:metrics().leat_signals_dropped_total)
    send('{"n":0}', "c")
    assert.equal(0, slow:expect("signal").data.n)
    quick:close()
    slow:close()
  end)

  it("comes from Lua with a key, or with none", function()
    local client = subscriber()
    local function call(options, op)
      caller:ask({ op = "call", id = 1, method = "signal", params = { data = 7, options = options } }, op)
    end

    for _, options in ipairs { {}, { conflate = true }, { conflate = "key" }, { conflate = false } } do
      call(options, "ok")
      assert.equal(7, client:expect("signal").data)
    end
    s.server:expect_log "script failed .*conflate"
    s.server:expect_log "script failed .*must be 'conflate'"
    for _, options in ipairs { { conflate = 1 }, { conflate = "a\nb" }, { key = "k" } } do
      call(options, "error")
    end
    client:close()
  end)

  it("is refused with a key that is none", function()
    for _, key in ipairs { "a\1b", ("k"):rep(256) } do
      assert.has_error(function() send("1", key) end)
    end
    assert.has_error(function() s.session:run("select leat.signal('t', null, 'k')") end)
  end)

  it("leaves nothing behind", function()
    metrics.await(s.server, "leat_connections", 1)
    caller:close()
    s:settle()
  end)
end)
