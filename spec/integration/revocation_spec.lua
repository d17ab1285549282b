-- P9: nothing that was committed after a revocation reaches who was not authorised again, by whatever way the
-- cursor would get past it.

local gate = require "spec.support.gate"
local loop = require "spec.support.loop"
local pg = require "spec.support.pg"
local stage = require "spec.support.stage"

local APP = ([==[
local leat = require "leat"
local app = leat.app()

app:connect(function(ctx, request) return { id = tonumber(request.token) } end)

-- The snapshot reads nothing of members: only the handler decides.
local function members_only(kind, share, event)
  return {
    event = event,
    subscribe = function(ctx, args)
      local member = ctx.db:one("select * from members where room = $1 and id = $2", kind .. args.id, ctx.user.id)
      if ctx.params and ctx.params.wait == "authorize" then ctx.db:exec("AUTHORIZE") end
      if not member then return leat.deny("forbidden") end
      return leat.subscribe_authorized(ctx, member, {
        snapshot = function(db)
          db:one("select 1")
          if ctx.params and ctx.params.wait == "snapshot" then db:exec("SNAPSHOT") end
          return {}
        end,
        share = share,
      })
    end,
  }
end

app:topic("room:{id:int}", members_only("room:"))
app:topic("club:{id:int}", members_only("club:", "all"))
app:topic("hooked:{id:int}", members_only("hooked:", nil, function(ctx, event)
  ctx.db:exec("EVENT")
  return event.data
end))
app:stream("/rooms/{id:int}", "room:{id}")
return app
]==]):gsub("AUTHORIZE", gate.sql(gate.AUTHORIZE)):gsub("SNAPSHOT", gate.sql(gate.SNAPSHOT))
  :gsub("EVENT", gate.sql(gate.PUBLISH))

local SCHEMA = [[
  create table members (room text, id bigint);
  create function take(topic text, who bigint) returns void language sql as $$
    delete from members where room = topic and id = who;
    select leat.revoke(topic, who::text);
  $$;
]]

