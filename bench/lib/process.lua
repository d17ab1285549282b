-- Programs: run to their end, or started and stopped. Everything that was started is known here, so that
-- process.stop_all ends it, also after SIGINT.
local uv = require "luv"

local M = {}

local running = {} -- handle -> true

local function reader(pipe, into)
  uv.read_start(pipe, function(_, chunk)
    if chunk then
      into[#into + 1] = chunk
    else
      uv.close(pipe)
    end
  end)
end

-- A program that is found by PATH and pinned to a core, if one is given.
local function pinned(core, path, args)
  if not core then
    return path, args
  end
  return "taskset", { "-c", tostring(core), path, table.unpack(args) }
end

local function environment(extra)
  local all = {}
  for name, value in pairs(uv.os_environ()) do
    all[name] = value
  end
  for name, value in pairs(extra or {}) do
    all[name] = tostring(value)
  end
  local list = {}
  for name, value in pairs(all) do
    list[#list + 1] = name .. "=" .. value
  end
  return list
end

--- Starts a program. options: args, core, env, cwd. Returns an object, or nil and a reason.
function M.start(path, options)
  local self = { out = {}, err = {} }
  local stdout, stderr = uv.new_pipe(false), uv.new_pipe(false)
  local program, args = pinned(options.core, path, options.args or {})
  local handle, pid = uv.spawn(program, {
    args = args,
    env = environment(options.env),
    cwd = options.cwd,
    stdio = { nil, stdout, stderr },
    detached = true, -- a SIGINT of the terminal reaches the bench only, which then stops the rest in order
  }, function(code, signal)
    self.code, self.signal = code, signal
    running[self.handle] = nil
    uv.close(self.handle)
  end)
  if not handle then
    return nil, ("cannot start %s: %s"):format(path, pid)
  end
  self.handle, self.pid = handle, pid
  running[handle] = self
  reader(stdout, self.out)
  reader(stderr, self.err)
  return self
end

--- Lets the loop run until condition() is true or the time is over. Returns what the condition returned last.
function M.wait(condition, limit_ms)
  local timer = uv.new_timer()
  local began = uv.hrtime()
  uv.timer_start(timer, 20, 20, function() end) -- so that the loop wakes
  local result = condition()
  while not result and (uv.hrtime() - began) / 1e6 < limit_ms do
    uv.run("once")
    result = condition()
  end
  uv.close(timer)
  return result
end

local function ended(self)
  return self.code ~= nil
end

--- What it has printed, on both channels.
function M.output(self)
  return table.concat(self.out), table.concat(self.err)
end

--- Runs a program to its end. Returns its standard output, or nil and a reason.
function M.run(path, options)
  local self, why = M.start(path, options)
  if not self then
    return nil, why
  end
  if not M.wait(function()
    return ended(self)
  end, options.limit_ms or 600000) then
    M.stop(self)
    return nil, path .. " did not end in time"
  end
  uv.run("nowait") -- the pipes' last bytes
  local out, err = M.output(self)
  if self.code ~= 0 then
    return nil, err ~= "" and err or ("%s ended with code %d"):format(path, self.code)
  end
  return out, err
end

--- Ends a program and its children; returns when it has ended. After patience_ms it is killed.
function M.stop(self, patience_ms)
  if ended(self) then
    return
  end
  uv.kill(-self.pid, "sigterm")
  if not M.wait(function()
    return ended(self)
  end, patience_ms or 300) then
    uv.kill(-self.pid, "sigkill")
    M.wait(function()
      return ended(self)
    end, 10000)
  end
end

function M.stop_all()
  for _, self in pairs(running) do
    M.stop(self)
  end
end

--- A TCP port of 127.0.0.1 that is free now.
function M.free_port()
  local tcp = uv.new_tcp()
  assert(uv.tcp_bind(tcp, "127.0.0.1", 0))
  local port = uv.tcp_getsockname(tcp).port
  uv.close(tcp)
  uv.run("nowait")
  return port
end

--- Whether somebody accepts connections on that port.
function M.accepts(port)
  local tcp, answer = uv.new_tcp(), nil
  uv.tcp_connect(tcp, "127.0.0.1", port, function(err)
    answer = err == nil
    uv.close(tcp)
  end)
  while answer == nil do
    uv.run("once")
  end
  return answer
end

return M
