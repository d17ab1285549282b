-- What commits between authorisation and arming, or while the snapshot is read, is in the snapshot or comes as
-- an event.

local cjson = require "cjson"
local fixtures = require "spec.support.fixtures"
local gate = require "spec.support.gate"
local pg = require "spec.support.pg"
local stage = require "spec.support.stage"
local ws = require "spec.support.ws"

describe("a change that commits during the handshake", function()
  local s

  lazy_setup(function() s = stage.open { app = fixtures.app, schema = fixtures.schema } end)
  lazy_teardown(function() s:close() end)
  before_each(function() s.session:run("update rooms set status = 'open'") end)
  after_each(function() s:settle() end)

  local CHANGE = [[
    begin;
    update rooms set status = 'paused' where id = 1;
    select leat.publish('room:1', '{"status": "paused"}');
    commit]]

  local function position()
    return tonumber(s.session:value("select seq from leat_internal.position('room:1')"))
  end

  -- Opens the subscription in one of its two ways; returns a function that gives the snapshot.
  local ways = {
    ["a subscribe message"] = function()
      local client = s:connect { token = "alice" }
      client:send { op = "subscribe", id = 1, topic = "room:1" }
      return client, function() return client:expect("snapshot", 1) end
    end,
    ["a stream route"] = function()
      local client = ws.attempt(s.server, { token = "alice", path = "/rooms/1/stream", pipelined = true })
      s.clients[#s.clients + 1] = client
      return client, function()
        client:await_upgrade()
        return client:expect("snapshot")
      end
    end,
  }

  for name, open in pairs(ways) do
    context("by " .. name, function()
      it("is in the snapshot if it came before the arming", function()
        local shut = gate.shut(s.db, gate.AUTHORIZE)
        local client, snapshot_of = open()
        shut:await()
        local before = position()

        s.session:run(CHANGE)
        shut:open()

        local snapshot = snapshot_of()
        assert.equal("paused", snapshot.data.status)
        assert.equal(before + 1, snapshot.seq)
        assert.same({}, client:drain())
      end)

      for what, n in pairs { ["refresh"] = gate.REFRESH, ["snapshot"] = gate.SNAPSHOT } do
        it("comes as an event if it came while the " .. what .. " was read", function()
          local shut = gate.shut(s.db, n)
          local client, snapshot_of = open()
          shut:await()
          local before = position()

          s.session:run(CHANGE)
          shut:open()

          local snapshot = snapshot_of()
          assert.same({ "open", before }, { snapshot.data.status, snapshot.seq })
          local event = client:expect("event")
          assert.same({ before + 1, "paused" }, { event.seq, event.data.status })
        end)
      end

      it("comes as an event if its transaction began before and ended after", function()
        local other = pg.connect(s.db.url)
        other:run("begin")
        other:run("update rooms set status = 'paused' where id = 1")
        other:publish("room:1", '{"status":"paused"}')
        local client, snapshot_of = open()
        local snapshot = snapshot_of()

        other:run("commit")
        other:close()

        assert.equal("open", snapshot.data.status)
        local event = client:expect("event")
        assert.same({ snapshot.seq + 1, "paused" }, { event.seq, event.data.status })
      end)
    end)
  end

  it("arrives once, in order, however many commit at every step", function()
    local client = s:connect { token = "alice" }
    local gates = {}
    for _, n in ipairs { gate.AUTHORIZE, gate.REFRESH, gate.SNAPSHOT } do gates[#gates + 1] = gate.shut(s.db, n) end
    client:send { op = "subscribe", id = 1, topic = "room:3" }
    local count = 0
    local function publish(n)
      for _ = 1, n do
        count = count + 1
        s.session:run(([[
          with n as (insert into notes (room_id, body) values (3, 'note %d') returning body)
          select leat.publish('room:3', to_jsonb(n)) from n]]):format(count))
      end
    end

    for _, shut in ipairs(gates) do
      shut:await()
      publish(20)
      shut:open()
    end
    local snapshot = client:expect("snapshot", 1)
    publish(20)

    local bodies = {}
    for i, note in ipairs(snapshot.data.notes) do bodies[i] = note.body end
    assert.equal(snapshot.seq, #bodies)
    for seq = snapshot.seq + 1, count do
      local event = client:expect("event")
      assert.equal(seq, event.seq)
      bodies[#bodies + 1] = event.data.body
    end
    local expected = {}
    for i = 1, count do expected[i] = "note " .. i end
    assert.equal(cjson.encode(expected), cjson.encode(bodies))
  end)
end)
