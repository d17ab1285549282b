-- A subscriber that rebuilds its topic: it knows its position, takes it to the next connection, and fails if what comes
-- does not follow from what it has.

local loop = require "spec.support.loop"

local M = {}

local Follower = {}
Follower.__index = Follower

--- Follows a topic, once it is given a connection. The hooks, both optional, see what it takes: snapshot(data) and
--- event(data).
function M.new(topic, hooks)
  local self = { topic = topic, hooks = hooks or {}, snapshots = 0, unasked = 0, resumes = 0, events = 0 }
  return setmetatable(self, Follower)
end

--- Subscribes on that connection, from where it is.
function Follower:on(client)
  self.client = client
  local since = self.epoch and { epoch = self.epoch, seq = self.seq }
  client:send { op = "subscribe", id = 1, topic = self.topic, since = since }
  return self
end

local take = {}

function take.snapshot(self, message)
  if message.epoch == self.epoch then assert(message.seq >= self.seq, "a snapshot that goes back") end
  self.epoch, self.seq, self.snapshots = message.epoch, message.seq, self.snapshots + 1
  if not message.id then self.unasked = self.unasked + 1 end
  if self.hooks.snapshot then self.hooks.snapshot(message.data) end
end

function take.resumed(self, message)
  assert(message.epoch == self.epoch and message.seq == self.seq, "resumed from another position")
  self.resumes = self.resumes + 1
end

function take.event(self, message)
  if message.seq ~= self.seq + 1 then error(("event %d after %d"):format(message.seq, self.seq), 0) end
  self.seq, self.events = message.seq, self.events + 1
  if self.hooks.event then self.hooks.event(message.data) end
end

function take.skip(self, message)
  if message.seq ~= self.seq + 1 then error(("skip %d after %d"):format(message.seq, self.seq), 0) end
  self.seq = message.seq
end

--- Takes what has come. Waits for nothing.
function Follower:catch_up()
  while self.client and self.client:waiting() > 0 do
    local message, text = self.client:recv()
    local fn = take[message.op]
    if not fn or message.topic ~= self.topic then error("not to follow: " .. text:sub(1, 500), 0) end
    fn(self, message)
  end
  return self
end

--- Takes what comes until fn(self) is true.
function Follower:await(fn, limit_ms)
  loop.eventually(function() return fn(self:catch_up()) end, limit_ms, function()
    return ("%s from %s %s on"):format(self.topic, tostring(self.epoch), tostring(self.seq))
  end)
  return self
end

--- ... until it is at the topic's position, as that session sees it. A crash may have put another history in place
--- that the server has not noticed yet: so the position is read again while the epochs differ.
function Follower:await_position(session, limit_ms)
  local sql = "select epoch, seq from leat_internal.position(" .. session:quote(self.topic) .. ")"
  local at
  local function read()
    local ok, rows = pcall(session.rows, session, sql)
    at = ok and rows[1]
    return at
  end
  loop.eventually(read, limit_ms, "a position")
  return self:await(function()
    if not at or self.epoch ~= at.epoch then read() end
    return at and self.epoch == at.epoch and self.seq == tonumber(at.seq)
  end, limit_ms)
end

return M
