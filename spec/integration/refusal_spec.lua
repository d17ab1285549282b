-- A refused caller leaves nothing armed, and nothing more is read.

local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"
local ws = require "spec.support.ws"

describe("a refused caller", function()
  local s

  lazy_setup(function()
    -- A topic that had been armed would stay for a minute.
    s = stage.open { app = fixtures.app, schema = fixtures.schema, env = { LEAT_TOPIC_LINGER_MS = 60000 } }
  end)
  lazy_teardown(function() s:close() end)

  -- Runs fn; how many queries and snapshot reads it caused, and what is left.
  local function traces(fn)
    local queries = metrics.queries(s.server, fn)
    local before = s:metrics()
    fn()
    -- The answer may leave a moment before Postgres is ready for the connection's next user.
    local after = loop.eventually(function()
      local now = s:metrics()
      return now['leat_pg_pool_connections{state="busy"}'] == 0 and now
    end, nil, "no busy connection")
    return {
      queries = queries,
      snapshot_reads = after.leat_snapshot_reads_total - before.leat_snapshot_reads_total,
      topics = after.leat_topics,
      refused = after['leat_handshakes_total{outcome="refused"}'] - before['leat_handshakes_total{outcome="refused"}'],
    }
  end

  it("by a subscribe handler leaves a log line and a counter", function()
    local client = s:connect { token = "bob" }

    local left = traces(function()
      client:ask({ op = "subscribe", id = 1, topic = "room:2" }, "error")
    end)

    assert.same({ queries = 1, snapshot_reads = 0, topics = 0, refused = 1 }, left)
    s.server:await_log("topic=room:2 code=forbidden")
    client:close()
  end)

  it("of an unknown topic causes no query at all", function()
    local client = s:connect { token = "bob" }

    local left = traces(function()
      client:ask({ op = "subscribe", id = 1, topic = "nothing:2" }, "error")
    end)

    assert.same({ queries = 0, snapshot_reads = 0, topics = 0, refused = 1 }, left)
    client:close()
  end)

  it("of a stream route gets a plain answer before the upgrade", function()
    local cases = { { 401, "nobody", 1 }, { 403, "bob", 2 }, { 404, "bob", 99 } }
    for _, case in ipairs(cases) do
      local status, token, room = table.unpack(case)
      for _, headers in ipairs { ws.headers(), { Accept = "text/event-stream" } } do
        headers.Authorization = "Bearer " .. token
        local answer
        local left = traces(function()
          answer = http.request(s.server, { path = ("/rooms/%d/stream"):format(room), headers = headers })
        end)

        assert.equal(status, answer.status)
        assert.matches("application/json", answer.headers["content-type"], 1, true)
        assert.same({ queries = status == 401 and 1 or 2, snapshot_reads = 0, topics = 0, refused = 1 },
          left)
      end
    end
  end)

  it("of an origin that is not listed gets 403", function()
    s:stop()
    s:serve { LEAT_ALLOWED_ORIGINS = "https://example.org,https://www.example.org" }
    local function status_of(origin)
      local attempt = ws.attempt(s.server, { token = "alice", headers = { Origin = origin } })
      attempt:close()
      return attempt.status
    end

    assert.equal(101, status_of "https://www.example.org")
    assert.equal(101, status_of(nil))
    for _, origin in ipairs { "https://evil.example", "http://example.org", "https://example.org.evil", "null" } do
      assert.equal(403, status_of(origin), origin)
    end
  end)

  it("of an identity says in the log what the connect handler says to it", function()
    http.request(s.server, { path = "/rooms/1/stream",
      headers = { Accept = "text/event-stream", Authorization = "Bearer nobody" } })

    s.server:await_log('refused path=/rooms/1/stream status=401 code=unauthenticated why="identity required"')
  end)

  it("never shows a token in the log", function()
    local attempt = ws.attempt(s.server, { path = "/ws?token=very-secret", headers = {
      Cookie = "session=very-secret", Authorization = "Bearer very-secret" } })
    attempt:close()

    assert.equal(401, attempt.status)
    assert.is_nil(s.server:find_log("very%-secret"))
  end)
end)
