-- A client as a spec wants it: it subscribes, publishes and calls, takes what comes, and remembers its wire.

local cjson = require "cjson"
local loop = require "leat.spec.loop"
local pg = require "leat.spec.pg"
local ws = require "leat.spec.ws"

local M = {}

-- How many lines of a wire are printed.
local SHOWN_LINES = 60
local SHOWN_BYTES = 400

-- What a refused upgrade means if its body does not say.
local CODES = { [401] = "unauthenticated", [403] = "forbidden", [404] = "not_found", [429] = "rate_limited",
  [503] = "unavailable" }

local Client = {}
Client.__index = Client

--- A client of that server, connected at its first use. options: token, path, headers.
function M.new(server, options)
  local self = { server = server, options = options or {}, ids = 0, answers = {}, topics = {}, lines = {} }
  return setmetatable(self, Client)
end

local function note(self, direction, text)
  if #text > SHOWN_BYTES then text = text:sub(1, SHOWN_BYTES) .. " …" end
  self.lines[#self.lines + 1] = direction .. " " .. text
  if self.on_line then self.on_line(direction, text) end
end

--- What it has sent and received, as text.
function Client:wire()
  local first = math.max(1, #self.lines - SHOWN_LINES + 1)
  return ("the wire of the client with token %s:\n  %s"):format(tostring(self.options.token),
    table.concat(self.lines, "\n  ", first))
end

local function fail(self, text, level)
  error(text .. "\n" .. self:wire(), (level or 1) + 1)
end

--- Connects. Returns nil and the refusal if the server does not let it in.
function Client:try_connect()
  if self.ws then return true end
  local attempt = ws.attempt(self.server, self.options)
  if attempt.status == 101 then
    self.ws = attempt
    note(self, "--", "connected")
    return true
  end
  local ok, body = pcall(cjson.decode, attempt.body or "")
  local refusal = ok and type(body) == "table" and body or { message = attempt.body }
  refusal.code = refusal.code or CODES[attempt.status] or "status " .. tostring(attempt.status)
  note(self, "--", "refused: " .. refusal.code)
  attempt:abort()
  return nil, refusal
end

function Client:connect()
  local ok, refusal = self:try_connect()
  if not ok then fail(self, "the server refused the connection: " .. refusal.code, 2) end
  return self
end

-- Receiving ------------------------------------------------------------------------------------------

local function take(self, message, text)
  note(self, "<-", text)
  if message.id ~= nil then self.answers[message.id] = message end
  local subscription = message.topic and self.topics[message.topic]
  if subscription then subscription:take(message) end
end

--- Takes what has come. Waits for nothing.
function Client:pump()
  while self.ws and not self.is_slow and self.ws:waiting() > 0 do
    local message, text = self.ws:recv()
    take(self, message, text)
  end
  if self.ws and self.ws.close_code and not self.end_noted then
    self.end_noted = true
    note(self, "--", ("closed by the server: %d %s"):format(self.ws.close_code, self.ws.close_reason))
  end
end

--- Waits until fn() returns something true, and returns that.
function Client:await(fn, what, limit_ms)
  local value = loop.poll(function()
    self:pump()
    local found = fn()
    if found then return { found } end
    return self.ws and (self.ws.close_code or self.ws.tcp.ended) and "over"
  end, limit_ms)
  if type(value) == "table" then return value[1] end
  fail(self, (value and "the connection ended before there was " or "there was no ") .. what, 2)
end

--- Sends a message and returns the answer to it, whatever it is.
function Client:ask(message, limit_ms)
  local id = self:send(message)
  return self:await(function() return self.answers[id] end, "answer to " .. message.op, limit_ms)
end

--- Sends a message with an id of its own, which it returns.
function Client:send(message)
  self:connect()
  self.ids = self.ids + 1
  message.id = self.ids
  local text = cjson.encode(message)
  note(self, "->", text)
  self.ws:send(text)
  return self.ids
end

-- Subscriptions --------------------------------------------------------------------------------------

local Subscription = {}
Subscription.__index = Subscription

function Subscription:take(message)
  local op = message.op
  if op == "snapshot" then
    self.snapshot, self.epoch, self.seq = message, message.epoch, message.seq
    self.snapshots = self.snapshots + 1
  elseif op == "event" or op == "skip" then
    if self.seq and message.seq ~= self.seq + 1 then
      self.broken = self.broken or ("%s %d came after %d"):format(op, message.seq, self.seq)
    end
    self.seq = message.seq
  elseif op == "closed" then
    self.over = message
  end
  local queue = self.queues[op]
  if queue then queue[#queue + 1] = message end
  if self.on_message then self.on_message(message) end
end

local function next_of(self, op, limit_ms)
  return self.client:await(function() return table.remove(self.queues[op], 1) end, op .. " of " .. self.topic, limit_ms)
end

--- The next event: { seq, data, … }.
function Subscription:event(limit_ms)
  return next_of(self, "event", limit_ms)
end

--- The next signal.
function Subscription:signal(limit_ms)
  return next_of(self, "signal", limit_ms)
end

--- The next snapshot that replaces the one before.
function Subscription:resync(limit_ms)
  return next_of(self, "snapshot", limit_ms)
end

--- Waits for the end of the subscription: { code, message }.
function Subscription:closed(limit_ms)
  return self.client:await(function() return self.over end, "end of " .. self.topic, limit_ms)
end

-- The number of the last event that was committed.
local function last_seq(self)
  local session = pg.connect(self.client.server.url)
  local seq = session:value("select seq from leat_internal.position(" .. session:quote(self.topic) .. ")")
  session:close()
  return tonumber(seq) or 0
end

--- Fails if an event or a signal is there that was not taken: what is committed until now has come.
function Subscription:quiet()
  local client, seq = self.client, last_seq(self)
  client:await(function() return self.over or (self.seq or 0) >= seq end, "end of what was committed to " .. self.topic)
  client:round_trip()
  for _, op in ipairs { "event", "signal" } do
    if #self.queues[op] > 0 then fail(self.client, "there is one more " .. op .. " of " .. self.topic, 2) end
  end
end

function Subscription:unsubscribe()
  local answer = self.client:ask { op = "unsubscribe", topic = self.topic }
  self.client.topics[self.topic] = nil
  return answer
end

--- Begins to subscribe. Returns the subscription, and the id of the message.
function Client:begin(topic, fields)
  local subscription = setmetatable({ client = self, topic = topic, snapshots = 0,
    queues = { event = {}, signal = {}, snapshot = {} } }, Subscription)
  local message = { op = "subscribe", topic = topic }
  for key, value in pairs(fields or {}) do message[key] = value end
  self:connect()
  self.topics[topic] = subscription
  return subscription, self:send(message)
end

--- Subscribes. fields: params, since, timeout_ms. Fails if it is refused.
function Client:subscribe(topic, fields)
  local subscription, id = self:begin(topic, fields)
  local answer = self:await(function() return self.answers[id] end, "answer to a subscribe")
  if answer.op == "error" then fail(self, ("%s is refused: %s"):format(topic, answer.code), 2) end
  if answer.op == "resumed" then subscription.epoch, subscription.seq = answer.epoch, answer.seq end
  subscription.queues.snapshot = {}
  subscription.data = answer.data
  return subscription
end

--- Subscribes, and must be refused: { code, message }. A refused connection counts.
function Client:refused(topic, fields)
  local ok, refusal = self:try_connect()
  if not ok then return refusal end
  local _, id = self:begin(topic, fields)
  local answer = self:await(function() return self.answers[id] end, "answer to a subscribe")
  if answer.op ~= "error" then fail(self, topic .. " is not refused", 2) end
  self.topics[topic] = nil
  return answer
end

-- Requests -------------------------------------------------------------------------------------------

local function request(self, message)
  local answer = self:ask(message)
  if answer.op == "error" then fail(self, ("%s is refused: %s"):format(message.op, answer.code), 3) end
  return answer.data
end

--- Publishes to a topic. Returns what the handler returned; fails if it is refused.
function Client:publish(topic, data)
  return request(self, { op = "publish", topic = topic, data = data })
end

--- Calls a method. Returns what it returned; fails if it is refused.
function Client:call(method, params)
  return request(self, { op = "call", method = method, params = params })
end

-- Faults and ends ------------------------------------------------------------------------------------

--- Reads nothing from here on; false: reads again.
function Client:slow(is_slow)
  self:connect()
  self.is_slow = is_slow ~= false
  if self.is_slow then self.ws.tcp:read_stop() else self.ws.tcp:read_start() end
end

--- Goes away without a word.
function Client:vanish()
  if self.ws then self.ws:abort() end
  self.ws = nil
  note(self, "--", "vanished")
end

--- Waits until the server has read what was sent, and has sent what it had.
function Client:round_trip()
  self:connect()
  for _, message in ipairs(self.ws:drain()) do take(self, message, cjson.encode(message)) end
end

--- Waits until the server closes the connection: its code and reason.
function Client:closed(limit_ms)
  self:pump()
  return self.ws:closed(limit_ms)
end

function Client:close()
  if self.ws then self.ws:close() end
  self.ws = nil
end

return M
