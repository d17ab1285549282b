-- The lounge's own specs (docs/testing.md). `leat test lua/apps/lounge/spec` runs them. What is served is the program
-- itself, with Leat inside.

local cjson = require "cjson"
local spec = require "leat.spec"

local FOLDER = debug.getinfo(1, "S").source:match "^@(.*)/spec/[^/]*$" or ".."
local http = dofile(FOLDER .. "/http.lua")
local sql = dofile(FOLDER .. "/statements.lua")

local SHOWN = 50

-- What the page does with an event (public/lounge.js).
local function apply(room, event)
  if event.data.said then
    table.insert(room.messages, event.data.said)
    if #room.messages > SHOWN then table.remove(room.messages, 1) end
  end
  for _, message in ipairs(room.messages) do
    if message.id == event.data.taken_back then message.body = nil end
  end
end

describe("the lounge", function()
  local server = spec.serve {
    program = { "lua5.4", FOLDER .. "/main.lua" },
    app = "app.lua", -- for every_interleaving
    schema = "schema.sql",
    data = [[
      insert into lounge_people (name) values ('Ann');
      insert into lounge_sessions (token, person_id) values ('11111111-1111-4111-8111-111111111111', 1);
    ]],
  }
  local ann = "session=11111111-1111-4111-8111-111111111111" -- her cookie

  local function ask(method, path, data, cookie)
    local answer = server:request {
      method = method, path = path, body = data and cjson.encode(data),
      headers = { Cookie = cookie, ["Content-Type"] = data and "application/json" },
    }
    return answer.status, answer.status < 300 and cjson.decode(answer.body), answer
  end

  local function say(body)
    local status, message = ask("POST", "/rooms/1/messages", { body = body }, ann)
    assert.equal(201, status)
    return message
  end

  it("has a page", function()
    local page = server:request "/"

    assert.equal(200, page.status)
    assert.matches("<title>Leat lounge</title>", page.body)
  end)

  it("signs people in", function()
    local status, person, answer = ask("POST", "/session", { name = "Ben" })
    local cookie = answer.headers["set-cookie"]:match "^[^;]*"

    assert.equal(201, status)
    assert.equal("Ben", person.name)
    assert.equal("Ben", select(2, ask("GET", "/home", nil, cookie)).name)
  end)

  it("is closed to those who are not signed in", function()
    assert.equal(401, ask("GET", "/home"))
    assert.equal(401, ask("POST", "/rooms/1/messages", { body = "hello" }, "session=00000000"))
    assert.equal("unauthenticated", server:client():refused("room:1").code)
  end)

  it("shows at once what somebody says", function()
    local room = server:client({ headers = { Cookie = ann } }):subscribe "room:1"

    local message = say "good evening"

    assert.same(message, room:event().data.said)
  end)

  it("says nothing in a room that is not there", function()
    assert.equal(404, ask("POST", "/rooms/9/messages", { body = "hello" }, ann))
  end)

  it("tells what was said long ago", function()
    server:sql [[insert into lounge_messages (room_id, author, body)
      select 1, 'Ben', n::text from generate_series(1, 60) n]]
    local room = server:client({ headers = { Cookie = ann } }):subscribe "room:1"

    local first = room.data.messages[1]
    local _, older = ask("GET", ("/rooms/1/messages?before=%d"):format(first.id), nil, ann)

    assert.equal("11", first.body)
    assert.equal(10, #older)
    assert.equal("10", older[10].body)
  end)

  it("has a moderator, who reads along", function()
    local room = server:client({ headers = { Cookie = ann } }):subscribe "room:1"

    local message = say "what a nincompoop"

    assert.equal(message.id, room:event().data.said.id)
    assert.equal(message.id, room:event().data.taken_back)
  end)

  it("lets nothing rude stay that was said while the moderator was away", function()
    server:sql(sql.SAY, 1, "Ben", "you blockhead")
    server:restart()
    local room = server:client({ headers = { Cookie = ann } }):subscribe "room:1"

    if room.data.messages[1].body ~= cjson.null then room:event() end

    assert.equal(0, #server:sql "select from lounge_messages where body is not null")
  end)

  it("is exact, whatever commits when", function()
    server:every_interleaving {
      subscribe = { topic = "room:1", headers = { Cookie = ann } },
      commits = {
        function(db) db:rows(sql.SAY, 1, "Ben", "hello") end,
        function(db) db:rows(sql.TAKE_BACK, db:one("select max(id) as id from lounge_messages").id) end,
      },
      apply = apply,
      truth = function(db)
        local room = db:one "select title from lounge_rooms where id = 1"
        room.messages = db:rows "select id, author, body, sent_at from lounge_messages where room_id = 1 order by id"
        return room
      end,
      limit = 30, seed = 1,
    }
  end)
end)

describe("the lounge's HTTP server", function()
  it("waits for a whole head", function()
    assert.same({ n = 1 }, table.pack(http.parse "GET / HTTP/1.1\r\nHost: a\r\n"))
  end)

  it("reads a request", function()
    local request = http.parse "POST /a/b?c=d HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\nX-Y:  z \r\n\r\n{}"

    assert.same({ method = "POST", path = "/a/b", query = "c=d", head_size = 67, body_size = 2,
      headers = { host = "here", ["content-length"] = "2", ["x-y"] = "z" } }, request)
  end)

  it("refuses what can be read in two ways", function()
    for text, status in pairs {
      ["GET / HTTP/1.0\r\nHost: a\r\n\r\n"] = 400,
      ["GET / HTTP/1.1\r\n\r\n"] = 400,
      ["GET  / HTTP/1.1\r\nHost: a\r\n\r\n"] = 400,
      ["GET / HTTP/1.1\r\nHost : a\r\n\r\n"] = 400,
      ["GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"] = 400,
      ["GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"] = 400,
      ["GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"] = 400,
      ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"] = 400,
      ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"] = 400,
      ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n"] = 413,
      ["POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"] = 411,
      ["GET / HTTP/1.1\r\nHost: " .. ("a"):rep(17000)] = 431,
    } do
      assert.same({ nil, status, n = 2 }, table.pack(http.parse(text)), text:sub(1, 60))
    end
  end)
end)
