-- Other programs: started, read line by line, signalled, waited for.

local uv = require "luv"
local loop = require "spec.support.loop"

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

local function read_lines(pipe, lines)
  local rest = ""
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

--- Starts a program. options: args, env (changes), cwd, input (text for its standard input).
function M.spawn(path, options)
  local self = setmetatable({ out = {}, err = {} }, Process)
  local stdout, stderr = uv.new_pipe(false), uv.new_pipe(false)
  local stdin = options.input and uv.new_pipe(false) or nil
  local handle, pid = uv.spawn(path, {
    args = options.args,
    env = M.environment(options.env),
    cwd = options.cwd,
    stdio = { stdin, stdout, stderr },
  }, function(code, signal)
    self.code, self.signal = code, signal
    self.handle:close()
  end)
  assert(handle, "cannot start " .. path .. ": " .. tostring(pid))
  self.handle, self.pid = handle, pid
  if stdin then
    stdin:write(options.input)
    stdin:shutdown(function() stdin:close() end)
  end
  self.pipes = { stdout, stderr }
  read_lines(stdout, self.out)
  read_lines(stderr, self.err)
  return self
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
