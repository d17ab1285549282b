-- Mistakes that every_interleaving must find in an application. Each is one change of an application that is exact.

local files = require "spec.support.files"
local kit = require "leat.spec"

local SCHEMA = [[
  create table users (id bigint primary key, token text not null unique);
  create table rooms (id bigint primary key, status text not null default 'open');
  create table members (room_id bigint, user_id bigint);
  create table notes (id bigint generated always as identity primary key, room_id bigint not null, body text not null,
    secret_of bigint);
  insert into users values (1, 'alice'), (2, 'bob');
  insert into rooms values (1);
  insert into members values (1, 1), (1, 2);
  insert into notes (room_id, body) values (1, 'first');
  insert into notes (room_id, body, secret_of) values (1, 'for alice', 1), (1, 'for bob', 2);
]]

local APP = [[
local leat = require "leat"
local app = leat.app()

app:connect(function(ctx, request)
  return ctx.db:one("select id from users where token = $1", request.token)
end)

local ROOM = "select r.id, r.status from rooms r join members m on m.room_id = r.id where r.id = $1 and m.user_id = $2"

local NOTES = "select id, body from notes where room_id = $1 and (secret_of is null or secret_of = $2) order by id"

app:topic("room:{id:int}", {
  subscribe = function(ctx, args)
    local room = ctx.db:one(ROOM, args.id, ctx.user.id)
    if not room then return leat.deny("forbidden") end
    return leat.subscribe_authorized(ctx, room, {
      --[=[SHARE]=]
      refresh = function(db)
        local fresh = db:one(ROOM, args.id, ctx.user.id)
        if not fresh then return leat.deny("forbidden") end
        return fresh
      end,
      snapshot = function(db, fresh)
        return {
          status = fresh.status,
          notes = db:rows(NOTES, fresh.id, ctx.user.id),
        }
      end,
    })
  end,
  publish = function(ctx, args, data)
    return ctx.db:transaction(function(db)
      db:one("select from rooms where id = $1 for update", args.id) -- ids grow in the order of the events
      local note = db:one("insert into notes (room_id, body) values ($1, $2) returning id, body", args.id, data.body)
      db:exec("select leat.publish($1, $2)", "room:" .. args.id, note)
    end)
  end,
})

return app
]]

-- What is to be exact, with changes.
local function exactness(changes)
  local options = {
    subscribe = { topic = "room:1", token = "alice" },
    commits = {
      function(db)
        local note = db:one "insert into notes (room_id, body) values (1, 'second') returning id, body"
        db:publish("room:1", note)
      end,
    },
    apply = function(state, event)
      if event.data.status then
        state.status = event.data.status
      else
        table.insert(state.notes, event.data)
      end
    end,
    truth = function(db)
      if not db:one "select from members where room_id = 1 and user_id = 1" then return nil end
      local room = db:one "select status from rooms where id = 1"
      room.notes = db:rows [=[select id, body from notes
        where room_id = 1 and (secret_of is null or secret_of = 1) order by id]=]
      return room
    end,
    limit = 40,
    seed = 1,
  }
  for key, value in pairs(changes or {}) do options[key] = value end
  return options
end

-- Replaces text of the application, which must be there.
local function changed(...)
  local app = APP
  for _, change in ipairs { ... } do
    local from, to = app:find(change[1], 1, true)
    assert(from, "no such text: " .. change[1])
    app = app:sub(1, from - 1) .. change[2] .. app:sub(to + 1)
  end
  return app
end

local function serve(text)
  local folder = files.folder()
  files.write(folder .. "/app.lua", text)
  local server = kit.serve { app = folder .. "/app.lua", schema = SCHEMA }
  teardown(function() files.remove(folder) end)
  return server
end

-- The report of a failure.
local function report(server, options)
  local ok, err = pcall(server.every_interleaving, server, options)
  assert(not ok, "nothing was found")
  return tostring(err)
end

