-- What the torture test serves. Every snapshot is a summary of torture.item, which is written in the same
-- transactions that publish; so whoever adds up the events after it must come to the next summary.
local leat = require "leat"
local app = leat.app()

app:connect(function(ctx, request)
  local account = ctx.db:one("select id from torture.account where token = $1", request.token)
  if not account then return leat.deny("unauthenticated") end
  return { id = account.id }
end)

-- Every read may fail now and then, as reads do: torture.may_fail raises by chance.
local function summary(db, topic)
  db:one("select torture.may_fail(1)")
  return db:one("select count(*) as n, coalesce(bit_xor(h), 0) as x from torture.thing where topic = $1", topic)
end

local function find_topic(db, name)
  return db:one("select name from torture.topic where name = $1", name)
end

local function find_member(db, name, account_id)
  return db:one("select topic as name, account_id from torture.member where topic = $1 and account_id = $2",
    name, account_id)
end

-- Seconds since 1970: the right ends while the test runs, and is proved anew.
local function soon(db)
  return db:one("select extract(epoch from clock_timestamp())::bigint + 2 + (random() * 2)::int as at").at
end

local function snapshot(db, row)
  return summary(db, row.name)
end

-- Open to everyone.
local function public(kind, options)
  return {
    subscribe = function(ctx, args)
      local row = find_topic(ctx.db, kind .. ":" .. args.id)
      if not row then return leat.deny("not_found") end
      return leat.subscribe_authorized(ctx, row, {
        refresh = function(db, seen)
          db:one("select torture.may_fail(2)")
          return find_topic(db, seen.name)
        end,
        snapshot = snapshot,
        share = options.share,
        expires_at = options.expires and soon(ctx.db),
      })
    end,
    event = options.event,
  }
end

-- Open to members.
local function private(kind, options)
  return {
    subscribe = function(ctx, args)
      local row = find_member(ctx.db, kind .. ":" .. args.id, ctx.user.id)
      if not row then return leat.deny("forbidden") end
      return leat.subscribe_authorized(ctx, row, {
        refresh = function(db, seen)
          db:one("select torture.may_fail(2)")
          return find_member(db, seen.name, seen.account_id)
        end,
        snapshot = snapshot,
        share = options.share,
        expires_at = options.expires and soon(ctx.db),
      })
    end,
  }
end

app:topic("plain:{id:int}", public("plain", {}))
app:topic("share:{id:int}", public("share", { share = "all" }))
app:topic("hook:{id:int}", public("hook", {
  event = function(ctx, event)
    ctx.db:one("select torture.may_fail(1)")
    local item = ctx.db:one("select h from torture.item where uid = $1", event.data.uid)
    return { uid = event.data.uid, h = item and item.h, body = event.data.body, hooked = true }
  end,
}))
app:topic("lease:{id:int}", public("lease", { expires = true }))
app:topic("room:{id:int}", private("room", { expires = true }))
app:topic("club:{id:int}", private("club", { share = "all" }))
app:topic("watch:{id:int}", public("watch", {}))

-- Each also as a route, for WebSockets of one topic and Server-Sent Events.
for _, kind in ipairs { "plain", "share", "hook", "lease", "room", "club", "watch" } do
  app:stream("/" .. kind .. "/{id:int}", kind .. ":{id}")
end

return app
