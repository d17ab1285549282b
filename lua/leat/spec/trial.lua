-- One subscribe, with the commits of one way between its steps: what the client has in the end, and how it got there.

local cjson = require "cjson"
local commits = require "leat.spec.commits"
local compare = require "leat.spec.compare"
local loop = require "leat.spec.loop"

local M = {}

local LIMIT_MS = 30000 -- a listener that was cut comes back, and a fetch that was cut with it is repeated

-- Where the server stops, in words. The states and reads that are not here make no difference to an application.
local STOPS = {
  AUTHORIZING = "is about to run the handler",
  subscribe = "the handler has read: ",
  STARTING = "has armed the topic",
  position = "has read the topic's position",
  refresh = "refresh has read: ",
  snapshot = "snapshot has read: ",
  composed = "has composed the snapshot",
  REPLAYING = "is about to replay what came meanwhile",
}

local Trial = {}
Trial.__index = Trial

--- env: twin, url, control (a session), subscribe (topic, token, headers, params), apply, start, commits, writer.
function M.new(env)
  local self = setmetatable({ env = env, lines = {}, stops = {}, waiting = {}, commits = {} }, Trial)
  local seen = {
    url = env.url, writer = env.writer,
    note = function(who, text) self:note(who, text) end,
    is_waiting = function(name) return self:is_waiting(name) end,
    is_another_open = function(commit)
      for _, other in ipairs(self.commits) do
        if other ~= commit and other.state == "open" then return true end
      end
      return false
    end,
  }
  for number, what in ipairs(env.commits) do self.commits[number] = commits.new(seen, number, what) end
  return self
end

