-- The chat's own specs, as an operator writes them (docs/testing.md). `leat test lua/apps/chat/spec` runs them.

local spec = require "leat.spec"

-- What the page does with an event (public/app.js).
local function apply(state, event)
  local data = event.data
  if data.type == "message" then
    table.insert(state.messages, data.message)
  elseif data.type == "queued" then
    table.insert(state.queue, data.message)
  elseif data.type == "status" then
    state.status = data.status
  elseif data.type == "flushed" then
    for _, message in ipairs(data.messages) do table.insert(state.messages, message) end
    state.queue = {}
  end
end

-- What it must show in the end.
local function truth(db)
  local chat = db:one("select title, status, owner_id from chats where id = 42")
  chat.members = db:rows [[select u.id, u.name, u.colour from chat_members m join users u on u.id = m.user_id
    where m.chat_id = 42 order by u.id]]
  chat.messages = db:rows "select id, user_id, body, created_at from messages where chat_id = 42 order by id"
  chat.queue = db:rows "select id, user_id, body, created_at from queued where chat_id = 42 order by id"
  return chat
end

describe("a chat", function()
  local server = spec.serve { app = "app.lua", schema = "schema.sql" }

  it("is closed to strangers", function()
    local alice = server:client { token = "alice-token" }

    assert.equal("forbidden", alice:refused("chat:44").code)
  end)

  it("lets nobody in without a token", function()
    assert.equal("unauthenticated", server:client():refused("chat:42").code)
  end)

  it("shows what is said", function()
    local alice, bob = server:client { token = "alice-token" }, server:client { token = "bob-token" }
    local chat = alice:subscribe "chat:42"

    bob:publish("chat:42", { type = "message", body = "hi" })

    assert.equal("hi", chat:event().data.message.body)
  end)

  it("keeps what is said while it is paused, and shows it when it opens", function()
    local alice = server:client { token = "alice-token" }
    local chat = alice:subscribe "chat:42"

    alice:publish("chat:42", { type = "status", status = "paused" })
    alice:publish("chat:42", { type = "message", body = "later" })
    alice:publish("chat:42", { type = "status", status = "open" })

    assert.equal("paused", chat:event().data.status)
    assert.equal("queued", chat:event().data.type)
    assert.equal("open", chat:event().data.status)
    assert.equal("later", chat:event().data.messages[1].body)
    chat:quiet()
  end)

  it("begins each time with what the schema has put there", function()
    local chat = server:client({ token = "alice-token" }):subscribe "chat:42"

    assert.equal(4, #chat.data.messages)
  end)

  it("is exact, whatever commits when", function()
    server:every_interleaving {
      subscribe = { topic = "chat:42", token = "alice-token" },
      commits = {
        { token = "alice-token", publish = "chat:42", data = { type = "status", status = "paused" } },
        { token = "bob-token", publish = "chat:42", data = { type = "message", body = "later" } },
        { token = "alice-token", publish = "chat:42", data = { type = "status", status = "open" } },
      },
      apply = apply,
      truth = truth, limit = 60, seed = 1,
    }
  end)
end)
