-- Postgres restarts, stalls, loses connections: nothing is lost, nothing hangs, all recovers by itself.

local cluster = require "spec.support.cluster"
local control = require "spec.support.control"
local fixtures = require "spec.support.fixtures"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local pg = require "spec.support.pg"
local stage = require "spec.support.stage"

describe("when Postgres", function()
  local postgres, s, path

  lazy_setup(function()
    postgres, path = cluster.new(), control.path()
    s = stage.open { cluster = postgres, app = fixtures.app, schema = fixtures.schema,
      env = { LEAT_CONTROL_TIMEOUT_MS = 3000, LEAT_COMPARE_INTERVAL_MS = 500, LEAT_CONTROL = path },
      log = { "WARN" } }
  end)
  lazy_teardown(function()
    pcall(postgres.resume, postgres)
    local ok, err = pcall(s.close, s)
    postgres:remove()
    control.remove(path)
    if not ok then error(err) end
  end)
  after_each(function() s:settle(20000) end)

  local function await_ready()
    loop.eventually(function() return http.request(s.server, "/readyz").status == 200 end, 20000, "readiness")
  end

  local function reconnect()
    s.session:close()
    s.session = pg.connect(s.db.url)
    s.db.session = s.session
  end

  local function publish(from, to)
    for n = from, to do s.session:publish("room:1", tostring(n)) end
  end

  -- Events from..to, contiguous in seq and in what they say.
  local function expect_events(client, seq, from, to)
    for n = from, to do
      local event = client:expect("event", nil, 20000)
      seq = seq + 1
      assert.same({ seq, n }, { event.seq, event.data })
    end
    return seq
  end

  it("restarts, live subscriptions stay, and what committed meanwhile arrives exactly once", function()
    await_ready()
    local clients, seq = {}, nil
    for i = 1, 3 do
      clients[i] = s:connect { token = "alice" }
      seq = clients[i]:subscribe("room:1").seq
    end
    publish(1, 5)
    s.session:close()
    postgres:stop()

    local down = http.request(s.server, "/readyz")
    loop.eventually(function()
      down = http.request(s.server, "/readyz")
      return down.status == 503 and down.body:find("listener", 1, true)
    end)
    assert.is_not_nil(down.body:find("database", 1, true))
    local code, _, said = control.run(path, "show", "ready")
    assert.equal(1, code)
    assert.matches("not ready: .*database: down: .*No such file or directory", said)
    local _, shown = control.run(path, "show")
    local lines = "\nproblems +database: down: [^\n]*No such file[^\n]*%?\n +listener: down: [^\n]*No such file[^\n]*\n"
    assert.matches(lines, shown)
    assert.equal(200, http.request(s.server, "/healthz").status)
    clients[1]:send { op = "subscribe", id = 9, topic = "room:3" }
    local refused = clients[1]:until_message(function(m) return m.id == 9 end)
    assert.equal("error", refused.op)
    assert.is_true(refused.code == "unavailable" or refused.code == "deadline_exceeded", refused.code)

    -- Published before the server's listener can be back.
    postgres:start()
    reconnect()
    publish(6, 40)
    await_ready()
    publish(41, 45)

    assert.equal(0, (control.run(path, "show", "ready")))
    for i = 2, 3 do expect_events(clients[i], seq, 1, 45) end
    assert.is_true(s:metrics().leat_listener_reconnects_total >= 1)
    clients[1]:send { op = "subscribe", id = 10, topic = "room:3" }
    assert.equal("snapshot", clients[1]:until_message(function(m) return m.id == 10 end).op)
  end)

  it("crashes, what was committed is not lost and goes on", function()
    await_ready()
    local client = s:connect { token = "alice" }
    local seq = client:subscribe("room:1").seq
    publish(1, 10)
    s.session:close()
    postgres:stop("immediate")
    postgres:start()
    reconnect()
    publish(11, 30)

    expect_events(client, seq, 1, 30)
    await_ready()
  end)

  it("stalls, handshakes end in time, and all recovers", function()
    await_ready()
    local live, other = s:connect { token = "alice" }, s:connect { token = "bob" }
    local seq = live:subscribe("room:1").seq
    postgres:pause()

    other:send { op = "subscribe", id = 1, topic = "room:3" }
    other:send { op = "subscribe", id = 2, topic = "room:1", timeout_ms = 200 }
    local answers = {}
    for i = 1, 2 do answers[i] = other:expect("error") end
    local refused = http.request(s.server, { path = "/ws?token=alice", headers = {
      Upgrade = "websocket", Connection = "Upgrade", ["Sec-WebSocket-Version"] = "13",
      ["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ==" } })
    postgres:resume()

    for _, answer in ipairs(answers) do
      assert.is_true(answer.code == "unavailable" or answer.code == "deadline_exceeded", answer.code)
    end
    assert.same({ 2, 1 }, { answers[1].id, answers[2].id }) -- each at its own deadline
    assert.equal(503, refused.status)
    publish(1, 10)
    expect_events(live, seq, 1, 10)
    assert.equal("open", other:subscribe("room:3", nil, 20000).data.status)
  end)

  it("loses every connection of the server, again and again, while events are published", function()
    await_ready()
    local client = s:connect { token = "alice" }
    local seq = client:subscribe("room:1").seq
    local reconnects = s:metrics().leat_listener_reconnects_total
    local n = 0
    for round = 1, 8 do
      publish(n + 1, n + 10)
      s.session:run(([[
        select pg_terminate_backend(pid) from pg_stat_activity
         where application_name like 'leat %%' and datname = current_database()
           and pid <> pg_backend_pid() and (%s or pid = %d)]])
        :format(round % 2 == 0 and "true" or "false", s.server:listener_pid()))
      publish(n + 11, n + 20)
      n = n + 20
      metrics.await_growth(s.server, "leat_listener_reconnects_total", reconnects)
      reconnects = s:metrics().leat_listener_reconnects_total
    end

    expect_events(client, seq, 1, n)
  end)

  it("loses the announcement of the last event, the comparison finds it", function()
    await_ready()
    local client = s:connect { token = "alice" }
    local seq = client:subscribe("room:1").seq
    local before = s:metrics().leat_gaps_repaired_total

    -- As a commit whose NOTIFY was lost: the row moves on, nothing is announced.
    s.session:run [[
      with t as (update leat.topic set seq = seq + 1 where name = 'room:1' returning seq)
      insert into leat.event (topic, seq, kind, data) select 'room:1', seq, 'event', '"silent"' from t]]

    local event = client:expect("event")
    assert.same({ seq + 1, "silent" }, { event.seq, event.data })
    assert.is_true(s:metrics().leat_gaps_repaired_total > before)
  end)

  it("repeats and reorders announcements, every event arrives once and in order", function()
    await_ready()
    local client = s:connect { token = "alice" }
    local seq = client:subscribe("room:1").seq
    publish(1, 3)
    local epoch = s.session:value("select epoch from leat.topic where name = 'room:1'")
    for _, n in ipairs { seq + 2, seq + 1, seq + 3, seq + 1, 1 } do
      s.session:run(("select pg_notify('leat', concat_ws(chr(10), 'e', '%s', '%d', 'room:1', '\"forged\"'))")
        :format(epoch, n))
    end
    for _, payload in ipairs { "nonsense", "", "e", "e\\n\\n\\n\\n", "z\\nx\\n1\\nroom:1\\n1",
      "e\\nx\\nnotanumber\\nroom:1\\n1", "e\\n" .. epoch .. "\\n99999999999999999999\\nroom:1\\n1" } do
      s.session:run(("select pg_notify('leat', E'%s')"):format(payload))
    end
    publish(4, 6)

    expect_events(client, seq, 1, 6)
  end)
end)