function Trial:note(who, text)
  self.lines[#self.lines + 1] = ("%-9s %s"):format(who, (text:gsub("%s+", " ")))
end

--- Whether a connection of that name waits for a lock.
function Trial:is_waiting(name)
  local control = self.env.control
  return control:value(([[select count(*) from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and application_name like %s]]):format(
    control:quote(name .. "%"))) ~= "0"
end

-- The client's state ---------------------------------------------------------------------------------

local function on_message(self, message)
  local env = self.env
  if message.op == "snapshot" then
    self.state = env.start(compare.copy(message.data))
  elseif message.op == "event" then
    local ok, state = pcall(env.apply, self.state, message)
    if not ok then self.apply_failed = self.apply_failed or tostring(state) end
    if ok and state ~= nil then self.state = state end
  end
end

local function begin(self)
  local asked = self.env.subscribe
  self.client = self.env.twin:client { token = asked.token, headers = asked.headers }
  self.client:connect()
  self.client.on_line = function(direction, text) self:note("client", direction .. " " .. text) end
  self.subscription, self.id = self.client:begin(asked.topic, { params = asked.params })
  self.subscription.on_message = function(message) on_message(self, message) end
end

-- Commits --------------------------------------------------------------------------------------------

-- Begins a commit, or goes on with it. Returns false if it has to wait.
local function go_on(commit, stop_after)
  if commit.state ~= "new" then return commit:finish() end
  return commit:begin(stop_after)
end

local function count_done(self)
  local n = 0
  for _, commit in ipairs(self.commits) do
    if commit.state == "done" then n = n + 1 end
  end
  return n
end

-- What had to wait is tried again, once one more of those is done for which it may wait.
local function retry(self)
  local n, waiting = count_done(self), self.waiting
  if #waiting == 0 or n == self.n_done then return end
  self.waiting, self.n_done = {}, n
  for _, commit in ipairs(waiting) do
    if not go_on(commit) then self.waiting[#self.waiting + 1] = commit end
  end
end

-- What may happen at a position besides.
local FAULTS = {}

function FAULTS.cut(self)
  self:note("fault", "the listener's connection is cut")
  self.env.twin.relay:cut()
end

local function entry(self, what, sql)
  local control = self.env.control
  self:note("fault", what)
  control:run(sql:format(control:quote(self.env.subscribe.topic)))
end

function FAULTS.skip(self)
  entry(self, "a right of somebody else is revoked", "select leat.revoke(%s, 'leat.spec: nobody')")
end

function FAULTS.resync(self)
  entry(self, "everybody is to get a fresh snapshot", "select leat.resync(%s)")
end

local function perform(self, action)
  local commit = self.commits[action.commit]
  if FAULTS[action.act] then
    FAULTS[action.act](self)
  elseif commit.state == "new" and #self.waiting > 0 or not go_on(commit, action.stop_after) then
    if #self.waiting == 0 then self.n_done = count_done(self) end
    self.waiting[#self.waiting + 1] = commit -- they keep their order
  end
end

local function perform_all(self, actions)
  retry(self)
  for _, action in ipairs(actions or {}) do perform(self, action) end
  retry(self)
end

-- The server waits for a lock that a commit holds: that one ends now.
local function unblock(self)
  for _, commit in ipairs(self.commits) do
    if commit.state == "open" and self:is_waiting("leat worker 0") then
      self:note("server", "waits for a lock that " .. commit.who .. " holds")
      commit:finish()
    end
  end
end

-- The handshake --------------------------------------------------------------------------------------

local function answer_of(self)
  self.client:pump()
  return self.client.answers[self.id]
end

-- Waits until the server stands, or has answered.
local function await_stop(self)
  local gates, until_ms = self.env.twin.gates, loop.now() + LIMIT_MS
  repeat
    local found = loop.poll(function() return gates:standing() or answer_of(self) end, 50)
    if found then return gates:standing() end
    unblock(self)
  until loop.now() > until_ms
  error("the server neither answers nor goes on", 0)
end

local function note_stop(self, stop)
  self.stops[#self.stops + 1] = stop
  local words = STOPS[stop.point]
  self:note("server", words .. (words:sub(-1) == " " and stop.detail or ""))
end

--- Subscribes, with the actions of that way. on_stop(stop), if given, is called at each stop, too.
function Trial:subscribe(way, on_stop)
  local gates, topic = self.env.twin.gates, self.env.subscribe.topic
  self.wanted = function(stop) return stop.topic == topic and STOPS[stop.point] ~= nil end
  gates:want(self.wanted)
  begin(self)
  local n, left = 0, {}
  for position, actions in pairs(way) do left[position] = actions end
  local stop = await_stop(self)
  while stop do
    -- If the server runs the handler anew, what is left has another chance at each position.
    n = stop.point == "AUTHORIZING" and 1 or n + 1
    self.n_stops = n
    note_stop(self, stop)
    perform_all(self, left[n])
    left[n] = nil
    if on_stop then on_stop(stop) end
    gates:pass()
    stop = await_stop(self)
  end
  gates:open()
  self.answer = self.client.answers[self.id]
  local positions = {}
  for position in pairs(left) do
    if type(position) == "number" then positions[#positions + 1] = position end
  end
  table.sort(positions)
  for _, position in ipairs(positions) do perform_all(self, left[position]) end
  for _, commit in ipairs(self.commits) do
    if commit.state == "open" or commit.state == "running" then commit:finish() end
  end
  repeat
    local before = #self.waiting
    retry(self)
  until #self.waiting == 0 or #self.waiting == before
  if #self.waiting > 0 then error(self.waiting[1].who .. " waits for a lock that nobody gives back", 0) end
end

-- The end --------------------------------------------------------------------------------------------

local function position_of(self)
  local control = self.env.control
  local row = control:rows("select epoch, seq from leat_internal.position("
    .. control:quote(self.env.subscribe.topic) .. ")")[1]
  return row and tonumber(row.seq) or 0
end

--- Waits until the client has all that was committed, and no snapshot that is stale. Returns what is wrong, or nil.
function Trial:settle()
  if self.answer.op == "error" then return nil end
  local subscription, seq = self.subscription, position_of(self)
  local arrived = loop.poll(function()
    self.client:pump()
    local is_stale = subscription.snapshot and subscription.snapshot.stale
    return subscription.over or self.client.ws.close_code
      or (subscription.seq and subscription.seq >= seq and not is_stale)
  end, LIMIT_MS)
  if self.apply_failed then return "apply failed: " .. self.apply_failed end
  if not arrived then
    return ("the client does not get what was committed: it is at seq %s, the topic at %d"):format(
      tostring(subscription.seq), seq)
  end
  return subscription.broken
end

--- How it stands: "live", or the code with which it was refused or closed.
function Trial:outcome()
  if self.answer.op == "error" then return self.answer.code end
  return self.subscription.over and self.subscription.over.code or "live"
end

function Trial:timeline()
  return "  " .. table.concat(self.lines, "\n  ")
end

function Trial:close()
  for _, commit in ipairs(self.commits) do commit:close() end
end

--- The number of statements of each commit, once they have run.
function Trial:steps()
  local steps = {}
  for i, commit in ipairs(self.commits) do steps[i] = commit.steps end
  return steps
end

--- JSON for people.
function M.show(value)
  local ok, text = pcall(cjson.encode, value)
  return ok and text or tostring(value)
end

return M
