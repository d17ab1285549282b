-- Shared lists, for a page in React. Everybody may read and write them: an application of yours has an
-- app:connect that says who somebody is, and asks for it in each handler.
--
-- Nothing here publishes: the table is watched (schema.sql), so every change of it is an event. The page
-- is told which one is its own change by the positions that the answer to a method has.

local leat = require "leat"
local app = leat.app()

app:topic("list:{name}", {
  subscribe = function(ctx, args)
    return leat.subscribe_authorized(ctx, args, {
      snapshot = function(db, list)
        return db:rows("select * from items where list = $1 order by place", list.name)
      end,
    })
  end,
})

-- The page makes the id, so an item that is sent twice is added once.
app:method("add", function(ctx, item)
  if type(item) ~= "table" or type(item.body) ~= "string" or not item.body:find("%S") then
    return leat.deny("bad_request", "an item needs some text")
  end
  ctx.db:exec("insert into items (id, list, body) values ($1, $2, left($3, 200)) on conflict do nothing",
    item.id, item.list, item.body)
end)

app:method("tick", function(ctx, item)
  ctx.db:exec("update items set done = $2 where id = $1", item.id, item.done)
end)

app:method("remove", function(ctx, item)
  ctx.db:exec("delete from items where id = $1", item.id)
end)

-- The page. The import map says what "react" is, as a bundler would. A policy that allows no inline
-- script (the default) has to name its hash; public/ has the rest.
local IMPORTS = leat.encode {
  imports = {
    ["react"] = "/npm/react.js",
    ["react-dom/client"] = "/npm/react-dom-client.js",
    ["@leat/client"] = "/leat/client.js",
    ["@leat/client/react"] = "/leat/react.js",
  },
}
local HASH = leat.crypto.base64(leat.crypto.hash("sha256", IMPORTS))
local PAGE = ([[
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>A list</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/favicon.svg">
<link rel="stylesheet" href="/style.css">
<script type="importmap">%s</script>
<script type="module" src="/list.js"></script>
<div id="page"><p class="hint">This page needs <code>npm ci</code>, once, in the folder of this application.</p></div>
</html>
]]):format(IMPORTS)

app:route("GET /", function()
  return {
    body = PAGE,
    content_type = "text/html; charset=utf-8",
    headers = {
      ["Content-Security-Policy"] = "default-src 'self'; script-src 'self' 'sha256-" .. HASH .. "'; base-uri 'none'; "
        .. "object-src 'none'; form-action 'none'; frame-ancestors 'none'",
    },
  }
end, { public = true })

return app
