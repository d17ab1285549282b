-- The chat's own specs, as an operator writes them (docs/testing.md). `leat test lua/apps/chat/spec` runs them.

local spec = require "leat.spec"

local folder = debug.getinfo(1, "S").source:match("^@(.*)/spec/[^/]*$") or "."

describe("a chat", function()
  local server = spec.serve { app = folder .. "/app.lua", schema = folder .. "/schema.sql" }

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
end)
