-- README.md and docs/: every example is run. (The README's JavaScript runs in the browser's suite.)

local cjson = require "cjson"
local env = require "spec.support.env"
local http = require "spec.support.http"
local markdown = require "spec.support.markdown"
local stage = require "spec.support.stage"
local ws = require "spec.support.ws"

local ROOT = env.root() .. "/"

local CHAT_SCHEMA = [[
  create table users (id bigint primary key, name text not null, token text not null unique);
  create table chats (id bigint primary key, title text not null);
  create table messages (
    id bigint generated always as identity primary key, chat_id bigint not null references chats,
    author text not null, body text not null);
  insert into users values (1, 'Alice', 'alice-token');
  insert into chats values (1, 'Mill pond'), (42, 'Lock');
]]

local function chat_stage()
  return stage.open { app = markdown.block(ROOT .. "README.md", "lua"), schema = CHAT_SCHEMA }
end

describe("the README's live chat", function()
  local s

  lazy_setup(function() s = chat_stage() end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  it("is what its JavaScript takes it for", function()
    local js = markdown.block(ROOT .. "README.md", "js")
    local token, topic = js:match 'token: "([^"]+)"', js:match 'subscribe%("([^"]+)"'
    local alice, other = s:connect { token = token }, s:connect { token = token }

    local snapshot = alice:ask({ op = "subscribe", id = 1, topic = topic }, "snapshot")
    assert.same({}, snapshot.data)
    other:subscribe(topic)
    alice:send { op = "publish", id = 2, topic = topic, data = { body = "hello" } }

    local event = other:expect("event")
    assert.same({ "Alice", "hello" }, { event.data.author, event.data.body })
    local late = s:connect { token = token }
    local message = late:subscribe(topic).data[1]
    assert.same(event.data, message)
  end)

  it("lets nobody in who has no token", function()
    local attempt = ws.attempt(s.server)
    attempt:close()

    assert.equal(401, attempt.status)
  end)

  it("knows only the chats that there are", function()
    local client = s:connect { token = "alice-token" }

    assert.equal("not_found", client:ask({ op = "subscribe", id = 1, topic = "chat:2" }, "error").code)
  end)
end)

-- Whether a message is as the documentation shows it; "…" stands for anything.
local function is_like(shown, message)
  if shown == "…" then return true end
  if type(shown) ~= "table" or type(message) ~= "table" then return shown == message end
  for key, value in pairs(shown) do
    if not is_like(value, message[key]) then return false end
  end
  for key in pairs(message) do
    if shown[key] == nil then return false end
  end
  return true
end

describe("docs/protocol.md", function()
  local PATH = ROOT .. "docs/protocol.md"
  local s

  lazy_setup(function() s = chat_stage() end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  -- The messages that are shown may come in any order where several answer one.
  local function take_shown(client, shown)
    while #shown > 0 do
      local message, text = client:recv()
      local at
      for i, candidate in ipairs(shown) do
        if not at and is_like(candidate, message) then at = i end
      end
      assert.is_not_nil(at, "the session does not show " .. text)
      table.remove(shown, at)
    end
  end

  local function follow(client, info)
    local shown = {}
    for direction, text in markdown.block(PATH, info):gmatch("([<>]) ([^\n]+)") do
      if direction == "<" then
        shown[#shown + 1] = cjson.decode(text)
      else
        take_shown(client, shown)
        client:send_text(text)
      end
    end
    take_shown(client, shown)
    assert.same({}, client:drain())
  end

  it("shows how a token comes in the first message", function()
    follow(s:connect { path = "/ws?authenticate=message" }, "first message")
  end)

  it("shows a session as it goes over the wire", function()
    follow(s:connect { token = "alice-token" }, "leat.v1")
  end)

  it("shows messages that the server understands", function()
    local client = s:connect { token = "alice-token" }
    local count = 0
    for _, span in ipairs(markdown.code_spans(PATH)) do
      local op = span:match('^{"op":"(%a+)"')
      if op == "subscribe" or op == "unsubscribe" or op == "publish" or op == "call" then
        count = count + 1
        client:send_text((span:gsub("{…}", '{"body":"x"}')))
        client:until_message(function(m)
          assert.not_equal("bad_request", m.code, span)
          return m.id ~= nil
        end)
      end
    end
    assert.equal(4, count)
  end)
end)

describe("docs/lua-api.md", function()
  local s

  lazy_setup(function()
    s = stage.open { app = markdown.block(ROOT .. "docs/lua-api.md", "lua app"), schema = [[
      create table users (id bigint primary key, name text not null, token text not null unique);
      create table rooms (id bigint primary key, title text not null, open boolean not null, owner_id bigint not null);
      create table notes (
        id bigint generated always as identity primary key, room_id bigint not null, body text not null);
      insert into users values (1, 'Alice', 'alice'), (2, 'Bob', 'bob');
      insert into rooms values (1, 'Hall', true, 1), (2, 'Study', false, 1);
    ]] }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  it("has a whole application: connect, subscribe, publish", function()
    local nobody = ws.attempt(s.server, { token = "nobody" })
    nobody:close()
    assert.equal(401, nobody.status)
    local alice, bob = s:connect { token = "alice" }, s:connect { token = "bob" }

    assert.equal("not_found", bob:ask({ op = "subscribe", id = 1, topic = "room:9" }, "error").code)
    local refused = bob:ask({ op = "subscribe", id = 2, topic = "room:2" }, "error")
    assert.same({ "forbidden", "members only" }, { refused.code, refused.message })
    assert.equal("Study", alice:subscribe("room:2").data.title)
    local snapshot = bob:subscribe("room:1")
    assert.same({ title = "Hall", notes = {} }, snapshot.data)

    local wrong = alice:ask({ op = "publish", id = 3, topic = "room:1", data = { body = "" } }, "error")
    assert.same({ "bad_request", "body must be a text" }, { wrong.code, wrong.message })
    local ok = alice:ask({ op = "publish", id = 4, topic = "room:1", data = { body = "hello" } }, "ok")
    local event = bob:expect("event")
    assert.same({ type = "note", note = { id = ok.data.id, body = "hello" } }, event.data)
  end)

  it("has a stream route, both ways", function()
    local socket = s:connect { token = "alice", path = "/rooms/1/stream" }
    assert.equal("Hall", socket:expect("snapshot").data.title)
    local stream = http.sse(s.server, "/rooms/1/stream", { Authorization = "Bearer alice" })
    s.clients[#s.clients + 1] = stream
    assert.equal("snapshot", stream:recv().event)

    local answer = http.request(s.server, { path = "/rooms/2/stream",
      headers = ws.headers { Authorization = "Bearer bob" } })
    assert.equal(403, answer.status)
  end)

  it("has a method that signals", function()
    local alice, bob = s:connect { token = "alice" }, s:connect { token = "bob" }
    bob:subscribe("room:1")
    local rename = { op = "call", id = 1, method = "rename", params = { id = 1, title = "Great hall" } }

    assert.equal("forbidden", bob:ask(rename, "error").code)
    assert.same({ title = "Great hall" }, alice:ask(rename, "ok").data)
    assert.same({ type = "renamed", title = "Great hall" }, bob:expect("signal").data)
    s.session:run("update rooms set title = 'Hall' where id = 1")
  end)

  it("has statements that are sent together", function()
    local batch = stage.open { app = markdown.block(ROOT .. "docs/lua-api.md", "lua batch"), schema = [[
      create table rooms (id bigint primary key, title text not null);
      create table bans (room_id bigint not null, name text not null);
      create table notes (id bigint primary key, room_id bigint not null, body text not null);
      create table members (room_id bigint not null, name text not null);
      insert into rooms values (1, 'Hall');
      insert into bans values (1, 'Eve');
      insert into notes values (7, 1, 'hello');
      insert into members values (1, 'Bob'), (1, 'Alice');
    ]] }
    local client, eve = batch:connect { token = "Alice" }, batch:connect { token = "Eve" }

    assert.equal("not_found", client:ask({ op = "subscribe", id = 1, topic = "room:9" }, "error").code)
    assert.equal("forbidden", eve:ask({ op = "subscribe", id = 1, topic = "room:1" }, "error").code)
    assert.same({ title = "Hall", notes = { { id = 7, body = "hello" } }, members = { { name = "Alice" },
      { name = "Bob" } } }, client:subscribe("room:1").data)
    local left = { op = "call", id = 3, method = "leave", params = { room = 1, name = "Bob" } }
    assert.same({ left = 1, members = 1 }, client:ask(left, "ok").data)
    batch:close()
  end)

  it("has a public route", function()
    local found, absent = http.request(s.server, "/rooms/1"), http.request(s.server, "/rooms/9")

    assert.same({ 200, { id = 1, title = "Hall" } }, { found.status, cjson.decode(found.body) })
    assert.same({ 404, "no such room" }, { absent.status, absent.body })
  end)
end)
