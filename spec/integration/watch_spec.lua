-- leat.watch, as subscribers meet it.

local stage = require "spec.support.stage"

local APP = [[
  local leat = require "leat"
  local app = leat.app()
  app:connect(function() return { id = 1 } end)
  app:topic("notes:{room:int}", {
    subscribe = function(ctx, args)
      return leat.subscribe_authorized(ctx, args, {
        snapshot = function(db, row)
          return db:rows("select id, room, body from notes where room = $1 order by id", row.room)
        end,
      })
    end,
  })
  return app
]]

local SCHEMA = [[
  create table notes (id int primary key, room int, body text);
  insert into notes values (1, 1, 'a');
  select leat.watch('notes', 'notes:{room}');
]]

describe("a watched table", function()
  local s

  before_each(function() s = stage.open { app = APP, schema = SCHEMA } end)
  after_each(function()
    s:settle()
    s:close()
  end)

  it("goes on from the snapshot", function()
    local client = s:connect()
    local snapshot = client:subscribe "notes:1"
    s.session:run "insert into notes values (2, 1, 'b')"
    s.session:run "update notes set room = 2 where id = 1"

    assert.same({ { id = 1, room = 1, body = "a" } }, snapshot.data)
    assert.same({ action = "insert", table = "public.notes", row = { id = 2, room = 1, body = "b" } },
      client:expect("event").data)
    assert.same({ action = "delete", table = "public.notes", old = { id = 1, room = 1, body = "a" } },
      client:expect("event").data)
  end)

  it("is read anew by its subscribers when it is truncated", function()
    local client = s:connect()
    client:subscribe "notes:1"
    s.session:run "begin"
    s.session:run "truncate notes"
    s.session:run "insert into notes values (3, 1, 'c')"
    s.session:run "commit"

    local snapshot = client:until_message(function(m)
      return m.op == "snapshot" and #m.data == 1 and m.data[1].id == 3
    end)
    assert.is_nil(snapshot.id)
  end)

  it("is read anew by who was away while it was truncated", function()
    local client = s:connect()
    local before = client:subscribe "notes:1"
    client:ask({ op = "unsubscribe", id = 1, topic = "notes:1" }, "ok")
    s.session:run "truncate notes"
    client:send { op = "subscribe", id = 2, topic = "notes:1", since = { epoch = before.epoch, seq = before.seq } }
    client:expect("resumed", 2)
    local after = client:expect("snapshot")

    assert.same({}, after.data)
    assert.same({ before.epoch, before.seq + 1 }, { after.epoch, after.seq })
  end)
end)
