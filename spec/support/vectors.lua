-- The test vectors of clients/protocol, played against a real server: this side is the client.

local cjson = require "cjson"
local base64url = require "spec.support.base64url"
local env = require "spec.support.env"
local files = require "spec.support.files"
local frame = require "spec.support.frame"
local loop = require "spec.support.loop"
local pattern = require "spec.support.vector_pattern"
local protobuf = require "spec.support.protobuf"
local ws = require "spec.support.ws"

local M = {}

local FOLDER = env.root() .. "/clients/protocol/"

M.app = files.read(FOLDER .. "app.lua")
M.schema = files.read(FOLDER .. "schema.sql")

--- What a file holds ("leat.v1/connect.json", or a page with one in it).
function M.read(name)
  local text = files.read(FOLDER .. name)
  return cjson.decode(text:match("\n```json\n(.-)\n```") or text)
end

--- The vectors of a file that are for a server.
function M.load(name)
  local list = {}
  for _, vector in ipairs(M.read(name).vectors) do
    for _, side in ipairs(vector["for"]) do
      if side == "server" then list[#list + 1] = vector end
    end
  end
  return list
end

--- The bytes of base64 with padding.
function M.base64(text)
  return base64url.decode((text:gsub("[+/=]", { ["+"] = "-", ["/"] = "_", ["="] = "" })))
end

-- Steps that are about the client's own application, and about time, which a server does not notice.
local OTHERS = { "app", "told", "pass_ms" }

local function steps_for_server(steps)
  local list = {}
  for _, step in ipairs(steps) do
    local is_other = false
    for _, verb in ipairs(OTHERS) do is_other = is_other or step[verb] ~= nil end
    if not is_other then list[#list + 1] = step end
  end
  return list
end

local Player = {}
Player.__index = Player

-- The next message of the server, taken out of its frame; nil if the connection has ended.
local function next_message(self)
  if not self.held[1] then
    local f = self.client:poll_frame()
    if not f then return nil end
    self.held = self.protocol.decode(f.payload)
  end
  return table.remove(self.held, 1)
end

local function describe(step)
  return cjson.encode(step):sub(1, 400)
end

-- Pings come whenever it is time for one.
local function is_ping(message)
  return type(message) == "table" and next(message) == nil
end

local function expects_ping(sequences)
  for _, sequence in ipairs(sequences) do
    if sequence[1] and is_ping(sequence[1].server) then return true end
  end
end

-- One message, which must be the head of one of the sequences: that sequence. Pings that none of them has are passed
-- over.
local function take_one_of(self, sequences)
  local message = next_message(self)
  while is_ping(message) and not expects_ping(sequences) do message = next_message(self) end
  local reasons = {}
  for _, sequence in ipairs(sequences) do
    local step = sequence[1]
    if message ~= nil and step and step.server ~= nil then
      local bound, reason = pattern.match(step.server, message, self.values)
      if bound then
        self.values = bound
        table.remove(sequence, 1)
        return sequence
      end
      reasons[#reasons + 1] = reason
    end
  end
  error(("step %d: got %s\n%s"):format(self.at, message and cjson.encode(message) or "the end of the connection",
    table.concat(reasons, "\n")), 0)
end

local act = {}

function act:connect(step)
  if self.await_restart then self.await_restart() end
  self.await_restart = nil
  self.held = {}
  local headers = { ["Sec-WebSocket-Protocol"] = self.protocol.subprotocol }
  for name, value in pairs(step.headers or {}) do headers[name] = value end
  self.client = ws.attempt(self.stage.server, { path = step.connect, headers = headers })
  assert(self.client.status == (step.status or 101), "the upgrade was answered " .. tostring(self.client.status))
  table.insert(self.stage.clients, self.client)
  local subprotocol = step.subprotocol
  assert(not subprotocol or self.client.headers["sec-websocket-protocol"] == subprotocol, "no subprotocol")
end

function act:client(step)
  self.client:send_frame {
    op = self.protocol.opcode,
    payload = self.protocol.encode(pattern.fill(step.client, self.values)),
  }
end

function act:client_text(step)
  for _ = 1, step.times or 1 do self.client:send_text(step.client_text) end
end

function act:client_bytes(step)
  self.client:send_bytes(M.base64(step.client_bytes))
end

function act:client_close(step)
  self.client:send_frame { op = frame.CLOSE, payload = frame.close_payload(step.client_close.code) }
end

function act:ping(step)
  self.client.pongs = {}
  self.client:send_frame { op = frame.PING, payload = step.ping }
  loop.eventually(function()
    self.client:waiting()
    return self.client.pongs[step.ping]
  end, nil, "a pong")
end

function act:server(step)
  take_one_of(self, { { step } })
end

function act:server_close(step)
  while step.skipping and next_message(self) do end
  local message = next_message(self)
  assert(message == nil, "before the close came " .. cjson.encode(message))
  local code, reason = self.client:closed()
  local bound, why = pattern.match(step.server_close, { code = code, reason = reason }, self.values)
  if not bound then error(why, 0) end
  self.values = bound
  self.client = nil
end

function act:cut()
  self.client:abort()
  self.client = nil
end

function act:sql(step)
  self.stage.session:run(step.sql)
end

function act:operator(step)
  assert(step.operator == "restart")
  self.await_restart = self.stage.restart()
end

function act:one_of(step)
  local sequences = {}
  for i, steps in ipairs(step.one_of) do sequences[i] = steps_for_server(steps) end
  for _, rest in ipairs(take_one_of(self, sequences)) do self:play(rest) end
end

function act:any_order(step)
  local sequences, left = {}, 0
  for i, steps in ipairs(step.any_order) do
    sequences[i] = steps_for_server(steps)
    left = left + #sequences[i]
  end
  for _ = 1, left do take_one_of(self, sequences) end
end

function Player:play(step)
  for verb, fn in pairs(act) do
    if step[verb] ~= nil then return fn(self, step) end
  end
  error("no such step: " .. describe(step))
end

--- Plays a vector.
--- stage: as of stage.open, with restart(), which begins to stop the server and returns a function that waits until
--- another one listens.
--- protocol: { decode(payload) -> messages, encode(message or list of messages), opcode, subprotocol }.
function M.play(vector, stage, protocol)
  local self = setmetatable({ stage = stage, protocol = protocol, held = {}, values = {} }, Player)
  for name, value in pairs(vector.variables or {}) do self.values[name] = { offered = value } end
  for at, step in ipairs(steps_for_server(vector.steps)) do
    self.at = at
    local ok, err = pcall(self.play, self, step)
    if not ok then error(("%s, at %s\n%s"):format(vector.name, describe(step), err), 0) end
  end
  if not self.client or self.client.status ~= 101 then return end
  act.ping(self, { ping = "the end" })
  local rest
  while (self.held[1] or self.client:waiting() > 0) and (rest == nil or is_ping(rest)) do rest = next_message(self) end
  rest = not is_ping(rest) and rest
  assert(not rest, rest and vector.name .. ": then came " .. cjson.encode(rest))
  self.client:close()
end

--- leat.v1: a message a frame.
M.leat_v1 = {
  opcode = frame.TEXT,
  encode = function(message) return cjson.encode(message) end,
  decode = function(payload) return { cjson.decode(payload) } end,
}

-- A message alone is a list of one. (An empty one is a ping.)
local function list_of(messages)
  return messages[1] and messages or { messages }
end

--- Centrifuge's protocol as JSON: messages are lines.
M.centrifuge_json = {
  opcode = frame.TEXT,
  encode = function(messages)
    local lines = {}
    for i, message in ipairs(list_of(messages)) do lines[i] = cjson.encode(message) end
    return table.concat(lines, "\n")
  end,
  decode = function(payload)
    local messages = {}
    for line in payload:gmatch("[^\n]+") do messages[#messages + 1] = cjson.decode(line) end
    return messages
  end,
}

--- The fields of its protobuf messages.
M.fields = M.read("centrifuge/fields.json")

--- The same as protobuf: each message has its length before it.
M.centrifuge_protobuf = {
  opcode = frame.BINARY,
  subprotocol = "centrifuge-protobuf",
  encode = function(messages) return protobuf.encode_frame(M.fields, "Command", list_of(messages)) end,
  decode = function(payload) return protobuf.decode_frame(M.fields, "Reply", payload) end,
}

return M
