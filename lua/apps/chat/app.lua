-- A chat: people, chats that they are members of, messages, and a gate. While a chat is paused, new
-- messages wait in a queue; when it opens, they flow into the chat together. The tables are in
-- schema.sql, the page is in public/.
--
-- Two things to look for: each chat is one topic, whose subscribers get a snapshot and then every
-- event after it; and whatever writes does so in one transaction with leat.publish, so that no
-- event is sent for what did not happen, and nothing happens without its event.

local leat = require "leat"
local app = leat.app()

-- The snapshot holds at most this many messages, and the page keeps as many.
local RECENT = 200
local MAX_WAITING = 200
local MAX_BODY_BYTES = 4000

-- Who are you? Asked once a connection. A NULL token matches no row.
app:connect(function(ctx, request)
  local user = ctx.db:one("select id, name, colour from users where token = $1", request.token)
  if not user then return leat.deny("unauthenticated") end
  return { id = user.id, name = user.name, colour = user.colour }
end)

-- A chat as one user may or may not see it. Every way in begins with this row.
local CHAT_FOR_USER = [[
  select c.id, c.title, c.status, c.owner_id, m.user_id is not null as is_member
    from chats c
    left join chat_members m on m.chat_id = c.id and m.user_id = $2
   where c.id = $1]]

-- What the page sees of a message, waiting or not. to_json writes the time as JavaScript reads it.
local MESSAGE = "id, user_id, body, to_json(created_at) as created_at"

local MEMBERS = [[
  select u.id, u.name, u.colour
    from chat_members m
    join users u on u.id = m.user_id
   where m.chat_id = $1 order by u.id]]

local RECENT_MESSAGES = "select * from (select " .. MESSAGE .. [[
    from messages where chat_id = $1 order by id desc limit $2) recent order by id]]

local QUEUE = "select " .. MESSAGE .. " from queued where chat_id = $1 order by id"

local function publish_event(db, chat, event)
  db:exec("select leat.publish($1, $2)", "chat:" .. chat.id, event)
end

-- Writes one message: into the chat, or into its queue while it is paused.
local function post(db, chat, user, body)
  if chat.status == "open" then
    local message = db:one([[
      insert into messages (chat_id, user_id, body) values ($1, $2, $3)
      returning ]] .. MESSAGE, chat.id, user.id, body)
    publish_event(db, chat, { type = "message", message = message })
    return { id = message.id, queued = false }
  end

  local waiting = db:one("select count(*) as n from queued where chat_id = $1", chat.id).n
  if waiting >= MAX_WAITING then
    return leat.deny("limit", "too many messages are waiting already")
  end

  local message = db:one([[
    insert into queued (chat_id, user_id, body) values ($1, $2, $3)
    returning ]] .. MESSAGE, chat.id, user.id, body)
  publish_event(db, chat, { type = "queued", message = message })
  return { id = message.id, queued = true }
end

-- Pauses or opens a chat. Opening also moves what waited into the chat, in the order it came in.
local function set_status(db, chat, user, status)
  if chat.owner_id ~= user.id then
    return leat.deny("forbidden", "only the owner of a chat can pause or open it")
  end
  if chat.status == status then return { status = status } end

  db:exec("update chats set status = $2 where id = $1", chat.id, status)
  publish_event(db, chat, { type = "status", status = status })

  if status == "open" then
    local messages = db:rows([[
      with waited as (delete from queued where chat_id = $1 returning *)
      insert into messages (chat_id, user_id, body, created_at)
      select chat_id, user_id, body, created_at from waited order by id
      returning ]] .. MESSAGE, chat.id)
    if #messages > 0 then
      publish_event(db, chat, { type = "flushed", messages = messages })
    end
  end
  return { status = status }
end

