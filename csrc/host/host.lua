--- A Leat server in a program in Lua 5.4. docs/embedding.md has a whole program.
--
-- host.start waits until the server is ready. Then callbacks run in server:dispatch(timeout_ms); where luv is loaded
-- before the start, its loop calls that. An error in a callback comes out of dispatch, when all callbacks that were due
-- have run. Under luv it ends the program, as any error in a callback of luv does.

local cjson = require "cjson"
local core = require "leat.host_core"

local M = { version = core.version }

local Server, Subscription, Request = {}, {}, {}
Server.__index, Subscription.__index, Request.__index = Server, Subscription, Request

-- Options that are no keys of the configuration.
local OWN = {
  app_source = true, config = true, database = true, log = true, luv = true, methods = true, publishes = true,
}

local function failure(code, message, retry_after_ms)
  return code and { code = code, message = message, retry_after_ms = retry_after_ms } or nil
end

-- Subscriptions -----------------------------------------------------------------------------------------------

local function change(self, what)
  if self.handle then self.server.core:change(what, self.handle) end
end

--- `closed` follows.
function Subscription:unsubscribe() change(self, "unsubscribe") end
--- No callback but `closed` comes until resume.
function Subscription:pause() change(self, "pause") end
function Subscription:resume() change(self, "resume") end

local function tell(sub, name, ...)
  local fn = sub.options[name]
  if fn then fn(...) end
end

-- Requests of clients -----------------------------------------------------------------------------------------

-- An argument that is wrong raises an error: then the answer is still owed.
local function finish_request(request, how, ...)
  if not request.handle then error("this request has been answered", 3) end
  if not request.server.is_stopped then request.server.core[how](request.server.core, request.handle, ...) end
  request.handle = nil
end

--- data: what the client gets; nil: nothing.
function Request:answer(data) finish_request(self, "answer", data ~= nil and cjson.encode(data) or nil) end

function Request:refuse(code, message) finish_request(self, "refuse", code, message) end

-- Nobody is left who could answer it.
function Request:__gc()
  if self.handle then self:refuse "internal" end
end

-- What the C half calls -----------------------------------------------------------------------------------------

local handlers = {}

function handlers.ready(self, _, address, code, message)
  self.address, self.failed = address, failure(code, message)
  self.is_ready = true
end

function handlers.stopped(self) self.is_stopped = true end

function handlers.log(self, _, level, line) self.options.log(level, line) end

function handlers.done(self, id, code, message, retry_after_ms)
  local fn = self.waiting[id]
  self.waiting[id] = nil
  if fn then fn(failure(code, message, retry_after_ms)) end
end

function handlers.snapshot(self, id, epoch, seq, data, is_stale)
  tell(self.waiting[id], "snapshot", cjson.decode(data), { epoch = epoch, seq = seq }, is_stale)
end

function handlers.resumed(self, id, epoch, seq) tell(self.waiting[id], "resumed", { epoch = epoch, seq = seq }) end

function handlers.event(self, id, epoch, seq, data)
  tell(self.waiting[id], "event", cjson.decode(data), { epoch = epoch, seq = seq })
end

function handlers.skip(self, id, epoch, seq) tell(self.waiting[id], "skip", { epoch = epoch, seq = seq }) end

function handlers.signal(self, id, _, _, data) tell(self.waiting[id], "signal", cjson.decode(data)) end

function handlers.closed(self, id, code, message, retry_after_ms)
  local sub = self.waiting[id]
  self.waiting[id], sub.handle = nil, nil
  tell(sub, "closed", failure(code, message, retry_after_ms))
end

function handlers.request(self, id, handle, name, data, user, user_id)
  local request = setmetatable({ server = self, handle = handle, name = name, user_id = user_id }, Request)
  local ok, err = xpcall(function()
    request.data, request.user = cjson.decode(data), user and cjson.decode(user) or nil
    self.waiting[id](request)
  end, debug.traceback)
  if ok then return end
  if request.handle then request:refuse "internal" end
  error(err, 0)
end

-- Servers -------------------------------------------------------------------------------------------------------

local function new_id(self)
  self.last_id = self.last_id + 1
  return self.last_id
end

local function configure(self, options)
  if options.database then assert(self.core:set("database_url", options.database)) end
  if options.app_source then assert(self.core:set("app_source", options.app_source)) end
  if options.config then assert(self.core:set_file(options.config)) end
  for key, value in pairs(options) do
    if not OWN[key] then
      local ok, message = self.core:set(key, tostring(value))
      if not ok then return nil, message, "config" end
    end
  end
  for kind, list in pairs { method = options.methods or {}, publish = options.publishes or {} } do
    for name, fn in pairs(list) do
      local id = new_id(self)
      local ok, message, code = self.core:handle(kind, name, id)
      if not ok then return nil, message, code end
      self.waiting[id] = fn
    end
  end
  return true
end

-- luv's loop dispatches from now on.
local function watch(self, uv)
  self.poll = uv.new_poll(self.core:fd())
  self.poll:start("r", function() self:dispatch(0) end)
  self.uv = uv
