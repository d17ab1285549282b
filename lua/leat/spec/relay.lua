-- Stands between a server's listener and Postgres, and does to announcements what a broker may do: it drops them,
-- doubles them, gives them in another order, or cuts the connection.

local uv = require "luv"

local M = {}

local NOTIFICATION = "A"

-- The listener's question to itself (csrc/pg/pg_listener.c), after the name of the channel. Without it, a listener
-- that connects anew never listens.
local FENCE = "\0fence:"

local Relay = {}
Relay.__index = Relay

-- The socket of Postgres that a URL leads to: its folder must be in the URL.
local function socket_of(url)
  local folder = url:match("[?&]host=([^&]+)"):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  local port = url:match("[?&]port=(%d+)") or url:match("^%a+://[^/]*:(%d+)/") or "5432"
  return folder .. "/.s.PGSQL." .. port
end

--- True if there can be one: Postgres is reached through a socket of this machine.
function M.possible(url)
  local host = url:match("[?&]host=([^&]+)")
  return host ~= nil and (host:sub(1, 1) == "/" or host:sub(1, 3) == "%2F") and uv.fs_stat(socket_of(url)) ~= nil
end

--- Stands in that folder. Its mode is "pass", "drop", "drop_first" (one), "double" or "delay" (until the next one has
--- gone).
function M.new(url, folder)
  local self = setmetatable({ target = socket_of(url), mode = "pass", pairs = {}, path = folder .. "/.s.PGSQL.5432" },
    Relay)
  self.url = url:gsub("([?&]host=)[^&]+", "%1" .. folder):gsub("([?&]port=)%d+", "%15432")
  self.server = uv.new_pipe(false)
  assert(self.server:bind(self.path))
  assert(self.server:listen(16, function()
    local client = uv.new_pipe(false)
    self.server:accept(client)
    self:join(client)
  end))
  return self
end

local modes = {}
Relay.modes = modes

function modes.pass(_, message) return message end

function modes.drop() return "" end

function modes.drop_first(pair)
  pair.relay.mode = "pass"
  return ""
end

function modes.double(_, message) return message .. message end

function modes.delay(pair, message)
  local late = pair.late or ""
  pair.late = late == "" and message or nil
  return late == "" and "" or message .. late
end

local function is_announcement(message)
  return message:sub(1, 1) == NOTIFICATION and not message:find(FENCE, 1, true)
end

-- The messages that are whole; announcements as the mode has them.
local function filter(self, pair, chunk)
  local bytes, at, out = pair.rest .. chunk, 1, {}
  while #bytes - at + 1 >= 5 do
    local length = string.unpack(">I4", bytes, at + 1)
    if #bytes - at < length then break end
    local message = bytes:sub(at, at + length)
    at = at + length + 1
    out[#out + 1] = is_announcement(message) and modes[self.mode](pair, message) or message
  end
  pair.rest = bytes:sub(at)
  return table.concat(out)
end

local function close(pair)
  for _, pipe in ipairs { pair.client, pair.postgres } do
    if not pipe:is_closing() then pipe:close() end
  end
end

function Relay:join(client)
  local pair = { relay = self, client = client, postgres = uv.new_pipe(false), rest = "" }
  self.pairs[#self.pairs + 1] = pair
  pair.postgres:connect(self.target, function(err)
    if err then return close(pair) end
    client:read_start(function(_, chunk)
      if not chunk then return close(pair) end
      if not pair.postgres:is_closing() then pair.postgres:write(chunk) end
    end)
    pair.postgres:read_start(function(_, chunk)
      if not chunk then return close(pair) end
      local text = filter(self, pair, chunk)
      if text ~= "" and not client:is_closing() then client:write(text) end
    end)
  end)
end

--- Cuts every connection.
function Relay:cut()
  for _, pair in ipairs(self.pairs) do close(pair) end
  self.pairs = {}
end

function Relay:close()
  self:cut()
  if not self.server:is_closing() then self.server:close() end
end

return M
