-- A WebSocket client that hides nothing: messages decoded and raw, frames, bytes, resets.

local cjson = require "cjson"
local frame = require "leat.spec.frame"
local http = require "leat.spec.http"
local loop = require "leat.spec.loop"
local tcp = require "leat.spec.tcp"

local M = {}

local KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" -- RFC 6455 §1.3

local Ws = {}
Ws.__index = Ws

--- The headers that ask for an upgrade, with changes.
function M.headers(changes)
  local headers = {
    ["Upgrade"] = "websocket",
    ["Connection"] = "Upgrade",
    ["Sec-WebSocket-Version"] = "13",
    ["Sec-WebSocket-Key"] = KEY,
  }
  for name, value in pairs(changes or {}) do headers[name] = value end
  return headers
end

-- A head comes alone; what follows it are frames.
local function take_answer(self, limit_ms)
  local status, headers
  loop.eventually(function()
    status, headers = http.take_head(self.tcp)
    return status or self.tcp.ended
  end, limit_ms, "an answer to the upgrade")
  self.status, self.headers = status, headers
  if status == 101 then return end
  local length = tonumber(headers and headers["content-length"] or "0")
  loop.eventually(function() return #self.tcp:bytes() >= length or self.tcp.ended end, limit_ms, "a body")
  self.body = self.tcp:take(length)
end

--- Asks for an upgrade, and says how it was answered: .status, .headers, and .body if it was refused.
--- options: path ("/ws"), token (as a header), headers (changes), prefix (bytes before the request), limit_ms.
function M.attempt(server, options)
  options = options or {}
  local headers = M.headers(options.headers)
  if options.token then headers["Authorization"] = "Bearer " .. options.token end
  local self = setmetatable({ queue = {}, first = 1, last = 0, pongs = {}, tcp = tcp.connect(server.port) }, Ws)
  self.tcp:write((options.prefix or "") .. http.text { path = options.path or "/ws", headers = headers })
  if not options.pipelined then take_answer(self, options.limit_ms) end
  return self
end

--- Waits for the answer to an attempt that did not (options.pipelined).
function Ws:await_upgrade(limit_ms)
  take_answer(self, limit_ms)
  if self.status ~= 101 then error("upgrade refused: " .. tostring(self.status), 2) end
end

--- Connects, or fails.
function M.connect(server, options)
  local self = M.attempt(server, options)
  if self.status ~= 101 then
    error(("upgrade refused: %s %s"):format(tostring(self.status), tostring(self.body)), 2)
  end
  assert(self.headers["sec-websocket-accept"] == ACCEPT, "wrong Sec-WebSocket-Accept")
  return self
end

-- Moves whole frames from the socket to the queue.
local function pump(self)
  local bytes = self.tcp:bytes()
  local extensions = self.headers["sec-websocket-extensions"]
  local window = extensions and tonumber(extensions:match("server_max_window_bits=(%d+)") or 15)
  local at = 1
  while true do
    local f, next_at = frame.decode(bytes, at, window)
    if not f then break end
    assert(f.fin, "this server sends no fragments")
    at = next_at
    if f.op == frame.TEXT or f.op == frame.BINARY then
      self.last = self.last + 1
      self.queue[self.last] = f
    elseif f.op == frame.PONG then
      self.pongs[f.payload] = true
    elseif f.op == frame.PING then
      self:send_frame { op = frame.PONG, payload = f.payload }
    elseif f.op == frame.CLOSE then
      self.close_code = #f.payload >= 2 and string.unpack(">I2", f.payload) or 1005
      self.close_reason = f.payload:sub(3)
    end
  end
  if at > 1 then self.tcp:take(at - 1) end
end

local function describe_state(self)
  if self.close_code then return (" (closed %d %s)"):format(self.close_code, self.close_reason) end
  return self.tcp.ended and " (connection ended)" or ""
end

-- Sending ---------------------------------------------------------------------------------------------

function Ws:send_bytes(bytes)
  self.tcp:write(bytes)
end

function Ws:send_frame(f)
  self.tcp:write(frame.encode(f))
end

function Ws:send_text(text)
  self:send_frame { op = frame.TEXT, payload = text }
end

function Ws:send(message)
  self:send_text(type(message) == "string" and message or cjson.encode(message))
end

-- Receiving -------------------------------------------------------------------------------------------

--- The next message frame as it is, or nil within the limit.
function Ws:poll_frame(limit_ms)
  local value = loop.poll(function()
    pump(self)
    if self.queue[self.first] then return self.queue[self.first] end
    return (self.close_code or self.tcp.ended) and "over"
  end, limit_ms)
  if type(value) ~= "table" then return nil end
  self.queue[self.first] = nil
  self.first = self.first + 1
  return value
end

--- The next message: decoded, and its text.
function Ws:recv(limit_ms)
  local f = self:poll_frame(limit_ms)
  if not f then
    error(("no message within %d ms%s"):format(limit_ms or loop.LIMIT_MS, describe_state(self)), 2)
  end
  assert(f.op == frame.TEXT, "leat.v1 is text")
  return cjson.decode(f.payload), f.payload
end

--- The next message, which must be of that kind (and answer that id).
function Ws:expect(op, id, limit_ms)
  local f = self:poll_frame(limit_ms)
  if not f then error(("no %s came%s"):format(op, describe_state(self)), 2) end
  local message = cjson.decode(f.payload)
  if message.op ~= op or (id ~= nil and message.id ~= id) then
    error(("expected %s%s, got %s"):format(op, id and " to " .. tostring(id) or "", f.payload:sub(1, 500)), 2)
  end
  return message, f.payload
end

--- Sends and expects the answer.
function Ws:ask(message, op, limit_ms)
  self:send(message)
  return self:expect(op, message.id, limit_ms)
end

--- Subscribes, and returns the snapshot: decoded, and its text.
function Ws:subscribe(topic, fields, limit_ms)
  self.asked = (self.asked or 1000) + 1
  local message = { op = "subscribe", id = self.asked, topic = topic }
  for key, value in pairs(fields or {}) do message[key] = value end
  self:send(message)
  local f = self:poll_frame(limit_ms)
  if not f then error("no answer to a subscribe" .. describe_state(self), 2) end
  local answer = cjson.decode(f.payload)
  if answer.op ~= "snapshot" or answer.id ~= message.id then
    error("expected a snapshot, got " .. f.payload:sub(1, 500), 2)
  end
  return answer, f.payload
end

--- Messages up to and with the first for which fn(message) is true.
function Ws:until_message(fn, limit_ms)
  local all = {}
  repeat
    local message, text = self:recv(limit_ms)
    all[#all + 1] = message
    if fn(message) then return message, all, text end
  until false
end

--- All messages that are on their way to us when the server has read what we sent before.
function Ws:drain()
  self.fences = (self.fences or 0) + 1
  local mark = "fence " .. self.fences
  self:send_frame { op = frame.PING, payload = mark }
  loop.eventually(function()
    pump(self)
    return self.pongs[mark]
  end, nil, function() return "a pong" .. describe_state(self) end)
  local all = {}
  while self.queue[self.first] do
    all[#all + 1] = cjson.decode(self.queue[self.first].payload)
    self.queue[self.first] = nil
    self.first = self.first + 1
  end
  return all
end

--- How many messages have come and were not taken.
function Ws:waiting()
  pump(self)
  return self.last - self.first + 1
end

-- The end ---------------------------------------------------------------------------------------------

--- Waits until the server has closed; the code (1006 without a close frame) and its reason.
function Ws:closed(limit_ms)
  loop.eventually(function()
    pump(self)
    return self.close_code or self.tcp.ended
  end, limit_ms, "the close of a WebSocket")
  local code, reason = self.close_code or 1006, self.close_reason or ""
  if self.close_code and not self.tcp.handle:is_closing() then
    self:send_frame { op = frame.CLOSE, payload = frame.close_payload(1000) }
    loop.poll(function() return self.tcp.ended end, limit_ms)
  end
  self.tcp:close()
  return code, reason
end

--- Closes in order.
function Ws:close(code)
  if self.tcp.handle:is_closing() then return end
  if not self.tcp.ended and self.status == 101 then
    self:send_frame { op = frame.CLOSE, payload = frame.close_payload(code or 1000) }
    loop.poll(function()
      pump(self)
      return self.tcp.ended
    end, 2000)
  end
  self.tcp:close()
end

--- Goes away without a word.
function Ws:abort()
  self.tcp:abort()
end

return M