describe("a revocation", function()
  local s

  lazy_setup(function()
    s = stage.open { app = APP, schema = SCHEMA, log = { "handler=subscribe", "listener lost" },
      env = { LEAT_WORKERS = 1, LEAT_MAX_TURNS = 2 } }
  end)
  lazy_teardown(function() s:close() end)
  before_each(function()
    s.session:run [[
      truncate members;
      insert into members
        select room, id from unnest(array['room:1', 'room:2', 'club:1', 'hooked:1']) room, generate_series(1, 40) id]]
  end)
  after_each(function() s:settle() end)

  local function count(name) return s:metrics()[name] end

  --- Subscribes and stops behind the handler's reads, while what is given happens.
  local function subscribe_around(happens, message)
    local shut = gate.shut(s.db, gate.AUTHORIZE)
    local client = s:connect { token = "7" }
    message = message or {}
    message.op, message.id, message.params = "subscribe", 1, { wait = "authorize" }
    message.topic, message.timeout_ms = message.topic or "room:1", 20000
    client:send(message)
    shut:await()
    happens()
    shut:open()
    return client
  end

  local function take_and_tell()
    s.session:run "begin; select take('room:1', 7); select leat.publish('room:1', '\"secret\"'); commit"
  end

  it("between the handler's reads and the snapshot is decided before the snapshot is given", function()
    local client = subscribe_around(take_and_tell)

    assert.equal("forbidden", client:expect("error", 1).code)
    assert.same({}, client:drain())
  end)

  it("is, too, where others hold the topic", function()
    local keeper = s:connect { token = "1" }
    keeper:subscribe("room:1")

    local client = subscribe_around(take_and_tell)

    assert.equal("forbidden", client:expect("error", 1).code)
  end)

  it("is, too, where the snapshot is another one's, and at hand", function()
    local keeper, reads = s:connect { token = "1" }, nil
    keeper:subscribe("club:1")

    local client = subscribe_around(function()
      s.session:run "begin; select take('club:1', 7); select leat.resync('club:1'); commit"
      keeper:expect("skip")
      keeper:expect("snapshot")
      reads = count "leat_snapshot_reads_total"
    end, { topic = "club:1" })

    assert.equal("forbidden", client:expect("error", 1).code)
    assert.equal(reads, count "leat_snapshot_reads_total")
  end)

  it("is, too, whatever position the client claims to have", function()
    local keeper = s:connect { token = "1" }
    local epoch = keeper:subscribe("room:1").epoch
    for _, held in ipairs { true, false } do
      s.session:run "insert into members values ('room:1', 7)"
      if not held then
        s:settle()
        loop.eventually(function() return count "leat_topics" == 0 end)
      end
      local seq = tonumber(s.session:value "select seq from leat_internal.position('room:1')") + 2
      local client = subscribe_around(take_and_tell, { since = { epoch = epoch, seq = seq } })

      assert.equal("forbidden", client:expect("error", 1).code)
    end
  end)

  it("before a resync is decided before the snapshot is given", function()
    local client = s:connect { token = "7" }
    client:subscribe("room:1")

    s.session:run "begin; select leat.resync('room:1'), take('room:1', 7); commit"

    assert.equal("revoked", client:expect("closed").code)
    assert.same({}, client:drain())
  end)

  it("that goes with its topic's numbering is decided before the snapshot is given", function()
    local client = s:connect { token = "7" }
    client:subscribe("room:1")
    local listener = s.server:listener_pid()

    -- Nobody hears of the first; the second takes all that the outbox knows of it.
    s.session:run(("select pg_terminate_backend(%d)"):format(listener))
    s.session:run "select take('room:1', 7)"
    s.session:run "delete from leat.topic where name = 'room:1'"

    assert.equal("revoked", client:until_message(function(m) return m.op == "closed" end).code)
  end)

  it("that goes with its topic's numbering during the handshake is, too", function()
    local client = subscribe_around(function()
      take_and_tell()
      s.session:run "delete from leat.topic where name = 'room:1'"
    end)

    assert.equal("forbidden", client:expect("error", 1).code)
  end)

  it("of somebody else during the handshake does not run the handler again", function()
    local keeper = s:connect { token = "1" }
    keeper:subscribe("room:1")
    local before = count "leat_reauthorizations_total"

    local client = subscribe_around(function()
      s.session:run "select take('room:1', 8)"
      keeper:expect("skip")
    end)

    client:expect("snapshot", 1)
    assert.equal(before, count "leat_reauthorizations_total")
  end)

  it("of old does not run the handler again where the topic is held", function()
    local keeper = s:connect { token = "1" }
    keeper:subscribe("room:1")
    local before = count "leat_reauthorizations_total"
    local client = s:connect { token = "2" }

    client:subscribe("room:1")

    assert.equal(before, count "leat_reauthorizations_total")
  end)

  it("keeps signals out, too, also while it waits behind an event's hook", function()
    local client, other = s:connect { token = "7" }, s:connect { token = "8" }
    client:subscribe("hooked:1")
    other:subscribe("room:1")
    local shut = gate.shut(s.db, gate.PUBLISH)

    s.session:publish("hooked:1", "1")
    shut:await()
    s.session:run "select take('hooked:1', 7)"
    s.session:run [[
      select leat.signal('hooked:1', '"secret"'), leat.signal('hooked:1', '"secret"', 'key'),
        leat.signal('room:1', '1')]]
    other:expect("signal") -- so the others have arrived
    shut:open()

    client:expect("event")
    assert.equal("revoked", client:expect("closed").code)
    assert.same({}, client:drain())
  end)

  it("keeps signals out, too, while an event before it is fetched that was too large to announce", function()
    local other = s:connect { token = "8" }
    other:subscribe("room:1")
    for id = 1, 5 do
      local client = s:connect { token = tostring(id) }
      client:subscribe("room:2")
      s.session:run(([[
        begin; select leat.publish('room:2', to_jsonb(repeat('x', 9000))); select take('room:2', %d); commit;
        select leat.signal('room:2', '"secret"'); select leat.signal('room:2', '"secret"', 'key');
        select leat.signal('room:1', '1')]]):format(id))
      other:expect("signal") -- so the others have arrived: they are not for the next client, either

      client:expect("event")
      assert.equal("revoked", client:expect("closed").code)
      assert.same({}, client:drain())
      client:close()
    end
  end)

  it("of everyone does not fall upon the database at once", function()
    local clients = {}
    for id = 1, 40 do
      clients[id] = s:connect { token = tostring(id) }
      clients[id]:subscribe("room:2", { params = { wait = "authorize" } })
    end
    local shut = gate.shut(s.db, gate.AUTHORIZE)

    s.session:run "begin; select take('room:2', 40), leat.revoke('room:2'), leat.publish('room:2', '1'); commit"
    shut:await(2)
    assert.equal(38, count "leat_turn_waiters")
    shut:open()

    for id = 1, 39 do
      clients[id]:until_message(function(m) return m.op == "event" end)
    end
    assert.equal("revoked", clients[40]:expect("closed").code)
    assert.equal(0, count "leat_turn_waiters")
  end)
end)

