-- Plain HTTP requests, and Server-Sent Events.

local loop = require "leat.spec.loop"
local tcp = require "leat.spec.tcp"

local M = {}

--- Takes a head off the connection once it is whole: status, headers (lower-case names); nil before that.
function M.take_head(conn)
  local bytes = conn:bytes()
  local _, at = bytes:find("\r\n\r\n", 1, true)
  if not at then return nil end
  local head = conn:take(at)
  local headers = {}
  for name, value in head:gmatch("\r\n([^:\r\n]+):[ \t]*([^\r\n]*)") do
    headers[name:lower()] = value
  end
  return tonumber(head:match("^HTTP/1%.1 (%d%d%d)")), headers, head
end

--- The text of a request. request: method, path, headers (a table or a list of lines), body.
function M.text(request)
  local lines = { ("%s %s HTTP/1.1"):format(request.method or "GET", request.path) }
  local headers = { ["Host"] = "localhost" }
  if request.body then headers["Content-Length"] = #request.body end
  for name, value in pairs(request.headers or {}) do headers[name] = value end
  for name, value in pairs(headers) do
    if value then lines[#lines + 1] = name .. ": " .. value end
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (request.body or "")
end

--- One answer, { status, headers, body, head }; nil if the peer closed without one.
function M.read_answer(conn, method, limit_ms)
  local status, headers, head
  loop.eventually(function()
    if not status then status, headers, head = M.take_head(conn) end
    return status or conn.ended
  end, limit_ms, "an HTTP answer")
  if not status then return nil end
  local length = tonumber(headers["content-length"] or "0")
  if method == "HEAD" or status == 304 or status == 101 then length = 0 end
  loop.eventually(function() return #conn:bytes() >= length or conn.ended end, limit_ms, "an HTTP body")
  return { status = status, headers = headers, head = head, body = conn:take(length) }
end

--- One request on a connection of its own; request.port, .from and .to say which.
function M.request(server, request)
  if type(request) == "string" then request = { path = request } end
  local conn = tcp.connect(request.port or server.port, request)
  conn:write(M.text(request))
  local answer = M.read_answer(conn, request.method, request.limit_ms)
  conn:close()
  return answer
end

--- Bytes as they are, on a connection of its own: the answer, and whether the server closed after it.
function M.raw(server, bytes, limit_ms)
  local conn = tcp.connect(server.port)
  conn:write(bytes)
  local answer = M.read_answer(conn, bytes:match("^%u+"), limit_ms)
  local closed = conn.ended
  if answer and answer.headers.connection == "close" then
    closed = loop.poll(function() return conn.ended end, limit_ms)
  end
  conn:close()
  return answer, closed
end

local Sse = {}
Sse.__index = Sse

--- Opens a stream of Server-Sent Events; .status and .headers say what was answered.
function M.sse(server, path, headers)
  local all = { Accept = "text/event-stream" }
  for name, value in pairs(headers or {}) do all[name] = value end
  local self = setmetatable({ conn = tcp.connect(server.port) }, Sse)
  self.conn:write(M.text { path = path, headers = all })
  loop.eventually(function()
    self.status, self.headers = M.take_head(self.conn)
    return self.status
  end, nil, "an answer")
  return self
end

--- The next event: { event, id, data }. Comments are passed over.
function Sse:recv(limit_ms)
  return loop.eventually(function()
    local bytes = self.conn:bytes()
    local _, at = bytes:find("\n\n", 1, true)
    if not at then return nil end
    local event, any = {}, false
    for name, value in self.conn:take(at):gmatch("(%l+): ?([^\n]*)\n") do
      event[name], any = value, true
    end
    return any and event or nil
  end, limit_ms, "a Server-Sent Event")
end

function Sse:close()
  self.conn:close()
end

function Sse:abort()
  self.conn:abort()
end

return M
