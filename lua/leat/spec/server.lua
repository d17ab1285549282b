-- The server: `leat serve` on a port that the kernel picks, or a program that has Leat inside; its log, and its end.

local uv = require "luv"
local env = require "leat.spec.env"
local files = require "leat.spec.files"
local loop = require "leat.spec.loop"
local pg = require "leat.spec.pg"
local process = require "leat.spec.process"

local M = {
  -- A function that is called with each server that has started, and a table of variables for it: for specs that run
  -- others in another way.
  on_start = nil,
  variables = {},
  STOP_MS = 30000, -- for a server to end in order; then it is killed
}

local Server = {}
Server.__index = Server

-- Short where specs would wait for it; everything else is as an operator finds it.
local DEFAULTS = {
  LEAT_LISTEN = "127.0.0.1:0",
  LEAT_DRAIN_MS = "0",
  LEAT_CLOSE_TIMEOUT_MS = "1000",
  LEAT_TOPIC_LINGER_MS = "20",
  -- The same on every machine. A spec about several workers asks for them.
  LEAT_WORKERS = "1",
  -- In most specs one user stands for many. pool_share_spec has the real shares.
  LEAT_POOL_CLIENT_PERCENT = "100",
  LEAT_POOL_USER_PERCENT = "100",
}

-- The port that the server wrote to the file; nil if it has not yet.
local function read_port(path)
  local file = io.open(path)
  if not file then return nil end
  local port = file:read("a"):match(":(%d+)\n$")
  file:close()
  return tonumber(port)
end

-- As a service manager starts it: sd_listen_fds(3). The number of the process is known only inside of it.
local function hand_over(sockets, variables, binary, args)
  local names = {}
  for i, socket in ipairs(sockets) do names[i] = socket.name end
  variables.LISTEN_FDS, variables.LISTEN_FDNAMES = #sockets, table.concat(names, ":")
  return "/bin/sh", { "-c", 'LISTEN_PID=$$ exec "$0" "$@"', binary, table.unpack(args) }
end

-- `leat serve` writes its address to a file.
local function spawn_leat(options, variables)
  local address = files.name()
  local args = { "serve", "--address-file", address }
  for _, arg in ipairs(options.args or {}) do args[#args + 1] = arg end
  local binary, extra = options.binary or env.binary(), options.gates
  if options.sockets then
    extra = {}
    for i, socket in ipairs(options.sockets) do extra[i] = socket.handle end
    binary, args = hand_over(options.sockets, variables, binary, args)
  end
  local p = process.spawn(binary, { args = args, env = variables, extra = extra, kept = true })
  return p, function()
    local port = read_port(address)
    if port or not p:running() then files.remove(address) end
    return port
  end
end

-- A program prints its address. Variables LEAT_TEST_PROGRAM_NAME are given to it as NAME, for a Lua or a library that
-- is in no usual place.
local function spawn_program(options, variables)
  variables.DATABASE_URL, variables.LISTEN = options.url, "127.0.0.1:0"
  for name, value in pairs(uv.os_environ()) do
    local own = name:match "^LEAT_TEST_PROGRAM_(.+)$"
    if own then variables[own] = value end
  end
  local p = process.spawn(options.program[1], { args = { table.unpack(options.program, 2) }, env = variables,
    kept = true })
  return p, function()
    for _, line in ipairs(p.out) do
      local port = line:match "^ready http://[^/]*:(%d+)"
      if port then return tonumber(port) end
    end
  end
end

--- Starts it and waits until it listens.
--- options: url, app (a path), env (variables), args, binary, gates (the pipe of leat.spec.gates),
--- sockets (a list of { name, handle }, which the server gets as from a service manager),
--- program (a command in place of `leat serve`: it finds DATABASE_URL and LISTEN in its environment, and prints
--- "ready http://ADDRESS:PORT"),
--- before (a function that is called once it runs, before it listens),
--- log = patterns of warnings and errors that may be logged.
function M.start(options)
  local variables = { LEAT_DATABASE_URL = options.url, LEAT_APP = options.app }
  for key, value in pairs(DEFAULTS) do variables[key] = value end
  for key, value in pairs(M.variables) do variables[key] = value end
  for key, value in pairs(options.env or {}) do variables[key] = tostring(value) end
  local self = setmetatable({ expected = options.log or {} }, Server)
  local find_port
  self.process, find_port = (options.program and spawn_program or spawn_leat)(options, variables)
  self.log = self.process.err
  if options.before then options.before() end
  local in_time, why = pcall(loop.eventually, function()
    self.port = find_port()
    return self.port or not self.process:running()
  end, 20000, function() return "a server that listens:\n" .. self.process:output() end)
  if not in_time then
    self:kill()
    error(why, 0)
  end
  if not self.port then error("the server ended:\n" .. self.process:output(), 2) end
  self.url = options.url
  if M.on_start then M.on_start(self) end
  return self
end

--- What the pattern captures in the first line that matches it, from line number first on.
function Server:find_log(pattern, first)
  for i = first or 1, #self.log do
    local found = self.log[i]:match(pattern)
    if found then return found, i end
  end
  return nil
end

--- How many lines match.
function Server:count_log(pattern)
  local n = 0
  for _, line in ipairs(self.log) do
    if line:find(pattern) then n = n + 1 end
  end
  return n
end

function Server:await_log(pattern, first, limit_ms)
  return loop.eventually(function() return self:find_log(pattern, first) end, limit_ms,
    function() return "a log line like " .. pattern .. " in\n" .. table.concat(self.log, "\n") end)
end

--- Warnings and errors of that kind are meant from here on.
function Server:expect_log(pattern)
  self.expected[#self.expected + 1] = pattern
end

--- The backend of the connection that listens, once there is one.
function Server:listener_pid()
  -- The database itself may take no connections.
  local name = self.url:match("^%a+://[^/]*/([^?]+)")
  local session = pg.connect((self.url:gsub("^(%a+://[^/]*/)[^?]+", "%1postgres")))
  local pid = loop.eventually(function()
    return session:value(("select max(pid) from pg_stat_activity"
      .. " where datname = '%s' and application_name = 'leat listener'"):format(name))
  end, 20000, "a listener")
  session:close()
  return tonumber(pid)
end

function Server:running()
  return self.process:running()
end

function Server:send_signal(name)
  self.process:send_signal(name)
end

local function is_expected(self, line)
  for _, pattern in ipairs(self.expected) do
    if line:find(pattern) then return true end
  end
  return false
end

-- Fails if a sanitizer had something to say, or the log has a warning that nobody expected.
local function check_output(self)
  local output = self.process:output()
  if output:find("Sanitizer", 1, true) or output:find("runtime error", 1, true) then
    error("a sanitizer complained:\n" .. output:sub(-20000), 3)
  end
  for _, line in ipairs(self.log) do
    if line:find("^%S+ WARN ") or line:find("^%S+ ERROR ") then
      if not is_expected(self, line) then error("unexpected in the log: " .. line, 3) end
    end
  end
end

--- Stops it as an operator does, and fails unless all was well.
function Server:stop()
  self.process:send_signal("sigterm")
  local in_time, code = pcall(self.process.wait, self.process, M.STOP_MS)
  if not in_time then
    self:kill()
    error(code, 2)
  end
  check_output(self)
  if code ~= 0 then error("exit code " .. code .. ":\n" .. self.process:output(), 2) end
end

--- A crash.
function Server:kill()
  self.process:send_signal("sigkill")
  self.process:wait()
end

return M
