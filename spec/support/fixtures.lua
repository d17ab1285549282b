-- A small application that most specs can use: users, rooms and notes. Its handlers pass the gates.

local gate = require "spec.support.gate"

local M = {}

M.schema = [[
  create table users (id bigint primary key, name text not null, token text not null unique);
  create table rooms (
    id bigint primary key,
    status text not null default 'open',
    owner_id bigint,
    blob text
  );
  create table notes (
    id bigint generated always as identity primary key,
    room_id bigint not null,
    body text not null
  );
  insert into users values (1, 'Alice', 'alice'), (2, 'Bob', 'bob');
  insert into rooms (id, owner_id) values (1, null), (2, 1), (3, null), (4, null);
]]

M.app = ([[
local leat = require "leat"
local app = leat.app()

app:connect(function(ctx, request)
  return ctx.db:one("select id, name from users where token = $1", request.token)
end)

app:topic("room:{id:int}", {
  subscribe = function(ctx, args)
    local room = ctx.db:one("select * from rooms where id = $1", args.id)
    if not room then return leat.deny("not_found") end
    if room.owner_id and room.owner_id ~= ctx.user.id then
      return leat.deny("forbidden", "this room is private")
    end
    ctx.db:exec("AUTHORIZE")
    return leat.subscribe_authorized(ctx, room, {
      refresh = function(db, row)
        db:exec("REFRESH")
        return db:one("select * from rooms where id = $1", row.id)
      end,
      snapshot = function(db, row)
        db:exec("SNAPSHOT")
        return {
          status = row.status,
          params = ctx.params,
          notes = db:rows("select id, body from notes where room_id = $1 order by id", row.id),
        }
      end,
    })
  end,
  publish = function(ctx, args, data)
    if type(data) ~= "table" or type(data.body) ~= "string" then
      return leat.deny("bad_request", "body must be a text")
    end
    ctx.db:exec("PUBLISH")
    return ctx.db:transaction(function(db)
      local note = db:one("insert into notes (room_id, body) values ($1, $2) returning id, body",
        args.id, data.body)
      db:exec("select leat.publish($1, $2)", "room:" .. args.id, note)
      return { id = note.id }
    end)
  end,
})

app:stream("/rooms/{id:int}/stream", "room:{id}")

return app
]]):gsub("%f[%u](%u%u%u%u+)%f[%U]", function(name) return gate[name] and gate.sql(gate[name]) end)

return M
