-- Many clients that never read, while their topic publishes at full speed: they cost what is configured and hold nobody
-- up, and are sent away in the end.

local fixtures = require "spec.support.fixtures"
local follower = require "spec.support.follower"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local psql = require "spec.support.psql"
local stage = require "spec.support.stage"

local CLIENTS, EVENTS = 150, 600
local SEND_BUFFER, RING_BYTES, RING_EVENTS = 65536, 131072, 64
local EVENT_BYTES = 7200 -- with what is around the data

local PUBLISH = ([[
  do $$ begin
    for n in 1 .. %d loop
      perform leat.publish('room:1', jsonb_build_object('n', n, 'filler', repeat('x', 7000)));
      commit;
    end loop;
  end $$;
]]):format(EVENTS)

describe("a crowd that does not read", function()
  local s, crowd

  lazy_setup(function()
    -- While the log is written at full speed, a busy machine may answer a fetch too late: it is repeated.
    s = stage.open { app = fixtures.app, schema = fixtures.schema, log = { "topic fetch failed" }, env = {
      LEAT_WORKERS = 1, -- each has a ring of its own
      LEAT_MAX_SEND_BUFFER_BYTES = SEND_BUFFER, LEAT_RING_EVENTS = RING_EVENTS, LEAT_RING_BYTES = RING_BYTES,
      LEAT_SLOW_CLIENT_TIMEOUT_MS = 1000, LEAT_CLOSE_TIMEOUT_MS = 60000 } }
    crowd = {}
    for i = 1, CLIENTS do
      crowd[i] = s:connect { token = "alice" }
      crowd[i]:send { op = "subscribe", id = 1, topic = "room:1" }
    end
    for _, client in ipairs(crowd) do
      client:expect("snapshot", 1)
      client.tcp:read_stop()
    end
  end)
  lazy_teardown(function()
    for _, client in ipairs(crowd) do client:abort() end
    s:close()
  end)

  it("stays within its limits, holds nobody up, and is closed as too slow", function()
    local numbers = {}
    local quick = follower.new("room:1", { event = function(data) numbers[#numbers + 1] = data.n end })
    quick:on(s:connect { token = "bob" }):await_position(s.session)
    local publisher = psql.start(s.db.url, PUBLISH)

    local most_unsent, most_kept = 0, 0
    local all
    loop.eventually(function()
      quick:catch_up()
      all = s:metrics()
      most_unsent = math.max(most_unsent, all.leat_send_buffer_bytes)
      most_kept = math.max(most_kept, all.leat_ring_bytes)
      return all.leat_slow_clients_closed_total == CLIENTS
    end, 60000, function() return ("%d closed, there are %d"):format(CLIENTS, all.leat_slow_clients_closed_total) end)
    assert.equal(0, publisher:wait())
    quick:await_position(s.session)

    assert.equal(EVENTS, quick.events)
    for n = 1, EVENTS do assert.equal(n, numbers[n]) end
    assert.is_true(most_unsent <= (CLIENTS + 1) * (SEND_BUFFER + EVENT_BYTES), most_unsent .. " bytes unsent")
    assert.is_true(most_unsent > CLIENTS * SEND_BUFFER // 2, "they were not slow: " .. most_unsent .. " bytes unsent")
    assert.is_true(most_kept <= RING_BYTES, most_kept .. " bytes in the ring")

    -- Who looks at last finds what had been sent, in order, and why it is over.
    for i = 1, 3 do
      local late = crowd[i]
      local seq = 0
      late.tcp:read_start()
      loop.eventually(function()
        while late:waiting() > 0 do
          seq = seq + 1
          assert.equal(seq, late:expect("event").seq)
        end
        return late.close_code
      end)
      assert.is_true(seq > 0 and seq < EVENTS)
      assert.equal(4008, (late:closed()))
    end
    for i = 4, CLIENTS do crowd[i]:abort() end
    metrics.await(s.server, "leat_connections", 1)
    assert.equal(0, s:metrics().leat_send_buffer_bytes)
    s:settle()
  end)
end)
