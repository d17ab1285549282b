-- A raw client of Centrifugo's protocol, JSON: a line is a message.

local cjson = require "cjson"

local M = {}

local Client = {}
Client.__index = Client

--- Connects. stage: as of stage.open. connect: the members of the first command; false: it is not sent.
function M.open(stage, connect)
  local self = setmetatable({ lines = {}, pushes = {}, id = 0 }, Client)
  self.ws = stage:connect { path = "/connection/websocket" }
  if connect then self.welcome = self:ask { connect = connect } end
  return self
end

--- The same; the server must let the client in.
function M.connect(stage, connect)
  local self = M.open(stage, connect)
  assert(self.welcome.connect, cjson.encode(self.welcome))
  self.welcome = self.welcome.connect
  return self
end

-- The next message that is no ping.
function Client:next()
  while true do
    if #self.lines == 0 then
      local frame = self.ws:poll_frame()
      assert(frame, "no message came")
      for line in frame.payload:gmatch("[^\n]+") do self.lines[#self.lines + 1] = line end
    end
    local line = table.remove(self.lines, 1)
    if line ~= "{}" then return cjson.decode(line) end
  end
end

--- Sends a command; returns its id.
function Client:send(command)
  self.id = self.id + 1
  command.id = self.id
  self.ws:send_text(cjson.encode(command))
  return self.id
end

--- Sends a command and returns its reply. Pushes that come before it are kept.
function Client:ask(command)
  local id = self:send(command)
  while true do
    local message = self:next()
    if message.id == id then return message end
    assert(message.push, cjson.encode(message))
    self.pushes[#self.pushes + 1] = message.push
  end
end

--- The next push, which must be of that kind.
function Client:push(kind)
  local push = table.remove(self.pushes, 1) or self:next().push
  assert(push and push[kind], cjson.encode(push))
  return push
end

--- The next push of that kind; those before it are dropped.
function Client:skip_to(kind)
  while true do
    local push = table.remove(self.pushes, 1) or self:next().push
    if push and push[kind] then return push end
  end
end

--- Subscribes; returns the reply.
function Client:subscribe(topic, options)
  options = options or {}
  options.channel = topic
  local reply = self:ask { subscribe = options }
  return assert(reply.subscribe, cjson.encode(reply))
end

function Client:closed()
  return self.ws:closed()
end

function Client:close()
  self.ws:close()
end

return M
