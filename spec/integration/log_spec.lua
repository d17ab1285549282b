-- The log never holds the server up, whoever reads it, and nobody can fill a disk through it.

local cjson = require "cjson"

local env = require "spec.support.env"
local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local process = require "spec.support.process"
local stage = require "spec.support.stage"
local tcp = require "spec.support.tcp"

local UNLIMITED = { LEAT_LOG_RATE = 1000000, LEAT_LOG_BURST = 1000000, LEAT_LOG_BYTES_PER_S = 1073741824,
  LEAT_LOG_BUFFER_BYTES = 65536 }

-- Refused messages, each of which is worth a line; a pipe holds fewer than that.
local MANY = 4000

--- Asks for what is refused, n times, on one connection.
local function be_refused(client, n)
  for i = 1, n do client:send { op = "subscribe", id = i, topic = "room:" .. 1000 + i } end
  for _ = 1, n do client:expect("error") end
end

local function dropped(server, reason)
  return metrics.value(server, ('leat_log_lines_dropped_total{reason="%s"}'):format(reason))
end

describe("the log", function()
  local s

  local function open(variables)
    s = stage.open { app = fixtures.app, schema = fixtures.schema, env = variables,
      log = { "log lines dropped", "log lines left out", "server stopped at once" } }
  end

  after_each(function()
    if s then
      s.server.process:read_err()
      s:close()
    end
    s = nil
  end)

  it("does not stop the server when nobody reads it", function()
    open(UNLIMITED)
    local client = s:connect { token = "alice" }
    s.server.process:neglect_err()

    be_refused(client, MANY)

    assert.equal(200, http.request(s.server, "/healthz").status)
    client:subscribe("room:1")
    assert.is_true(dropped(s.server, "full") > 0)

    s.server.process:read_err()
    s.server:await_log("WARN log (lines dropped), nobody ")
  end)

  it("does not keep the server from stopping", function()
    open(UNLIMITED)
    local client = s:connect { token = "alice" }
    s.server.process:neglect_err()
    be_refused(client, MANY)
    client:close()

    s.server:send_signal("sigterm")

    loop.eventually(function() return not s.server:running() end, 20000, "the end of the server")
    assert.equal(0, s.server.process.code)
  end)

  it("writes a burst of one kind, then leaves out what exceeds its rate, and says so", function()
    open { LEAT_LOG_RATE = 1, LEAT_LOG_BURST = 20 }
    local client = s:connect { token = "alice" }

    be_refused(client, 500)

    s.server:await_log('INFO log lines left out phrase="ended" lines=%d+')
    assert.is_true(s.server:count_log("INFO sub ended topic=") < 60)
    assert.is_true(dropped(s.server, "rate") >= 440)
  end)

  it("bounds the application's lines by their message, and invented messages together", function()
    s = stage.open { schema = fixtures.schema, env = { LEAT_LOG_RATE = 1, LEAT_LOG_BURST = 5 }, app = [[
      local leat = require "leat"
      local app = leat.app()
      app:method("log", function(ctx, params)
        ctx.log:info("constant", { text = params.text })
        ctx.log:info("invented " .. params.text)
      end)
      return app]] }
    local client = s:connect()

    for round = 1, 6 do
      for i = 1, 500 do
        client:send { op = "call", id = i, method = "log", params = { text = ("%d.%d"):format(i, round) } }
      end
      for i = 1, 500 do client:expect("ok", i) end
    end

    s.server:await_log('INFO log lines left out phrase="constant" lines=%d+')
    s.server:await_log('INFO log lines left out phrase="%(others%)" lines=%d+')
    assert.is_true(s.server:count_log("INFO app constant text=") < 60)
    assert.is_true(s.server:count_log('INFO app "invented ') < 260 * 6)
  end)

  it("is one JSON object a line if the configuration says so", function()
    s = stage.open { schema = fixtures.schema, env = { LEAT_LOG_FORMAT = "json" }, app = [[
      local leat = require "leat"
      local app = leat.app()
      app:connect(function() return { id = "alice" } end)
      app:topic("room:{id}", { subscribe = function(ctx)
        ctx.log:info("asked for", { what = 'a "room"\n', level = "high" })
        return { error = "forbidden" }
      end })
      return app
    ]] }
    be_refused(s:connect { token = "alice" }, 1)
    s.server:send_signal("sigterm")
    s.server.process:wait(20000)

    local of_message = {}
    for _, line in ipairs(s.server.log) do
      local object = cjson.decode(line)
      assert.is_truthy(object.time:find("^%d+%-%d+%-%d+T[%d:]+%.%d%d%dZ$"))
      of_message[object.subsystem .. ": " .. object.message] = object
    end
    assert.equal("127.0.0.1:" .. s.server.port, of_message["server: listening"].address)
    local asked = of_message["app: asked for"]
    assert.same({ "info", "app", 'a "room"\n', "high" }, { asked.level, asked.subsystem, asked.what, asked.level_ })
  end)

  for what, redirection in pairs { ["on a full disk"] = "2>/dev/full", ["that is closed"] = "2>&-" } do
    it("is not missed " .. what, function()
      local db = require("spec.support.postgres").database(fixtures.schema)
      local p = process.spawn("/bin/sh", {
        args = { "-c", 'exec "$0" serve ' .. redirection, env.binary() },
        env = { LEAT_DATABASE_URL = db.url, LEAT_LISTEN = "127.0.0.1:0", LEAT_DRAIN_MS = "0" },
      })
      local server = { port = p:listening_port() }

      for _ = 1, 200 do http.raw(server, "GARBAGE\r\n\r\n") end

      assert.equal(200, http.request(server, "/healthz").status)
      if what == "on a full disk" then
        assert.is_true(dropped(server, "failed") > 0)
      end
      p:send_signal("sigterm")
      assert.equal(0, p:wait(20000))
      db:drop()
    end)
  end

  it("shows its last lines when the server is told to stop twice", function()
    open()
    local held = tcp.connect(s.server.port)
    held:write("GET / HTTP/1.1\r\n")

    s.server:send_signal("sigterm")
    s.server:await_log("draining")
    s.server:send_signal("sigterm")
    s.server.process:wait(20000)

    assert.is_truthy(s.server:find_log("(server stopped)"))
    held:close()
  end)
end)