-- What is wrong with what a client wants to publish; nil if nothing is.
local function complaint(data)
  if type(data) ~= "table" then return "data must be an object" end

  if data.type == "message" then
    local body = data.body
    if type(body) ~= "string" or #body > MAX_BODY_BYTES or not body:find("%S") then
      return "body must be a text of 1 to " .. MAX_BODY_BYTES .. " bytes that is not blank"
    end
    if body:find("\0", 1, true) then
      return "body must not contain U+0000, which Postgres cannot store"
    end
    return nil
  end

  if data.type == "status" then
    if data.status ~= "open" and data.status ~= "paused" then
      return "status must be open or paused"
    end
    return nil
  end

  return "type must be message or status"
end

app:topic("chat:{id:int}", {
  -- May this user subscribe? Until subscribe_authorized is called, nothing is armed and nothing
  -- else is read.
  subscribe = function(ctx, args)
    local chat = ctx.db:one(CHAT_FOR_USER, args.id, ctx.user.id)
    if not chat then return leat.deny("not_found") end
    if not chat.is_member then return leat.deny("forbidden") end

    -- From here on Leat has the lead: it arms the topic first and calls these two after that, in
    -- one read-only transaction that sees one moment of the database. What commits later arrives as
    -- an event.
    return leat.subscribe_authorized(ctx, chat, {
      refresh = function(db)
        local fresh = db:one(CHAT_FOR_USER, args.id, ctx.user.id)
        if fresh and not fresh.is_member then return leat.deny("forbidden") end
        return fresh
      end,

      snapshot = function(db, fresh)
        return {
          title = fresh.title,
          status = fresh.status,
          owner_id = fresh.owner_id,
          members = db:rows(MEMBERS, fresh.id),
          messages = db:rows(RECENT_MESSAGES, fresh.id, RECENT),
          queue = db:rows(QUEUE, fresh.id),
        }
      end,
    })
  end,

  -- {type = "message", body = …} or {type = "status", status = "open" | "paused"}
  publish = function(ctx, args, data)
    local wrong = complaint(data)
    if wrong then return leat.deny("bad_request", wrong) end

    return ctx.db:transaction(function(db)
      -- The lock lets one writer at a time into a chat. So no message slips into a queue that is
      -- being emptied, and ids grow in the order of the events: a page that appends what comes has
      -- what a snapshot would show.
      local chat = db:one(CHAT_FOR_USER .. " for update of c", args.id, ctx.user.id)
      if not chat then return leat.deny("not_found") end
      if not chat.is_member then return leat.deny("forbidden") end

      if data.type == "status" then return set_status(db, chat, ctx.user, data.status) end
      return post(db, chat, ctx.user, data.body)
    end)
  end,
})

-- One chat for those who need nothing else: a WebSocket that needs no subscribe message, or
-- Server-Sent Events.
app:stream("/chats/{id:int}/stream", "chat:{id}")

-- What the page asks first: who am I, and which chats are mine?
app:method("home", function(ctx)
  return {
    user = ctx.user,
    chats = ctx.db:rows([[
      select c.id, c.title from chats c join chat_members m on m.chat_id = c.id
       where m.user_id = $1 order by c.id]], ctx.user.id),
  }
end)

-- "Bob is typing": a signal is shown to whoever looks and stored nowhere, so no transaction.
app:method("typing", function(ctx, params)
  local id = type(params) == "table" and math.type(params.chat_id) == "integer" and params.chat_id
  if not id then return leat.deny("bad_request", "chat_id must be an integer") end

  local chat = ctx.db:one(CHAT_FOR_USER, id, ctx.user.id)
  if not chat then return leat.deny("not_found") end
  if not chat.is_member then return leat.deny("forbidden") end
  app:signal("chat:" .. id, { type = "typing", user_id = ctx.user.id })
end)

-- DEMO ONLY: everybody's name and token, so that the page can ask who you want to be.
app:route("GET /api/users", function(ctx)
  return {
    headers = { ["cache-control"] = "no-store" },
    body = ctx.db:rows("select id, name, colour, token from users order by id limit 12"),
  }
end, { public = true })

return app
