-- docs/centrifuge.md, and what docs/lua-api.md says of its clients: every example does what it says.

local env = require "spec.support.env"
local http = require "spec.support.http"
local jose = require "spec.support.jose"
local lines = require "spec.support.centrifuge"
local markdown = require "spec.support.markdown"
local process = require "spec.support.process"
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

  it("have a subscription that expires", function()
    s = stage.open { app = example("lua-api.md", "lua expires"), schema = [[
      create table tickets (lesson_id bigint, user_id text, valid_until timestamptz);
      create table notes (lesson_id bigint, body text);
    ]] }
    local client = lines.connect(s, { token = "alice" })
    s.session:run [[
      insert into tickets select n, 'alice', now() + interval '4 seconds' from generate_series(1, 2) n]]
    client:subscribe("lesson:1")
    client:subscribe("lesson:2")
    s.session:run("insert into tickets values (2, 'alice', now() + interval '1 hour')")

    assert.equal("lesson:1", client:push("unsubscribe").channel)
    s.session:run("select leat.publish('lesson:2', '1')")
    assert.equal("lesson:2", client:push("pub").channel)
  end)

  it("have routes that take the API of Centrifugo", function()
    s = stage.open { app = example("centrifuge.md", "lua api"), env = { API_KEY = "secret" } }
    local function post(path, key, body)
      local request = { method = "POST", path = path, headers = { ["X-API-Key"] = key }, body = body }
      return http.request(s.server, request).status
    end
    assert.equal(401, post("/api/publish", "another", '{"channel": "a", "data": 1}'))
    assert.equal(401, post("/api/publish", nil, "{}"))
    for _, body in ipairs { "{}", "none", '{"data": 1}', '{"channel": "a"}', '{"channels": [], "data": 1}' } do
      assert.equal(400, post("/api/publish", "secret", body), body)
    end

    assert.equal(200, post("/api/publish", "secret", '{"channel": "a", "data": {"n": 1}}'))
    assert.equal(200, post("/api/broadcast", "secret", '{"channels": ["a", "b"], "data": "hi"}'))

    assert.same({ { e = 'a {"n": 1}' }, { e = 'a "hi"' }, { e = 'b "hi"' } },
      s.session:rows("select topic || ' ' || data as e from leat.event order by topic, seq"))
  end)

  it("have a presence in a table", function()
    s = stage.open { app = example("centrifuge.md", "lua presence"), schema = [[
      create table members (chat_id bigint, user_id text);
      insert into members values (42, 'alice'), (42, 'bob');
    ]] .. example("centrifuge.md", "sql presence") }
    local function rpc(client, method)
      local reply = client:ask { rpc = { method = method, data = { chat = 42 } } }
      return reply.rpc and reply.rpc.data or reply.error.code
    end
    local alice, bob = lines.connect(s, { token = "alice" }), lines.connect(s, { token = "bob" })
    alice:subscribe("chat:42")
    for _, client in ipairs { alice, bob, alice } do rpc(client, "here") end
    assert.same({ join = "alice" }, alice:push("pub").pub.data)
    assert.same({ join = "bob" }, alice:push("pub").pub.data)
    assert.same({ { user_id = "alice" }, { user_id = "bob" } }, rpc(alice, "presence"))

    rpc(bob, "gone")
    assert.same({ leave = "bob" }, alice:push("pub").pub.data)
    s.session:run("update presence set seen_at = now() - interval '2 minutes'")
    assert.same({}, rpc(bob, "presence"))
    assert.equal(103, rpc(lines.connect(s, { token = "carol" }), "here"))
  end)

  it("have an application that was moved over", function()
    local secret = ("s"):rep(32)
    local key = jose.secret(secret)
    local schema = example("centrifuge.md", "sql moving") .. [[
      insert into members values (42, '17');
      insert into messages (chat_id, text) values (42, 'first');
    ]]
    s = stage.open { app = example("centrifuge.md", "lua moving"), env = { TOKEN_SECRET = secret }, schema = schema }
    local commands, n = example("centrifuge.md", "sh moving"):gsub("\nleat serve [^\n]+", "")
    assert.equal(1, n)
    local script = ("set -e; leat() { '%s' \"$@\"; }; cd '%s'\n%s"):format(env.binary(), s.folder, commands)
    local status, out, err = process.run("/bin/sh", { args = { "-c", script },
      env = { LEAT_DATABASE_URL = s.db.url, TOKEN_SECRET = secret } })
    assert.equal(0, status, out .. err)
    assert.matches("app: ok", out)

    local function token(claims)
      claims.exp = claims.exp or os.time() + 60
      return jose.sign(key, { alg = "HS256", typ = "JWT" }, claims)
    end

    assert.equal(109, lines.open(s, { token = token { sub = "17", exp = os.time() - 5 } }).welcome.error.code)
    assert.equal(101, lines.open(s, { token = "none" }).welcome.error.code)
    local client = lines.connect(s, { token = token { sub = "17", channels = { "#18", "chat:42" } } })
    local subs = client.welcome.subs
    assert.same({ { id = 1, text = "first" } }, subs["chat:42"].data)
    assert.is_truthy(subs["#17"])
    assert.is_nil(subs["#18"])

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
    local begun = soon:subscribe("$room:a", { token = token { sub = "17", channel = "$room:a" } })
    assert.is_true(begun.expires)
    local shorter = token { sub = "17", channel = "$room:a", exp = os.time() + 4 }
    assert.is_true(soon:ask({ sub_refresh = { channel = "$room:a", token = shorter } }).sub_refresh.expires)
    assert.equal(2501, soon:push("unsubscribe").unsubscribe.code)
    assert.equal(102, client:ask({ subscribe = { channel = "elsewhere" } }).error.code)

    s.session:run("delete from members; select leat.revoke('chat:42', '17')")
    assert.equal("revoked", client:push("unsubscribe").unsubscribe.reason)
  end)
end)
