-- What scripts/bench measures: topics whose handlers do as little, or as much, as their names say.
local leat = require "leat"
local app = leat.app()

-- Reads nothing: the price of connecting and subscribing itself.
app:topic("bare:{id:int}", {
  subscribe = function(ctx)
    return leat.subscribe_authorized(ctx, { id = 1 }, {
      snapshot = function()
        return {}
      end,
    })
  end,
})

-- Three reads: authorise, refresh, snapshot; as an ordinary application does.
app:topic("room:{id:int}", {
  subscribe = function(ctx, args)
    local room = ctx.db:one("select id, title from rooms where id = $1", args.id)
    if not room then
      return leat.deny("not_found")
    end
    return leat.subscribe_authorized(ctx, room, {
      refresh = function(db, row)
        return db:one("select id, title from rooms where id = $1", row.id)
      end,
      snapshot = function(db, row)
        return {
          title = row.title,
          notes = db:rows("select id, body from notes where room_id = $1 order by id", row.id),
        }
      end,
    })
  end,
})

-- The same three reads in two round trips: the snapshot reads the room again, in one batch with the rest.
app:topic("batch:{id:int}", {
  subscribe = function(ctx, args)
    local room = ctx.db:one("select id, title from rooms where id = $1", args.id)
    if not room then
      return leat.deny("not_found")
    end
    return leat.subscribe_authorized(ctx, room, {
      snapshot = function(db, row)
        local rooms, notes = db:batch {
          { "select id, title from rooms where id = $1", row.id },
          { "select id, body from notes where room_id = $1 order by id", row.id },
        }
        return rooms[1] and { title = rooms[1].title, notes = notes } or leat.deny("not_found")
      end,
    })
  end,
})

-- One read for all who come at the same time: the snapshot is the topic's, not the viewer's.
app:topic("shared:{id:int}", {
  subscribe = function(ctx, args)
    return leat.subscribe_authorized(ctx, { id = args.id }, {
      share = ctx.topic,
      snapshot = function(db, row)
        return { notes = db:rows("select id, body from notes where room_id = $1 order by id", row.id) }
      end,
    })
  end,
})

return app
