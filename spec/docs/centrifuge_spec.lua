-- docs/centrifuge.md, and what docs/lua-api.md says of its clients: every example does what it says.

local env = require "spec.support.env"
local lines = require "spec.support.centrifuge"
local markdown = require "spec.support.markdown"
local stage = require "spec.support.stage"

local function example(page, name) return markdown.block(env.root() .. "/docs/" .. page, name) end

describe("the documents about Centrifugo's clients", function()
  local s

  after_each(function()
    s:settle()
    s:close()
  end)

  it("have a subscription that the server makes, for clients of both protocols", function()
    s = stage.open { app = example("lua-api.md", "lua subscribes"), schema = [[
      create table users (id bigint, name text, token text);
      insert into users values (7, 'Alice', 'alice');
    ]] }

    local client = lines.connect(s, { token = "alice" })
    assert.same({ for_user = "Alice" }, client.welcome.subs["notices:7"].data)
    local other = s:connect { path = "/ws?token=alice" }
    local snapshot = other:expect "snapshot"
    assert.same({ "notices:7", { for_user = "Alice" } }, { snapshot.topic, snapshot.data })
  end)
end)
