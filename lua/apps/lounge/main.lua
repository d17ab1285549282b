-- The lounge: a chat, and this program is all of its backend. Its own HTTP server (http.lua) has the page, signs people
-- in, and takes what they say. Leat runs inside, for what is to be seen at once by everybody: a WebSocket that arrives
-- here is handed over to it. And the program itself reads along, as the moderator.
--
--   main.lua DATABASE_URL [ADDRESS:PORT]

local folder = arg[0]:match "^(.*)/[^/]*$" or "."
package.path = folder .. "/?.lua;" .. package.path

local cjson = require "cjson"
local uv = require "luv" -- before the start of Leat, which then calls back on luv's loop
local host = require "leat.host"
local http = require "http"
local sql = require "statements"

local url, address = arg[1] or os.getenv "DATABASE_URL", arg[2] or os.getenv "LISTEN" or "127.0.0.1:8000"
local query = require("db").new(url)

local leat = assert(host.start {
  database = url,
  app = folder .. "/app.lua",
  listen = "none",
  log = function(level, line)
    if level >= 2 then io.stderr:write(line, "\n") end
  end,
})

-- The page -------------------------------------------------------------------------------------------

local POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
  .. "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

local function file(name, kind)
  local handle = assert(io.open(folder .. "/public/" .. name, "rb"))
  local body = handle:read "a"
  handle:close()
  return function()
    return { status = 200, body = body, headers = { ["Content-Type"] = kind, ["Content-Security-Policy"] = POLICY } }
  end
end

-- Requests -------------------------------------------------------------------------------------------

local ID = "(%d" .. ("%d?"):rep(14) .. ")" -- a number that Postgres can hold
local MESSAGES = "^/rooms/" .. ID .. "/messages$"

local function json(status, body, headers)
  headers = headers or {}
  headers["Content-Type"] = "application/json"
  return { status = status, body = body, headers = headers }
end

-- A handler that is for those only who are signed in: it gets their name.
local function signed_in(handler)
  return function(request, ...)
    local token = ("; " .. (request.headers.cookie or "")):match "; session=([%x-]+)"
    local name = token and query(sql.WHO, token)
    if not name then return { status = 401 } end
    return handler(request, name, ...)
  end
end

-- A text of 1 to max bytes in the request's JSON. That the page must say so keeps forms of other sites out.
local function text_of(request, field, max)
  if request.headers["content-type"] ~= "application/json" then return nil end
  local ok, data = pcall(cjson.decode, request.body)
  local text = ok and type(data) == "table" and data[field]
  return type(text) == "string" and #text <= max and text:find "%S" and not text:find "\0" and text or nil
end

-- DEMO ONLY: a name is enough. A real one wants a password here, or sends people to who knows them.
local function sign_in(request)
  local name = text_of(request, "name", 40)
  if not name then return { status = 400 } end
  local cookie = "session=" .. query(sql.SIGN_IN, name) .. "; Path=/; HttpOnly; SameSite=Strict"
  return json(201, cjson.encode { name = name }, { ["Set-Cookie"] = cookie })
end

local function home(_, name)
  return json(200, ('{"name":%s,"rooms":%s}'):format(cjson.encode(name), query(sql.ROOMS)))
end

local function history(request, _, room)
  return json(200, query(sql.HISTORY, room, request.query:match("^before=" .. ID .. "$") or "0"))
end

local function say(request, name, room)
  local body = text_of(request, "body", 4000)
  if not body then return { status = 400 } end
  local message = query(sql.SAY, room, name, body)
  return message and json(201, message) or { status = 404 }
end

local ROUTES = {
  { "GET", "^/$", file("index.html", "text/html; charset=utf-8") },
  { "GET", "^/lounge%.js$", file("lounge.js", "text/javascript; charset=utf-8") },
  { "GET", "^/style%.css$", file("style.css", "text/css; charset=utf-8") },
  { "GET", "^/favicon%.svg$", file("favicon.svg", "image/svg+xml") },
  { "POST", "^/session$", sign_in },
  { "GET", "^/home$", signed_in(home) },
  { "GET", MESSAGES, signed_in(history) },
  { "POST", MESSAGES, signed_in(say) },
}

local function respond(request)
  for _, route in ipairs(ROUTES) do
    local method, pattern, handler = table.unpack(route)
    local captured = table.pack(request.path:match(pattern))
    if method == request.method and captured[1] then return handler(request, table.unpack(captured)) end
  end
  return { status = 404 }
end

-- Leat's are the WebSocket, the client that it serves for pages, and what operators ask.
local function hand_over(request, socket, bytes)
  local path = request.path
  local is_leats = path == "/ws" or path:find "^/leat/" or path == "/readyz" or path == "/metrics"
  return is_leats and leat:hand_over(socket, bytes)
end

-- The moderator --------------------------------------------------------------------------------------

local RUDE = { "blockhead", "dimwit", "nincompoop" }

local function is_rude(body)
  for _, word in ipairs(RUDE) do
    if body:lower():find(word, 1, true) then return true end
  end
  return false
end

local function take_back(message)
  if message.body == cjson.null or not is_rude(message.body) then return end
  coroutine.wrap(function()
    local ok, author = pcall(query, sql.TAKE_BACK, ("%d"):format(message.id))
    if ok and author then print("took back what " .. author .. " said") end
  end)()
end

-- Reads a room as everybody does: what was said while the program was away is in the snapshot.
local function moderate(room)
  local topic = ("room:%d"):format(room)
  assert(leat:subscribe(topic, {
    user = { id = 0, name = "moderator" },
    snapshot = function(data)
      for _, message in ipairs(data.messages) do take_back(message) end
    end,
    event = function(data)
      if data.said then take_back(data.said) end
    end,
    closed = function()
      local timer = uv.new_timer()
      timer:start(1000, 0, function()
        timer:close()
        moderate(room)
      end)
    end,
  }))
end

-- Life -----------------------------------------------------------------------------------------------

address = http.listen(address, { respond = respond, hand_over = hand_over })
coroutine.wrap(function()
  for _, room in ipairs(cjson.decode(query(sql.ROOMS))) do moderate(room.id) end
end)()

for _, name in ipairs { "sigint", "sigterm" } do
  uv.new_signal():start(name, function()
    leat:stop()
    uv.walk(function(handle)
      if not handle:is_closing() then handle:close() end
    end) -- so the loop ends
  end)
end

print("ready http://" .. address)
io.stdout:flush()
uv.run()