end

-- luv forgets a closed handle in the next turn of its loop. If Lua ends before that turn, luv crashes.
local function unwatch(self)
  self.poll:stop()
  self.poll:close()
  if not self.uv.loop_mode() then self.uv.run "nowait" end
end

--- Starts a server, and waits until it is ready. options: database, app (a path) or app_source, listen, any other key
--- of the configuration, config (a file of them), log = function(level, line), methods and publishes (functions by name
--- and by pattern, which get a request). Returns the server, or nil, a message and a code.
function M.start(options)
  local self = setmetatable({ options = options, waiting = {}, last_id = 0 }, Server)
  self.core = core.new(function(kind, id, ...) handlers[kind](self, id, ...) end, options.log ~= nil)
  local ok, message, code = configure(self, options)
  if ok then ok, message, code = self.core:start() end
  if not ok then return nil, message, code end
  while not self.is_ready do self.core:dispatch(-1) end
  if self.failed then
    self.core:free()
    return nil, self.failed.message, self.failed.code
  end
  local uv = options.luv ~= false and package.loaded.luv
  if uv then watch(self, uv) end
  return self
end

-- The last callback has run.
local function finish(self)
  if self.is_free then return end
  self.is_free = true
  if self.poll then unwatch(self) end
  self.core:free()
end

--- Waits for something to do, for timeout_ms at most (-1: without end), and calls the callbacks of what there is.
--- Returns how many; 0 from a server that has stopped.
function Server:dispatch(timeout_ms)
  if self.is_free then return 0 end
  local ok, result = pcall(self.core.dispatch, self.core, timeout_ms or 0)
  if self.is_stopped and not self.core:is_dispatching() then finish(self) end
  return ok and result or error(result, 0)
end

--- The descriptor that is readable while there is something to dispatch.
function Server:fd() return self.core:fd() end

local function send(self, what, done, ...)
  if self.is_free then return nil, "the server has stopped", "stopped" end
  local id = new_id(self)
  local ok, message, code = self.core:send(what, id, ...)
  if ok then self.waiting[id] = done or false end -- it is called in dispatch only
  return ok, message, code
end

--- Each returns true, or nil, a message and a code. done(err): err is nil once it is committed.
function Server:publish(topic, data, done) return send(self, "publish", done, topic, cjson.encode(data)) end
--- options.conflate: a key; a slow client gets the newest signal of it only.
function Server:signal(topic, data, options, done)
  return send(self, "signal", done, topic, cjson.encode(data), options and options.conflate)
end
function Server:revoke(topic, subject, done) return send(self, "revoke", done, topic, subject and tostring(subject)) end
function Server:resync(topic, done) return send(self, "resync", done, topic) end

--- options: user, params, since = { epoch, seq }, timeout_ms, window_bytes, and the functions
--- snapshot(data, at, is_stale), resumed(at), event(data, at), skip(at), signal(data) and closed(why), where at is
--- { epoch, seq } and why { code, message }. Returns a subscription, or nil, a message and a code.
function Server:subscribe(topic, options)
  if self.is_free then return nil, "the server has stopped", "stopped" end
  local sub = setmetatable({ server = self, options = options }, Subscription)
  local id, since = new_id(self), options.since or {}
  local handle, message, code = self.core:subscribe(id, topic, options.user and cjson.encode(options.user),
    options.params and cjson.encode(options.params), since.epoch, since.seq, options.timeout_ms, options.window_bytes)
  if not handle then return nil, message, code end
  self.waiting[id], sub.handle = sub, handle
  return sub
end

--- Gives Leat a connection on which the program's own HTTP server has read a request: a TCP handle of luv, which is
--- closed then, or a descriptor, of which Leat takes a copy. bytes: all that was read from it, the whole head at least.
--- Returns true, or nil, a message and a code: then nothing has happened.
function Server:hand_over(socket, bytes)
  if self.is_free then return nil, "the server has stopped", "stopped" end
  if type(socket) == "number" then return self.core:hand_over(socket, bytes) end
  socket:read_stop()
  local ok, message, code = self.core:hand_over(assert(socket:fileno()), bytes)
  if ok then socket:close() end
  return ok, message, code
end

function Server:reload()
  if not self.is_free then self.core:reload() end
end

--- The metrics as Prometheus reads them; nil from a server that has stopped.
function Server:metrics() return not self.is_free and self.core:metrics() or nil end

--- Drains, and frees the server. Waits for that, and calls the callbacks that are due; the first error of one of them
--- comes out of stop in the end. In a callback it does not wait: the server ends in later dispatches.
function Server:stop()
  if self.is_free then return end
  self.core:stop()
  if self.core:is_dispatching() then return end
  local failed, err
  while not self.is_free do
    local ok, why = pcall(self.dispatch, self, -1)
    if not ok and not failed then failed, err = true, why end
  end
  if failed then error(err, 0) end
end

return M
