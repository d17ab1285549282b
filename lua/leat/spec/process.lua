-- Other programs: started, read line by line, signalled, waited for.

local uv = require "luv"
local keeper = require "leat.spec.keeper"
local loop = require "leat.spec.loop"

local M = {}

local Process = {}
Process.__index = Process

--- The environment of this process with changes; false removes a variable.
function M.environment(changes)
  local all = uv.os_environ()
  for key, value in pairs(changes or {}) do all[key] = value end
  local list = {}
  for key, value in pairs(all) do
    if value then list[#list + 1] = key .. "=" .. tostring(value) end
  end
  return list
end

-- Returns the function that starts reading, which may be stopped and started again.
local function read_lines(pipe, lines)
  local rest = ""
  local function start()
    pipe:read_start(function(_, chunk)
      rest = rest .. (chunk or "")
      for line in rest:gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
      rest = rest:match("[^\n]*$")
      if not chunk then
        if rest ~= "" then lines[#lines + 1] = rest end
        pipe:close()
      end
    end)
  end
  start()
  return start
end

--- Starts a program. options: args, env (changes), cwd, input (text for its standard input), pipe (true: its standard
--- input is .stdin, which stays open), extra (a stream that becomes its descriptor 3, or a list, from 3 on), detached,
--- kept (true: it ends with this process, in whatever way that ends).
function M.spawn(path, options)
  local self = setmetatable({ out = {}, err = {} }, Process)
  local stdout, stderr = uv.new_pipe(false), uv.new_pipe(false)
  local stdin = (options.input or options.pipe) and uv.new_pipe(false) or nil
  local stdio = { stdin, stdout, stderr }
  local n_extra = 0
  for i, stream in ipairs(type(options.extra) == "table" and options.extra or { options.extra }) do
    stdio[3 + i], n_extra = stream, i
  end
  local program, args = path, options.args
  if options.kept then
    local keeps
    local fd = 3 + n_extra
    program, args, keeps = keeper.start("pid", path, args, fd)
    stdio[fd + 1] = keeps
  end
  local handle, pid = uv.spawn(program, {
    args = args,
    env = M.environment(options.env),
    cwd = options.cwd,
    stdio = stdio,
    detached = options.detached,
  }, function(code, signal)
    self.code, self.signal = code, signal
    self.handle:close()
    if options.kept then keeper.ended("pid", self.pid) end
  end)
  assert(handle, "cannot start " .. path .. ": " .. tostring(pid))
  self.handle, self.pid = handle, pid
  self.stdin = stdin
  if options.input then
    stdin:write(options.input)
    stdin:shutdown(function() stdin:close() end)
  end
  self.pipes = { stdout, stderr }
  read_lines(stdout, self.out)
  self.read_err = read_lines(stderr, self.err)
  return self
end

--- Nobody reads its standard error from here on; read_err() reads again.
function Process:neglect_err()
  self.pipes[2]:read_stop()
end

--- The port on which it listens, as the system says.
function Process:listening_port(limit_ms)
  return loop.eventually(function()
    local own = {}
    for name in uv.fs_scandir_next, assert(uv.fs_scandir(("/proc/%d/fd"):format(self.pid))) do
      local target = uv.fs_readlink(("/proc/%d/fd/%s"):format(self.pid, name)) or ""
      own[target:match("^socket:%[(%d+)%]$") or ""] = true
    end
    for line in io.lines(("/proc/%d/net/tcp"):format(self.pid)) do
      local port, inode = line:match("^%s*%d+: %x+:(%x+) %x+:%x+ 0A .- %x+:%x+ %x+%s+%d+%s+%d+ (%d+)")
      if port and own[inode] then return tonumber(port, 16) end
    end
  end, limit_ms or 20000, "a port")
end

function Process:running()
  return self.code == nil
end

function Process:send_signal(name)
  if self:running() then self.handle:kill(name) end
end

--- All that it has written so far.
function Process:output()
  return table.concat(self.out, "\n") .. "\n" .. table.concat(self.err, "\n")
end

--- Waits for its end, its last lines included. Returns its exit code, 128 + N after signal N.
function Process:wait(limit_ms)
  loop.eventually(function()
    return self.code and self.pipes[1]:is_closing() and self.pipes[2]:is_closing()
  end, limit_ms, function() return "the end of a process; it wrote:\n" .. self:output() end)
  return self.signal ~= 0 and 128 + self.signal or self.code
end

--- Runs a program to its end: its exit code, and what it wrote to standard output and to standard error.
function M.run(path, options)
  local p = M.spawn(path, options)
  local code = p:wait(options.limit_ms or 60000)
  return code, table.concat(p.out, "\n"), table.concat(p.err, "\n")
end

return M
