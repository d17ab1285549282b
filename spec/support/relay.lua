-- A TCP relay between a client and a server, which can cut the connection where neither of them expects it. Its port
-- stays while servers come and go.

local uv = require "luv"

local M = {}

local Relay = {}
Relay.__index = Relay

local function close(handle)
  if not handle:is_closing() then handle:close() end
end

-- What comes from one side goes to the other; the end of one is the end of both.
local function join(from, to)
  from:read_start(function(_, chunk)
    if chunk and not to:is_closing() then return to:write(chunk) end
    close(from)
    close(to)
  end)
end

local function on_client(self)
  local client = uv.new_tcp()
  self.listener:accept(client)
  client:nodelay(true)
  if self.is_down or not self.port_of() then return close(client) end
  local server = uv.new_tcp()
  self.pairs[client] = server
  server:connect("127.0.0.1", self.port_of(), function(err)
    if err or client:is_closing() then
      close(client)
      return close(server)
    end
    server:nodelay(true)
    join(client, server)
    join(server, client)
  end)
end

--- A relay that is listening: .port. port_of() says where the server is, or nil if there is none.
function M.start(port_of)
  local self = setmetatable({ port_of = port_of, pairs = {}, listener = uv.new_tcp(), is_down = false }, Relay)
  assert(self.listener:bind("127.0.0.1", 0))
  self.port = self.listener:getsockname().port
  assert(self.listener:listen(128, function() on_client(self) end))
  return self
end

--- Ends every connection with a reset, and refuses others until it is let up.
function Relay:cut()
  self.is_down = true
  for client, server in pairs(self.pairs) do
    if not client:is_closing() then client:close_reset() end
    if not server:is_closing() then server:close_reset() end
  end
  self.pairs = {}
end

function Relay:let_up()
  self.is_down = false
end

function Relay:close()
  self:cut()
  close(self.listener)
  uv.run("nowait")
end

return M
