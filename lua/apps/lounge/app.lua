-- Who may read which room, and what a room looks like. Leat runs this in its own threads; the program (main.lua) does
-- the rest.

local leat = require "leat"
local app = leat.app()

-- The snapshot holds so many messages. The page gets older ones from the program.
local RECENT = 50

-- The program has signed them in, and gave them a cookie.
app:connect(function(ctx, request)
  local person = ctx.db:one([[
    select p.id, p.name from lounge_sessions s join lounge_people p on p.id = s.person_id
     where s.token::text = $1]], request.cookies.session)
  return person or leat.deny("unauthenticated")
end)

local ROOM = "select id, title from lounge_rooms where id = $1"

local MESSAGES = [[
  select * from (select id, author, body, sent_at from lounge_messages where room_id = $1
                  order by id desc limit $2) recent
   order by id]]

app:topic("room:{id:int}", {
  subscribe = function(ctx, args)
    local room = ctx.db:one(ROOM, args.id)
    if not room then return leat.deny("not_found") end
    return leat.subscribe_authorized(ctx, room, {
      refresh = function(db) return db:one(ROOM, args.id) end,
      snapshot = function(db, fresh)
        return { title = fresh.title, messages = db:rows(MESSAGES, fresh.id, RECENT) }
      end,
    })
  end,
})

return app