describe("every_interleaving", function()
  context("of an application that is exact", function()
    local server = serve(APP)

    it("finds nothing", function()
      local result = server:every_interleaving(exactness())

      assert.is_true(result.tried > 40)
    end)

    it("runs an application's own handlers as commits", function()
      server:every_interleaving(exactness {
        commits = { { token = "bob", publish = "room:1", data = { body = "second" } } },
        limit = 15, seed = 1,
      })
    end)

    it("lets a handler begin while another one stands open", function()
      server:every_interleaving(exactness {
        commits = {
          { token = "bob", publish = "room:1", data = { body = "second" } },
          { token = "alice", publish = "room:1", data = { body = "third" } },
        },
        limit = 40, seed = 1,
      })
    end)

    it("lets a revocation end the subscription", function()
      server:every_interleaving(exactness {
        commits = {
          function(db)
            db:exec "delete from members where user_id = 1"
            db:exec "select leat.revoke('room:1', '1')"
          end,
        },
        limit = 25, seed = 1,
      })
    end)

    it("finds an apply that is not the inverse", function()
      local text = report(server, exactness {
        apply = function(state, event) table.insert(state.notes, 1, event.data) end,
      })

      assert.matches("the client's state is not the truth, at %.notes%[1%]", text)
      assert.matches("commit 1 +commits", text)
      assert.matches("client +<%- {\"", text)
    end)

    it("repeats one way alone, by its seed", function()
      local wrong = { apply = function(state, event) table.insert(state.notes, 1, event.data) end }
      local text = report(server, exactness(wrong))
      local seed, way = text:match("seed = (%d+), way = (%d+)")
      wrong.seed, wrong.way = tonumber(seed), tonumber(way)

      assert.matches("way " .. way .. " fails", report(server, exactness(wrong)))
    end)

    it("finds an event that is committed apart from its change", function()
      local text = report(server, exactness {
        commits = {
          function(db) db:exec "insert into notes (room_id, body) values (1, 'second')" end,
          function(db)
            db:publish("room:1", db:one "select id, body from notes where body = 'second'")
          end,
        },
      })

      assert.matches("the client's state is not the truth, at %.notes", text)
    end)

    it("finds a change that has no event at all", function()
      local text = report(server, exactness {
        commits = { function(db) db:exec "update rooms set status = 'paused'" end },
      })

      assert.matches("the client's state is not the truth, at %.status", text)
    end)

    it("finds a right that is taken without a revocation", function()
      local text = report(server, exactness {
        commits = { function(db) db:exec "delete from members where user_id = 1" end },
      })

      assert.matches("subscribes now is refused: forbidden", text)
    end)
  end)

  context("of an application whose publish handler has no transaction", function()
    local server = serve(changed({ "return ctx.db:transaction(function(db)", "do local db = ctx.db" },
      { "    end)\n  end,\n})", "    end\n  end,\n})" }))

    it("finds the event apart from its change", function()
      local text = report(server, exactness {
        commits = { { token = "bob", publish = "room:1", data = { body = "second" } } },
        limit = 60, seed = 1,
      })

      assert.matches("commit 1 +stays open", text)
      assert.matches("the client's state is not the truth, at %.notes", text)
    end)
  end)

  context("of a handler that decides by what the snapshot does not read", function()
    local server = serve(changed({ "local fresh = db:one(ROOM, args.id, ctx.user.id)",
      'local fresh = db:one("select id, status from rooms where id = $1", args.id)' }))

    it("finds that a right is lost unnoticed", function()
      local text = report(server, exactness {
        commits = { function(db) db:exec "delete from members where user_id = 1" end },
      })

      assert.matches("The handler decided by something that neither", text)
    end)
  end)

  context("of a share key that forgets the viewer", function()
    local server = serve(changed({ "--[=[SHARE]=]", 'share = "room:" .. args.id,' }))

    it("finds that one viewer gets what is for another", function()
      local text = report(server, exactness())

      assert.matches("The snapshot depends on the viewer, and the key in `share` does not, at %.notes", text)
    end)
  end)

  context("of a refresh that reads too much", function()
    local server = serve(changed({ "if not fresh then return leat.deny(\"forbidden\") end",
      'if not fresh then return leat.deny("forbidden") end fresh.notes = db:rows(NOTES, args.id, ctx.user.id)' },
      { "notes = db:rows(NOTES, fresh.id, ctx.user.id)", "notes = fresh.notes" }))

    it("finds the table that the handler does not read", function()
      assert.matches("`refresh` reads too much: public%.notes", report(server, exactness()))
    end)

    it("finds that the snapshot is wrong when its row is locked", function()
      local text = report(server, exactness { refresh_reads = { "notes" } })

      assert.matches("it shows something that only `refresh` reads, at %.notes", text)
    end)
  end)
end)
