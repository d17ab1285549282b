-- Coming back: the missed events if they are all there, else a snapshot.

local fixtures = require "spec.support.fixtures"
local loop = require "spec.support.loop"
local stage = require "spec.support.stage"

describe("a client that comes back", function()
  local s

  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema, env = {
      LEAT_RING_EVENTS = 8, LEAT_HISTORY_EVENTS = 10, LEAT_RETENTION_EVENTS = 100, LEAT_TRIM_INTERVAL_MS = 100 } }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  local function publish(topic, n)
    s.session:run(("select leat.publish('%s', to_jsonb(i)) from generate_series(1, %d) i"):format(topic, n))
  end

  local function resume(topic, epoch, seq)
    local client = s:connect { token = "alice" }
    client:send { op = "subscribe", id = 1, topic = topic, since = { epoch = epoch, seq = seq } }
    return client
  end

  local function position(topic)
    local row = s.session:rows(("select epoch, seq from leat_internal.position('%s')"):format(topic))[1]
    return row.epoch, tonumber(row.seq)
  end

  for name, missed in pairs { ["nothing"] = 0, ["what the ring holds"] = 5, ["what the outbox holds"] = 60 } do
    it("having missed " .. name .. " gets just that", function()
      local keeper = s:connect { token = "alice" }
      keeper:subscribe("room:1")
      local epoch, seq = position("room:1")
      publish("room:1", missed)
      for _ = 1, missed do keeper:expect("event") end

      local client = resume("room:1", epoch, seq)
      local resumed = client:expect("resumed", 1)
      publish("room:1", 3)

      assert.same({ epoch, seq }, { resumed.epoch, resumed.seq })
      for i = 1, missed + 3 do assert.equal(seq + i, client:expect("event").seq) end
    end)
  end

  it("to a topic that nobody held gets the same", function()
    publish("room:3", 1)
    local epoch, seq = position("room:3")
    publish("room:3", 30)

    local client = resume("room:3", epoch, seq)

    assert.equal(seq, client:expect("resumed", 1).seq)
    for i = 1, 30 do
      local event = client:expect("event")
      assert.same({ seq + i, i }, { event.seq, event.data })
    end
  end)

  it("from another epoch, from the future or from too long ago gets a snapshot", function()
    publish("room:4", 1)
    local epoch, seq = position("room:4")
    for _, since in ipairs { { "00000001-0123456789ab", seq }, { "nonsense", seq }, { epoch, seq + 1 },
      { epoch, 2 ^ 40 } } do
      local client = resume("room:4", table.unpack(since))
      local snapshot = client:expect("snapshot", 1)
      assert.same({ epoch, seq }, { snapshot.epoch, snapshot.seq })
    end

    publish("room:4", 150)
    loop.eventually(function() -- the server trims, too, and one of the two gives way
      s.session:run("select leat_internal.trim(interval '1 day', 100, 1000)")
      return s.session:value("select count(*) from leat.event where topic = 'room:4'") == "100"
    end)
    local snapshot = resume("room:4", epoch, seq):expect("snapshot", 1)
    assert.equal(seq + 150, snapshot.seq)
  end)

  it("to a topic that was reset gets a snapshot of the new numbering", function()
    publish("room:1", 3)
    local live = s:connect { token = "alice" }
    local before = live:subscribe("room:1")

    s.session:run("delete from leat.topic where name = 'room:1'")
    s.session:run("delete from leat.event where topic = 'room:1'")
    publish("room:1", 1)

    local resync = live:until_message(function(m) return m.op == "snapshot" end)
    assert.is_nil(resync.id)
    assert.not_equal(before.epoch, resync.epoch)
    assert.equal(1, resync.seq)
    assert.equal(resync.epoch, resume("room:1", before.epoch, before.seq):expect("snapshot", 1).epoch)
    publish("room:1", 1)
    assert.equal(2, live:expect("event").seq)
  end)

  it("gets a fresh snapshot when a resync is asked for", function()
    local live = s:connect { token = "alice" }
    local seq = live:subscribe("room:1").seq

    s.session:run("select leat.resync('room:1')")

    local snapshot = live:expect("snapshot")
    assert.is_nil(snapshot.id)
    assert.equal(seq + 1, snapshot.seq)
  end)

  it("gets a fresh snapshot for a resync that was asked for meanwhile", function()
    local epoch, seq = position("room:1")
    publish("room:1", 1)
    s.session:run("select leat.resync('room:1')")
    publish("room:1", 1)

    local client = resume("room:1", epoch, seq)

    client:expect("resumed", 1)
    assert.equal(seq + 1, client:expect("event").seq)
    local snapshot = client:expect("snapshot")
    assert.is_nil(snapshot.id)
    assert.equal(seq + 3, snapshot.seq)
  end)
end)
