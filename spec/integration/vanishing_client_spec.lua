-- A client that goes away, in whatever state its handshake is: every gauge comes back.

local cjson = require "cjson"
local fixtures = require "spec.support.fixtures"
local frame = require "spec.support.frame"
local gate = require "spec.support.gate"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local pg = require "spec.support.pg"
local stage = require "spec.support.stage"
local ws = require "spec.support.ws"

local APP = fixtures.app:gsub("app:connect%(function%(ctx, request%)",
  "%0\n  ctx.db:exec('" .. gate.sql(gate.CONNECT) .. "')", 1)

local MAX_INFLIGHT = 3

describe("a client that disappears", function()
  local s

  lazy_setup(function()
    s = stage.open { app = APP, schema = fixtures.schema, log = { "connection failed", "connect failed", "WARN pg" },
      env = { LEAT_MAX_SEND_BUFFER_BYTES = 65536, LEAT_RING_EVENTS = 10,
        LEAT_MAX_INFLIGHT = MAX_INFLIGHT } }
  end)
  lazy_teardown(function() s:close() end)

  local ends = {
    ["with a reset"] = function(client) client:abort() end,
    ["without a close frame"] = function(client) client.tcp:close() end,
    ["with a close frame"] = function(client) client:close() end,
  }

  local function state(name)
    return ('leat_subscriptions{state="%s"}'):format(name)
  end

  for how, leave in pairs(ends) do
    context(how, function()
      it("while its connect handler runs", function()
        local shut = gate.shut(s.db, gate.CONNECT)
        local client = ws.attempt(s.server, { token = "alice", pipelined = true })
        shut:await()

        leave(client)

        metrics.settled(s.server)
        shut:open()
      end)

      for name, case in pairs {
        authorizing = { gate.AUTHORIZE, "authorizing" },
        refreshing = { gate.REFRESH, "reading" },
        ["composing its snapshot"] = { gate.SNAPSHOT, "reading" },
      } do
        it("while " .. name, function()
          local shut = gate.shut(s.db, case[1])
          local client = s:connect { token = "alice" }
          client:send { op = "subscribe", id = 1, topic = "room:1" }
          shut:await()
          metrics.await(s.server, state(case[2]), 1)

          leave(client)

          metrics.settled(s.server)
          assert.equal(0, shut:waiting())
          shut:open()
        end)

        it("while " .. name .. " on a stream route", function()
          local shut = gate.shut(s.db, case[1])
          local client = ws.attempt(s.server, { token = "alice", path = "/rooms/1/stream", pipelined = true })
          shut:await()

          leave(client)

          metrics.settled(s.server)
          assert.equal(0, shut:waiting())
          shut:open()
        end)
      end

      -- Nothing more is read from it then: in one write, so that all of them were read if one runs.
      it("while as many of its requests run as may, and another one is unread", function()
        local shut = gate.shut(s.db, gate.PUBLISH)
        finally(function() shut:open() end)
        local client = s:connect { token = "alice" }
        local messages = {}
        for id = 1, MAX_INFLIGHT do
          messages[id] = frame.encode { op = frame.TEXT, payload = cjson.encode {
            op = "publish", id = id, topic = "room:1", data = { body = "x" }, timeout_ms = 30000 } }
        end
        client:send_bytes(table.concat(messages))
        shut:await()
        client:send { op = "publish", id = 100, topic = "room:1", data = { body = "x" } }

        leave(client)

        metrics.settled(s.server)
        assert.equal(0, shut:waiting())
      end)

      it("while live", function()
        local client = s:connect { token = "alice" }
        client:subscribe("room:1")
        client:subscribe("room:3")
        metrics.await(s.server, state("live"), 2)

        leave(client)

        metrics.settled(s.server)
      end)
    end)
  end

  it("while arming", function()
    local client = s:connect { token = "alice" }
    client:subscribe("room:1")
    client:ask({ op = "unsubscribe", id = 2, topic = "room:1" }, "ok")
    -- The pool's connection lives on; the listener's is gone and cannot come back.
    local admin = pg.connect(s.db.admin_url)
    admin:run(("alter database %s with allow_connections false"):format(s.db.name))
    admin:run("select pg_terminate_backend(" .. s.server:listener_pid() .. ")")
    metrics.await(s.server, "leat_listener_connected", 0)
    client:send { op = "subscribe", id = 3, topic = "room:3" }
    metrics.await(s.server, state("arming"), 1)

    client:abort()

    loop.eventually(function() return s:metrics()[state("arming")] == 0 end)
    admin:run(("alter database %s with allow_connections true"):format(s.db.name))
    admin:close()
    metrics.await(s.server, "leat_listener_connected", 1)
    metrics.settled(s.server)
  end)

  it("while replaying, having read nothing of what was sent", function()
    local filler = ('"%s"'):format(("x"):rep(7000))
    s.session:publish("room:4", filler)
    local epoch = s.session:value("select epoch from leat_internal.position('room:4')")
    s.session:run("begin")
    for _ = 1, 2000 do s.session:publish("room:4", filler) end
    s.session:run("commit")
    local client = s:connect { token = "alice" }
    client.tcp:read_stop()
    client:send { op = "subscribe", id = 1, topic = "room:4", since = { epoch = epoch, seq = 1 } }
    metrics.await(s.server, state("replaying"), 1)

    client:abort()

    metrics.settled(s.server)
  end)

  it("while some of its subscriptions resync, and more wait in line", function()
    s.session:run("insert into rooms (id) select generate_series(11, 22)")
    local client = s:connect { token = "alice" }
    for id = 11, 22 do client:subscribe("room:" .. id) end
    local shut = gate.shut(s.db, gate.SNAPSHOT)
    for id = 11, 22 do s.session:run(("select leat.resync('room:%d')"):format(id)) end
    metrics.await(s.server, state("reading"), 12)
    shut:await(8)

    client:abort()

    metrics.settled(s.server)
    assert.equal(0, shut:waiting())
    shut:open()
  end)

  it("in great number and at every moment", function()
    local clients = {}
    for i = 1, 60 do
      local client = ws.attempt(s.server, { token = "alice", pipelined = true })
      clients[i] = client
      client:send { op = "subscribe", id = 1, topic = "room:1" }
      client:send { op = "publish", id = 2, topic = "room:1", data = { body = "x" } }
      if i % 3 == 0 then clients[i - 2]:abort() end
    end
    for _, client in ipairs(clients) do client:abort() end

    metrics.settled(s.server)
  end)
end)
