-- The application that the vectors are about. A token is a name, and perhaps the seconds for which it is good
-- ("alice-60"); without one, the client is a guest.
local leat = require "leat"
local app = leat.app()

app:connect(function(ctx, request)
  local name = request.token or "guest"
  if name == "" or ctx.db:one("select from stranger where name = $1", name) then
    return leat.deny("unauthenticated", "this is nobody")
  end
  -- The server subscribes a client to the lists that it follows.
  for _, follow in ipairs(ctx.db:rows("select list from follow where name = $1", name)) do
    leat.subscribe(ctx, "list:" .. follow.list)
  end
  local id, seconds = name:match("^(%a+)%-(%d+)$")
  if not id then return { id = name } end
  local expiry = ctx.db:one("select extract(epoch from now())::bigint + $1::int as at", tonumber(seconds))
  return { id = id, expires_at = expiry.at }
end)

-- A list of texts. Who is in `banned` may not read it.
app:topic("list:{name}", {
  subscribe = function(ctx, args)
    if ctx.db:one("select from banned where list = $1 and name = $2", args.name, ctx.user.id) then
      return leat.deny("forbidden", "banned from this list")
    end
    return leat.subscribe_authorized(ctx, args, {
      snapshot = function(db, list)
        return db:rows("select body from item where list = $1 order by id", list.name)
      end,
    })
  end,
  publish = function(ctx, args, data)
    if type(data) ~= "table" or type(data.body) ~= "string" then
      return leat.deny("bad_request", "body must be a text")
    end
    return ctx.db:transaction(function(db)
      db:exec("select add_item($1, $2)", args.name, data.body)
      return { taken = data.body }
    end)
  end,
})

-- The same texts for who has a ticket: the token of the subscription. A ticket is the seconds for which it is good
-- from each time it is looked at ("60"); or the second at which it ends ("until:1800000000"), as a real one has it; or
-- "late".
app:topic("ticket:{name}", {
  subscribe = function(ctx, args)
    local ticket = (ctx.params or {}).token
    if ticket == "late" then return leat.deny("unauthenticated", "expired") end
    local seconds, at = math.tointeger(tonumber(ticket)), math.tointeger((ticket or ""):match("^until:(%d+)$"))
    if not (seconds or at) then return leat.deny("forbidden", "no such ticket") end
    local expiry = ctx.db:one("select coalesce($2, now + $1::int) as at, $2 <= now as is_past"
      .. " from (select extract(epoch from now())::bigint) clock (now)", seconds, at)
    if expiry.is_past then return leat.deny("unauthenticated", "expired") end
    return leat.subscribe_authorized(ctx, args, {
      snapshot = function(db, list)
        return db:rows("select body from item where list = $1 order by id", list.name)
      end,
      expires_at = expiry.at,
    })
  end,
})

-- Events, and nothing to begin with. Nobody can publish here.
app:topic("news:{name}", {
  subscribe = function(ctx, args)
    return leat.subscribe_authorized(ctx, args, { snapshot = function() return leat.null end })
  end,
})

app:topic("echo:{name}", {
  subscribe = function(ctx, args)
    return leat.subscribe_authorized(ctx, args, { snapshot = function() return { params = ctx.params } end })
  end,
})

-- Topics that answer with an error.
app:topic("missing:{name}", { subscribe = function() return leat.deny("not_found", "no such thing") end })
app:topic("broken:{name}", { subscribe = function() error("a mistake of the application") end })
app:topic("busy:{name}", { subscribe = function() return leat.deny("unavailable", "come back later") end })
app:topic("slow:{name}", {
  subscribe = function(ctx)
    ctx.db:exec("select pg_sleep(20)")
    return leat.deny("internal")
  end,
})

app:stream("/lists/{name}/stream", "list:{name}")

app:method("echo", function(_, params) return params end)
app:method("nothing", function() end)
app:method("refuse", function() return leat.deny("forbidden", "nobody may do this") end)
app:method("break", function() error("a mistake of the application") end)
app:method("me", function(ctx) return ctx.user.id end)

return app
