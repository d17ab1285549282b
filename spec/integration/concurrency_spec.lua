-- Subscribers who join while writers write at full speed: each rebuilds exactly what was committed.

local cjson = require "cjson"
local loop = require "spec.support.loop"
local process = require "spec.support.process"
local stage = require "spec.support.stage"

local SCHEMA = [[
  create table lines (id bigint generated always as identity primary key, topic text not null,
    writer int not null, n int not null);
  create procedure write(topic text, writer int, count int) language plpgsql as $$
  begin
    for i in 1..count loop
      insert into lines (topic, writer, n) values (topic, writer, i);
      perform leat.publish(topic, jsonb_build_array(writer, i));
      if i % 7 = 0 then -- as if nothing had been
        rollback;
        insert into lines (topic, writer, n) values (topic, writer, -i);
        perform leat.publish(topic, jsonb_build_array(writer, -i));
      end if;
      commit;
    end loop;
  end $$;
]]

local APP = [[
local leat = require "leat"
local app = leat.app()
for _, name in ipairs { "room", "again", "shared" } do
  app:topic(name .. ":{id:int}", {
    subscribe = function(ctx, args)
      return leat.subscribe_authorized(ctx, { topic = name .. ":" .. args.id }, {
        snapshot = function(db, row)
          return db:rows("select writer, n from lines where topic = $1", row.topic)
        end,
        share = name == "shared" and "all" or nil,
      })
    end,
  })
end
return app
]]

local WRITERS, EACH, CLIENTS, ROOMS = 4, 150, 24, 2

for workers = 1, 2 do describe(("subscribers of %d workers that join while writers write"):format(workers), function()
  local s, writers

  lazy_setup(function() s = stage.open { app = APP, schema = SCHEMA, env = { LEAT_WORKERS = workers } } end)
  lazy_teardown(function() s:close() end)
  before_each(function() writers = {} end)
  after_each(function()
    for _, writer in ipairs(writers) do writer:wait() end
    s:settle()
  end)

  local function start_writers(topic)
    for w = 1, WRITERS do
      local sql = ""
      for room = 1, ROOMS do sql = sql .. ("call write('%s:%d', %d, %d);\n"):format(topic, room, w, EACH) end
      writers[w] = process.spawn("psql", { args = { "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", s.db.url },
        input = sql })
    end
  end

  local function await_writers()
    for _, writer in ipairs(writers) do assert.equal(0, writer:wait(), writer:output()) end
  end

  local function sorted_text(list)
    for i, item in ipairs(list) do list[i] = ("%d %d"):format(item[1], item[2]) end
    table.sort(list)
    return table.concat(list, ",")
  end

  -- Long texts are no good in a message.
  local function assert_same(expected, rebuilt)
    assert.is_true(expected == rebuilt, ("%d bytes expected, %d rebuilt"):format(#expected, #rebuilt))
  end

  -- What was committed.
  local function truth_of(topic)
    local lines = {}
    for i, row in ipairs(s.session:rows(("select writer, n from lines where topic = '%s'"):format(topic))) do
      lines[i] = { tonumber(row.writer), tonumber(row.n) }
    end
    return sorted_text(lines)
  end

  -- What a client knows: the snapshot's lines, then those of the events; seq must never jump.
  local function follow(client, state, until_seq)
    while not state.seq or state.seq < until_seq do
      local message = client:recv()
      if message.op == "snapshot" then
        state.seq, state.lines = message.seq, {}
        for i, line in ipairs(message.data) do state.lines[i] = { line.writer, line.n } end
      else
        assert.equal("event", message.op)
        assert.equal(state.seq + 1, message.seq)
        state.seq = message.seq
        state.lines[#state.lines + 1] = message.data
      end
    end
  end

  it("rebuild exactly what was committed", function()
    start_writers "room"
    local clients = {}
    for i = 1, CLIENTS do
      local client = s:connect()
      clients[i] = { socket = client, room = i % ROOMS + 1, state = {} }
      client:send { op = "subscribe", id = i, topic = "room:" .. clients[i].room }
      client:expect("snapshot", i)
      client:send { op = "unsubscribe", id = 0, topic = "room:" .. clients[i].room }
      client:until_message(function(m) return m.op == "ok" end)
      client:send { op = "subscribe", id = i, topic = "room:" .. clients[i].room }
      loop.poll(function() return client:waiting() > i % 5 end, 50)
    end
    await_writers()

    local heads, truths = {}, {}
    for room = 1, ROOMS do
      heads[room] = tonumber(s.session:value(("select seq from leat.topic where name = 'room:%d'"):format(room)))
      assert.equal(WRITERS * EACH, heads[room])
      truths[room] = truth_of("room:" .. room)
      local outbox = {}
      for i, row in ipairs(s.session:rows("select data from leat.event where topic = 'room:" .. room .. "'")) do
        outbox[i] = cjson.decode(row.data)
      end
      assert_same(truths[room], sorted_text(outbox))
    end
    for _, client in ipairs(clients) do
      follow(client.socket, client.state, heads[client.room])
      assert_same(truths[client.room], sorted_text(client.state.lines))
    end
  end)

  it("lose nothing when they come and go and resume", function()
    start_writers "again"
    local epoch, seq, seen = nil, nil, {}
    local function take(client)
      for _, message in ipairs(client:drain()) do
        if message.op == "snapshot" then
          epoch, seq, seen = message.epoch, message.seq, {}
          for i, line in ipairs(message.data) do seen[i] = { line.writer, line.n } end
        elseif message.op == "resumed" then
          assert.equal(seq, message.seq)
        else
          assert.equal(seq + 1, message.seq)
          seq = message.seq
          seen[#seen + 1] = message.data
        end
      end
    end
    repeat
      local client = s:connect()
      client:send { op = "subscribe", id = 1, topic = "again:1", since = seq and { epoch = epoch, seq = seq } or nil }
      loop.poll(function() return client:waiting() > 3 end, 40)
      take(client)
      client:abort()
      local running = false
      for _, writer in ipairs(writers) do running = running or writer:running() end
    until not running
    await_writers()
    local head = tonumber(s.session:value("select seq from leat.topic where name = 'again:1'"))
    local last = s:connect()
    last:send { op = "subscribe", id = 1, topic = "again:1", since = { epoch = epoch, seq = seq } }
    loop.eventually(function()
      take(last)
      return seq >= head
    end)

    assert_same(truth_of("again:1"), sorted_text(seen))
  end)

  it("can share their snapshots all the same", function()
    start_writers "shared"
    local clients = {}
    for i = 1, CLIENTS * 2 do
      clients[i] = { socket = s:connect(), state = {} }
      clients[i].socket:send { op = "subscribe", id = i, topic = "shared:1" }
    end
    await_writers()

    local expected = truth_of("shared:1")
    for _, client in ipairs(clients) do
      follow(client.socket, client.state, WRITERS * EACH)
      assert_same(expected, sorted_text(client.state.lines))
    end
  end)
end) end
