-- The transactions of every_interleaving, as things that begin, may stand open after some of their statements, and end.
--
-- A function runs in a transaction of a session of its own. A table, { token, publish = TOPIC, data } or
-- { token, call = METHOD, params }, runs through the application's own handler, on a server that stops after each of
-- its statements.

local db = require "leat.spec.db"
local loop = require "leat.spec.loop"
local pg = require "leat.spec.pg"

local M = {}

-- Whoever waits longer for a lock waits for a transaction that the spec itself holds open.
local LOCK_MS = 150
local LOOK_MS = 50 -- how often Postgres is asked whether a handler waits for one

local Commit = {}
Commit.__index = Commit

--- number: its place in the list. env: note(who, text), url, is_another_open(commit), writer() (a gated
--- server and its client for a token; nil if each one stands with another commit).
function M.new(env, number, what)
  return setmetatable({ env = env, who = "commit " .. number, what = what, steps = 0, state = "new" }, Commit)
end

local function is_wait(err)
  err = tostring(err)
  return err:find("lock timeout", 1, true) or err:find("deadlock detected", 1, true)
end

-- In SQL ---------------------------------------------------------------------------------------------

local function begin_sql(self, stop_after)
  self.session = self.session or pg.connect(self.env.url)
  self.session:run(("begin; set local lock_timeout = %d; set local client_min_messages = warning"):format(LOCK_MS))
  self.steps = 0
  self.stop_after = stop_after
  local handle = db.new(self.session, function(sql)
    self.steps = self.steps + 1
    self.env.note(self.who, sql)
    if self.steps == self.stop_after then coroutine.yield() end
  end)
  self.thread = coroutine.create(function() self.what(handle) end)
end

-- Runs on until it stops or has committed. Returns false if it met a lock: then nothing of it has happened.
local function go_sql(self)
  local ok, err = coroutine.resume(self.thread)
  if ok and coroutine.status(self.thread) == "suspended" then
    self.state = "open"
    self.env.note(self.who, "stays open")
    return true
  end
  if ok then ok, err = pcall(self.session.run, self.session, "commit") end
  if not ok then
    pcall(self.session.run, self.session, "rollback")
    self.state = "new"
    if not is_wait(err) and not self.env.is_another_open(self) then
      error(self.who .. " failed: " .. tostring(err), 0)
    end
    self.env.note(self.who, is_wait(err) and "has to wait for a lock: it comes later"
      or "fails, maybe for want of what is open: it comes later")
    return false
  end
  self.state = "done"
  self.env.note(self.who, "commits")
  return true
end

-- Through the application ----------------------------------------------------------------------------

local function stops_of(self)
  local point = self.what.publish and "publish" or "method"
  return function(stop) return stop.point == point end
end

-- Until it stands after that many of its statements, has its answer, or waits for a lock.
local function go_app(self)
  local gates, look_ms = self.writer.gates, loop.now() + LOOK_MS
  loop.eventually(function()
    self.client:pump()
    while gates:standing() and self.state ~= "open" do
      self.steps = self.steps + 1
      self.env.note(self.who, gates:standing().detail)
      if self.steps == self.stop_after then
        self.state = "open"
        self.env.note(self.who, "stays open")
      else
        gates:pass()
      end
    end
    if self.client.answers[self.id] then self.state = "done" end
    if self.state == "running" and loop.now() > look_ms then
      look_ms = loop.now() + LOOK_MS
      return self.env.is_waiting("leat worker 0")
    end
    return self.state ~= "running"
  end, 10000, self.who)
  if self.state == "done" then
    local answer = self.client.answers[self.id]
    self.env.note(self.who, answer.op == "error" and "is refused: " .. answer.code or "is answered")
    gates:want(nil)
    self.writer.busy = nil
  end
  return self.state ~= "running"
end

local function begin_app(self, stop_after)
  local what = self.what
  self.writer, self.client = self.env.writer(what.token)
  if not self.writer then return false end
  self.writer.busy = true
  self.writer.gates:want(stops_of(self))
  self.steps, self.stop_after, self.state = 0, stop_after, "running"
  self.env.note(self.who, what.publish and "publishes to " .. what.publish or "calls " .. what.call)
  self.id = self.client:send(what.publish and { op = "publish", topic = what.publish, data = what.data }
    or { op = "call", method = what.call, params = what.params })
  return true
end

-- Both -----------------------------------------------------------------------------------------------

--- Whether it runs through a handler of the application, at the server that stops.
function Commit:runs_handler()
  return type(self.what) ~= "function"
end

--- Begins. It stands open after that many statements (nil: it runs to its end). Returns false if it waits for a lock,
--- or for a server that can run its handler.
function Commit:begin(stop_after)
  if not self:runs_handler() then
    begin_sql(self, stop_after)
    return go_sql(self)
  end
  return begin_app(self, stop_after) and go_app(self)
end

--- Ends what is open, or tries again what had to wait. Returns false if it still waits.
function Commit:finish()
  if self.state == "done" then return true end
  if self.state == "new" then return self:begin() end
  self.stop_after = nil
  if not self:runs_handler() then return go_sql(self) end
  if self.state == "open" then
    self.state = "running"
    self.writer.gates:pass()
  end
  return go_app(self)
end

function Commit:close()
  if self.session then self.session:close() end
  self.session = nil
end

return M