describe("a revocation that the handler cannot decide on", function()
  it("holds the subscription until it can", function()
    local s = stage.open { app = APP, schema = SCHEMA .. "insert into members values ('room:2', 7);",
      log = { "handler=subscribe" }, env = { LEAT_CONTROL_TIMEOUT_MS = 400 } }
    local client = s:connect { token = "7" }
    local seq = client:subscribe("room:2", { timeout_ms = 20000 }).seq
    local other = pg.connect(s.db.url)
    finally(function() other:close() end) -- and with it the lock, however this ends
    other:run "begin; lock members in access exclusive mode"

    s.session:run "select leat.revoke('room:2', '7')"
    s.session:publish("room:2", "1")
    local before = s:metrics().leat_reauthorizations_total
    loop.eventually(function() return s:metrics().leat_reauthorizations_total >= before + 2 end, 30000)
    assert.same({}, client:drain())
    other:run "rollback"

    assert.equal(seq + 1, client:expect("skip").seq)
    assert.equal(seq + 2, client:expect("event").seq)
    s:settle()
    s:close()
  end)
end)

describe("a topic on two workers", function()
  local s

  lazy_setup(function()
    s = stage.open { app = APP, schema = SCHEMA, env = { LEAT_WORKERS = 2 } }
    s.session:run "insert into members select r, generate_series(1, 40) from unnest(array['room:1', 'room:2']) r"
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  --- Two clients that the kernel has given to different workers: each worker holds the topic for itself.
  local function connect_both()
    local one = s:connect { token = "1" }
    one:subscribe("room:2")
    for id = 2, 40 do
      local other = s:connect { token = tostring(id) }
      other:subscribe("room:2")
      if s:metrics().leat_topics == 2 then return one, other end
    end
    error("all on one worker")
  end

  it("begins where one's read says, and the other's client misses nothing", function()
    local slow, quick = connect_both()
    local shut = gate.shut(s.db, gate.SNAPSHOT)
    slow:send { op = "subscribe", id = 2, topic = "room:1", params = { wait = "snapshot" } }
    shut:await()

    s.session:publish("room:1", "1")
    assert.equal(1, quick:subscribe("room:1").seq)
    shut:open()

    assert.equal(0, slow:expect("snapshot", 2).seq)
    assert.equal(1, slow:expect("event").seq)
  end)

  it("is one topic to both: what the one has of it, the other gets, too", function()
    local one, other = connect_both()
    local first = one:subscribe("room:1").seq
    s.session:publish("room:1", "1")
    one:expect("event")
    other:subscribe("room:1")
    s.session:run "select leat.publish('room:1', '2'), leat.revoke('room:1'), leat.publish('room:1', '3')"

    for _, client in ipairs { one, other } do
      for i, op in ipairs { "event", "skip", "event" } do assert.equal(first + 1 + i, client:expect(op).seq) end
    end
  end)
end)
