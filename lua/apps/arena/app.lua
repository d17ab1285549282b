-- The arena: players run after a gem, in a room that a C program moves on 60 times a second.
--
-- This file says who may come in, and what a room is when one comes in. The rest is in host/arena.c,
-- which has Leat inside (leat.h): players' inputs are calls of its method "input"; where everybody is
-- goes to the topic as conflating signals; a score is an event (schema.sql). The page is in public/.

local leat = require "leat"
local app = leat.app()

app:connect(function(ctx, request)
  local player = ctx.db:one("select id, name from arena_players where token = $1", request.token)
  if not player then return leat.deny("unauthenticated") end
  return { id = player.id, name = player.name }
end)

-- What is true of a room for longer than a moment. Where its players are comes with the next signal.
app:topic("room:{id:int}", {
  subscribe = function(ctx, args)
    local room = ctx.db:one("select id, title from arena_rooms where id = $1", args.id)
    if not room then return leat.deny("not_found") end

    return leat.subscribe_authorized(ctx, room, {
      share = "room:" .. room.id,
      snapshot = function(db, found)
        return {
          title = found.title,
          players = db:rows([[
            select p.id, p.name, p.colour, coalesce(s.points, 0) as points
              from arena_players p
              left join arena_scores s on s.player_id = p.id and s.room_id = $1
             order by p.id]], found.id),
        }
      end,
    })
  end,
})

return app
