-- Lists of texts: what the tests of the JavaScript client subscribe to. A token is a name.
local leat = require "leat"
local app = leat.app()

app:connect(function(ctx, request)
  local name = request.token
  if not name or ctx.db:one("select from banned where name = $1", name) then
    return leat.deny("unauthenticated")
  end
  return { id = name }
end)

local function add(ctx, list, body)
  return ctx.db:transaction(function(db)
    local item = db:one("insert into items (list, body) values ($1, $2) returning id, body", list, body)
    db:exec("select leat.publish($1, $2)", "list:" .. list, item)
    return item
  end)
end

app:route("POST /lists/{name}", function(ctx, request)
  return { status = 201, body = add(ctx, request.params.name, request.body) }
end)

app:topic("list:{name}", {
  subscribe = function(ctx, args)
    if ctx.db:one("select from banned where name = $1", ctx.user.id) then return leat.deny("forbidden") end
    return leat.subscribe_authorized(ctx, args, {
      snapshot = function(db, list)
        return db:rows("select id, body from items where list = $1 order by id", list.name)
      end,
    })
  end,
  publish = function(ctx, args, data) return add(ctx, args.name, data.body) end,
})

return app
