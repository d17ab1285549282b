-- Two servers on one database are restarted one after the other while events are published: their clients go to the
-- other one and on from where they are. So does an upgrade: the first server is that of the schema before this one.

local env = require "spec.support.env"
local fixtures = require "spec.support.fixtures"
local follower = require "spec.support.follower"
local loop = require "spec.support.loop"
local process = require "spec.support.process"
local psql = require "spec.support.psql"
local server = require "spec.support.server"
local stage = require "spec.support.stage"
local ws = require "spec.support.ws"

local CLIENTS, DRAIN_MS = 12, 500

describe("a rolling restart", function()
  local s, followers, other

  local function open(binary)
    s = stage.open { app = fixtures.app, schema = fixtures.schema .. "create table enough ()", binary = binary,
      env = { LEAT_DRAIN_MS = DRAIN_MS } }
    other = nil
  end

  after_each(function()
    if other and other:running() then other:kill() end
    if s then s:close() end
    s = nil
  end)

  local function start()
    return server.start { url = s.db.url, app = s.app, env = { LEAT_DRAIN_MS = DRAIN_MS } }
  end

  local function connect(f, to)
    f:on(ws.connect(to, { token = "alice" }))
  end

  local function await_events(more)
    for _, f in ipairs(followers) do
      local from = f.events
      f:await(function() return f.events >= from + more end)
    end
  end

  -- Sends the client where it belongs when it is told to go, and not before the time that it was told.
  local function move(f, to)
    if f:catch_up().client and f.client.close_code then
      local code, reason = f.client:closed()
      assert.equal(1001, code)
      f.client, f.return_at = nil, loop.now() + tonumber(reason:match("^retry_after_ms=(%d+)$"))
    end
    if f.return_at and loop.now() >= f.return_at then
      f.return_at = nil
      f.moves = (f.moves or 0) + 1
      connect(f, to)
    end
  end

  -- Stops one, whose clients go to the other one, each one move further.
  local function restart(from, to, moves)
    from:send_signal("sigterm")
    loop.eventually(function()
      local arrived = 0
      for _, f in ipairs(followers) do
        move(f, to)
        if f.resumes == moves then arrived = arrived + 1 end
      end
      return arrived == CLIENTS
    end, nil, "every client on the other server")
    assert.equal(0, from.process:wait())
    from:stop()
  end

  local function follow(first)
    followers = {}
    for i = 1, CLIENTS do
      local seen = {}
      followers[i] = follower.new("room:1", { event = function(n) seen[#seen + 1] = n end })
      followers[i].seen = seen
      connect(followers[i], first)
      followers[i]:await(function(f) return f.snapshots == 1 end)
    end
  end

  -- Every client has moved that often, and has had each event once.
  local function assert_exact(publisher, moves)
    s.session:run("insert into enough default values")
    assert.equal(0, publisher:wait())
    local expected = {}
    for n = 1, tonumber(s.session:value("select seq from leat_internal.position('room:1')")) do expected[n] = n end
    assert.is_true(#expected >= 60)
    for _, f in ipairs(followers) do
      f:await_position(s.session)
      assert.same({ 1, moves, moves }, { f.snapshots, f.resumes, f.moves })
      assert.same(expected, f.seen)
      f.client:close()
    end
  end

  it("loses nothing, repeats nothing and reads no snapshot anew", function()
    open()
    local first = s.server
    other = start()
    follow(first)
    local publisher = psql.start(s.db.url, psql.PUBLISH)
    await_events(20)

    restart(first, other, 1)
    await_events(20)
    s.server = start()
    restart(other, s.server, 2)
    await_events(20)

    assert_exact(publisher, 2)
  end)

  local older = os.getenv("LEAT_OLDER_BIN")

  -- One client more, on that server, gets a snapshot and the events after it.
  local function assert_subscribes(to)
    local f = follower.new("room:1")
    connect(f, to)
    f:await(function() return f.events >= 5 end)
    f.client:close()
  end

  it("upgrades, too: the schema changes under the older server, which goes on", function()
    if not older then pending("the source of the older server is not at hand (no git, or a shallow clone)") return end
    open(older)
    local first = s.server
    follow(first)
    local publisher = psql.start(s.db.url, psql.PUBLISH)
    await_events(20)

    local code, out, err = process.run(env.binary(), { args = { "migrate" }, env = { LEAT_DATABASE_URL = s.db.url } })
    assert.equal(0, code, out .. err)
    assert.matches("applied ", out, 1, true)
    await_events(20)
    assert_subscribes(first)
    s.options.binary = nil
    other = start()
    restart(first, other, 1)
    s.server, other = other, nil
    assert_subscribes(s.server)

    assert_exact(publisher, 1)
  end)
end)
