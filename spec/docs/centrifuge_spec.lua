-- docs/centrifuge.md, and what docs/lua-api.md says of its clients: every example does what it says.

local env = require "spec.support.env"
local jose = require "spec.support.jose"
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

  it("have an application that was moved over", function()
    local secret = ("s"):rep(32)
    local key = jose.secret(secret)
    s = stage.open { app = example("centrifuge.md", "lua moving"), env = { TOKEN_SECRET = secret }, schema = [[
      create table members (chat_id bigint, user_id text);
      create table messages (id bigint generated always as identity, chat_id bigint, text text);
      insert into members values (42, '17');
      insert into messages (chat_id, text) values (42, 'first');
    ]] }
    local function token(claims)
      claims.exp = claims.exp or os.time() + 60
      return jose.sign(key, { alg = "HS256", typ = "JWT" }, claims)
    end

    assert.equal(109, lines.open(s, { token = token { sub = "17", exp = os.time() - 5 } }).welcome.error.code)
    assert.equal(101, lines.open(s, { token = "none" }).welcome.error.code)
    local client = lines.connect(s, { token = token { sub = "17", channels = { "personal:18", "chat:42" } } })
    local subs = client.welcome.subs
    assert.same({ { id = 1, text = "first" } }, subs["chat:42"].data)
    assert.is_truthy(subs["personal:17"])
    assert.is_nil(subs["personal:18"])

    assert.is_truthy(client:ask({ publish = { channel = "chat:42", data = { text = "second" } } }).publish)
    assert.same({ id = 2, text = "second" }, client:push("pub").pub.data)
    s.session:run("select leat.publish('chat:42', '{\"text\": \"hi\"}')")
    assert.same({ text = "hi" }, client:push("pub").pub.data)
    s.session:run("select leat.signal('chat:42', '{\"typing\": true}')")
    assert.same({ typing = true }, client:push("pub").pub.data)
    assert.equal(2, #client:ask({ history = { channel = "chat:42", limit = 9 } }).history.publications)
    assert.equal(5, client:ask({ rpc = { method = "echo", data = 5 } }).rpc.data)

    local function room(claims) return client:ask { subscribe = { channel = "$room:a", token = token(claims) } } end
    assert.equal(103, room({ sub = "17", channel = "$room:b" }).error.code)
    assert.equal(109, room({ sub = "17", channel = "$room:a", exp = os.time() - 5 }).error.code)
    assert.is_truthy(room({ sub = "17", channel = "$room:a" }).subscribe)
    -- The right ends with its token, and another one gives it back.
    local soon = lines.connect(s, { token = token { sub = "17" } })
    soon:subscribe("$room:a", { token = token { sub = "17", channel = "$room:a", exp = os.time() + 2 } })
    assert.equal(2501, soon:push("unsubscribe").unsubscribe.code)
    assert.equal(102, client:ask({ subscribe = { channel = "elsewhere" } }).error.code)

    s.session:run("delete from members; select leat.revoke('chat:42', '17')")
    assert.equal("revoked", client:push("unsubscribe").unsubscribe.reason)
  end)
end)
