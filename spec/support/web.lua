-- A small HTTP server inside the specs' process: it answers every request as a function says.

local uv = require "luv"
local loop = require "spec.support.loop"

local M = {}

local Web = {}
Web.__index = Web

local function answer(socket, status, body, headers)
  local lines = { ("HTTP/1.1 %d X"):format(status), "Content-Length: " .. #body }
  if not (headers and headers.keeps_open) then lines[#lines + 1] = "Connection: close" end
  for _, line in ipairs(headers or {}) do lines[#lines + 1] = line end
  socket:write(table.concat(lines, "\r\n") .. "\r\n\r\n" .. body, function()
    if not socket:is_closing() then socket:close() end
  end)
end

local function take(self, socket)
  local text = ""
  socket:read_start(function(_, chunk)
    text = text .. (chunk or "")
    if not chunk and not socket:is_closing() then socket:close() end
    if not chunk or not text:find("\r\n\r\n", 1, true) then return end
    local path = text:match("^%u+ (%S+)")
    text = ""
    self.requests[#self.requests + 1] = path
    local function reply(...) answer(socket, ...) end
    local status, body, headers = self.handler(path, reply)
    if status then reply(status, body, headers) end
  end)
end

--- handler(path, reply) returns status, body and header lines; or nil: then reply(...) answers later, or nobody does.
--- With keeps_open = true beside the lines, the answer does not say that the connection ends with it.
function M.serve(handler)
  local self = setmetatable({ handler = handler, requests = {}, sockets = {}, tcp = uv.new_tcp() }, Web)
  assert(self.tcp:bind("127.0.0.1", 0))
  self.port = self.tcp:getsockname().port
  assert(self.tcp:listen(128, function()
    local socket = uv.new_tcp()
    self.tcp:accept(socket)
    self.sockets[#self.sockets + 1] = socket
    take(self, socket)
  end))
  self.url = ("http://127.0.0.1:%d"):format(self.port)
  return self
end

--- Closes it, and waits until its sockets are gone: their callbacks must not come after the end of the specs.
function Web:close()
  local open = 0
  local function close(handle)
    if handle:is_closing() then return end
    open = open + 1
    handle:close(function() open = open - 1 end)
  end
  close(self.tcp)
  for _, socket in ipairs(self.sockets) do close(socket) end
  loop.eventually(function() return open == 0 end, nil, "the end of a web server")
end

return M
