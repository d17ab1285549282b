-- Nothing waits for ever: reads that hang end at their deadline, and leave nothing behind.

local cjson = require "cjson"
local fixtures = require "spec.support.fixtures"
local gate = require "spec.support.gate"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local pg = require "spec.support.pg"
local stage = require "spec.support.stage"
local ws = require "spec.support.ws"

local LOG = { "deadline passed", "read failed", "refresh failed" }

-- Runs fn while nobody can read that table.
local function with_lock(s, table_name, fn)
  local locker = pg.connect(s.db.url)
  locker:run("begin")
  locker:run("lock table " .. table_name)
  local ok, err = pcall(fn, locker)
  locker:close()
  if not ok then error(err, 0) end
end

-- The server's backends that wait for that lock are gone, though the lock is still held.
local function await_no_blocked(session)
  loop.eventually(function()
    return session:value([[
      select count(*) from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock']]) == "0"
  end, nil, "the end of the blocked backend")
end

local function time(fn)
  local began = loop.now()
  local result = fn()
  return result, loop.now() - began
end

local function assert_between(low, high, ms)
  assert.is_true(ms >= low and ms < high, ("took %d ms, expected %d to %d"):format(ms, low, high))
end

-- Less than what ends a read by default.
local SOON_MS = 4900

describe("a read that hangs", function()
  context("for a caller with a deadline", function()
    local s

    lazy_setup(function() s = stage.open { app = fixtures.app, schema = fixtures.schema, log = LOG } end)
    lazy_teardown(function() s:close() end)
    after_each(function() s:settle() end)

    it("is answered deadline_exceeded at the caller's timeout_ms", function()
      local client = s:connect { token = "alice" }
      with_lock(s, "rooms", function(locker)
        local answer, ms = time(function()
          return client:ask({ op = "subscribe", id = 1, topic = "room:1", timeout_ms = 150 }, "error")
        end)

        assert.equal("deadline_exceeded", answer.code)
        assert_between(145, SOON_MS, ms)
        await_no_blocked(locker)
      end)
      assert.equal("open", client:subscribe("room:1").data.status)
    end)

    it("ends a publish and a call, too", function()
      local client = s:connect { token = "alice" }
      with_lock(s, "notes", function(locker)
        local answer = client:ask({ op = "publish", id = 1, topic = "room:1", data = { body = "x" },
          timeout_ms = 150 }, "error")

        assert.equal("deadline_exceeded", answer.code)
        await_no_blocked(locker)
      end)
      assert.equal("0", s.session:value("select count(*) from notes"))
    end)

    it("ends with a snapshot that hangs, though the refresh had its half", function()
      local client = s:connect { token = "alice" }
      with_lock(s, "notes", function(locker)
        local answer, ms = time(function()
          return client:ask({ op = "subscribe", id = 1, topic = "room:1", timeout_ms = 300 }, "error")
        end)

        assert.equal("deadline_exceeded", answer.code)
        assert_between(295, SOON_MS, ms)
        await_no_blocked(locker)
      end)
    end)

    it("is counted by its outcome", function()
      local client = s:connect { token = "alice" }
      local name = 'leat_handshakes_total{outcome="deadline_exceeded"}'
      local before = s:metrics()[name]
      with_lock(s, "rooms", function()
        client:ask({ op = "subscribe", id = 1, topic = "room:1", timeout_ms = 50 }, "error")
      end)

      assert.equal(before + 1, s:metrics()[name])
    end)
  end)

  context("with control_timeout_ms = 1500", function()
    local s

    lazy_setup(function()
      s = stage.open { app = fixtures.app, schema = fixtures.schema, log = LOG,
        env = { LEAT_CONTROL_TIMEOUT_MS = 1500 } }
    end)
    lazy_teardown(function() s:close() end)
    after_each(function() s:settle() end)

    it("keeps to the caller's timeout_ms where that is later", function()
      local client = s:connect { token = "alice" }
      with_lock(s, "rooms", function(locker)
        local answer, ms = time(function()
          return client:ask({ op = "subscribe", id = 1, topic = "room:1", timeout_ms = 2500 }, "error")
        end)

        assert.equal("deadline_exceeded", answer.code)
        assert_between(2495, SOON_MS, ms)
        await_no_blocked(locker)
      end)
    end)

    it("ends after control_timeout_ms if the caller gave none", function()
      local client = s:connect { token = "alice" }
      with_lock(s, "rooms", function(locker)
        local answer, ms = time(function()
          return client:ask({ op = "subscribe", id = 1, topic = "room:1" }, "error")
        end)

        assert.equal("deadline_exceeded", answer.code)
        assert_between(1495, SOON_MS, ms)
        await_no_blocked(locker)
      end)
    end)

    it("makes the upgrade a 503 with Retry-After", function()
      with_lock(s, "users", function(locker)
        local attempt, ms = time(function() return ws.attempt(s.server, { token = "alice" }) end)
        attempt:close()

        assert.equal(503, attempt.status)
        assert.matches("^%d+$", attempt.headers["retry-after"])
        assert_between(1495, SOON_MS, ms)
        await_no_blocked(locker)
      end)
    end)

    it("sends an EventSource 200, an error and when to come back, since it would give up on 503", function()
      with_lock(s, "rooms", function(locker)
        local stream = http.sse(s.server, "/rooms/1/stream", { Authorization = "Bearer alice",
          ["Cache-Control"] = "no-cache" })

        assert.equal(200, stream.status)
        loop.eventually(function() return stream.conn.ended end, nil, "the end of the stream")
        local text = stream.conn:bytes()
        assert.matches("^retry: %d+\nevent: error\ndata: {[^\n]+}\n\n$", text)
        local data = cjson.decode(text:match("data: ([^\n]+)"))
        assert.same({ "error", "deadline_exceeded", tonumber(text:match("retry: (%d+)")) },
          { data.op, data.code, data.retry_after_ms })
        assert.is_string(data.message)
        await_no_blocked(locker)
        stream:close()
      end)
    end)

    it("makes a stream route's request a 503 with Retry-After, before the upgrade", function()
      with_lock(s, "rooms", function(locker)
        for _, headers in ipairs { ws.headers { Authorization = "Bearer alice" },
          { Accept = "text/event-stream", Authorization = "Bearer alice" } } do
          local answer = http.request(s.server, { path = "/rooms/1/stream", headers = headers })

          assert.equal(503, answer.status)
          assert.matches("^%d+$", answer.headers["retry-after"])
        end
        await_no_blocked(locker)
      end)
    end)
  end)

  context("because nothing listens", function()
    local s, admin

    lazy_setup(function()
      s = stage.open { app = fixtures.app, schema = fixtures.schema, log = { "WARN pg" } }
      metrics.await(s.server, "leat_listener_connected", 1)
      admin = pg.connect(s.db.admin_url)
    end)
    lazy_teardown(function()
      admin:close()
      s:close()
    end)

    it("is answered unavailable, with a hint, and armed by itself when something listens again", function()
      local client = s:connect { token = "alice" }
      client:subscribe("room:3")
      -- The pool's connection lives on; the listener's is gone and cannot come back.
      admin:run(("alter database %s with allow_connections false"):format(s.db.name))
      admin:run("select pg_terminate_backend(" .. s.server:listener_pid() .. ")")
      metrics.await(s.server, "leat_listener_connected", 0)

      local answer = client:ask({ op = "subscribe", id = 1, topic = "room:1", timeout_ms = 2000 }, "error")
      assert.equal("unavailable", answer.code)
      assert.is_number(answer.retry_after_ms)
      loop.eventually(function()
        local ready = http.request(s.server, "/readyz")
        return ready.status == 503
          and ready.body:find("^listener: down: .*is not currently accepting connections\n")
      end, nil, "the reason")

      client:send { op = "subscribe", id = 2, topic = "room:1", timeout_ms = 30000 }
      metrics.await(s.server, 'leat_subscriptions{state="arming"}', 1)
      admin:run(("alter database %s with allow_connections true"):format(s.db.name))
      client:expect("snapshot", 2, 30000)
      s:settle()
    end)
  end)

  context("with a pool of one connection", function()
    local s

    lazy_setup(function()
      s = stage.open { app = fixtures.app, schema = fixtures.schema, log = LOG,
        env = { LEAT_POOL_SIZE = 1, LEAT_POOL_MAX_WAITERS = 3 } }
    end)
    lazy_teardown(function() s:close() end)
    after_each(function() s:settle() end)

    it("makes others wait for the connection no longer than their own deadline", function()
      local first, second = s:connect { token = "alice" }, s:connect { token = "bob" }
      local shut = gate.shut(s.db, gate.AUTHORIZE)
      first:send { op = "subscribe", id = 1, topic = "room:1" }
      shut:await()

      local answer, ms = time(function()
        return second:ask({ op = "subscribe", id = 2, topic = "room:1", timeout_ms = 150 }, "error")
      end)
      shut:open()

      assert.equal("deadline_exceeded", answer.code)
      assert_between(145, SOON_MS, ms)
      first:expect("snapshot", 1)
    end)

    it("refuses at once whom the queue has no room for", function()
      local client = s:connect { token = "alice" }
      local shut = gate.shut(s.db, gate.AUTHORIZE)
      client:send { op = "subscribe", id = 0, topic = "room:1" }
      shut:await()
      for i = 1, 3 do client:send { op = "publish", id = i, topic = "room:" .. i, data = { body = "x" } } end

      local answer = client:ask({ op = "subscribe", id = 9, topic = "room:3" }, "error")
      assert.equal("unavailable", answer.code)
      assert.is_number(answer.retry_after_ms)
      assert.equal(3, s:metrics().leat_pg_pool_waiters)
      shut:open()

      local answers = {}
      for _ = 1, 4 do
        local message = client:until_message(function(m) return m.id ~= nil end)
        answers[message.id] = message.op
      end
      assert.same({ [0] = "snapshot", "ok", "ok", "ok" }, answers)
    end)
  end)

  context("with everything as it is by default", function()
    local s

    lazy_setup(function() s = stage.open { app = fixtures.app, schema = fixtures.schema, log = LOG } end)
    lazy_teardown(function() s:close() end)

    it("ends after five seconds", function()
      local client = s:connect { token = "alice" }
      with_lock(s, "rooms", function(locker)
        local answer, ms = time(function()
          return client:ask({ op = "subscribe", id = 1, topic = "room:1" }, "error", 20000)
        end)

        assert.equal("deadline_exceeded", answer.code)
        assert_between(4990, 15000, ms)
        await_no_blocked(locker)
      end)
      s:settle()
    end)
  end)
end)
