-- What a runner of specs has started and made ends with it, however it ends: by SIGKILL, too, or while it starts.
--
-- A second process reads what there is, line by line. Its standard input ends when the runner does; then it ends the
-- processes that are left, and removes the folders. A program is started by a shell that reports itself before it
-- becomes the program, and a folder is reported before it is made: so there is no moment in which either is unknown.

local uv = require "luv"

local M = {}

local SELF = debug.getinfo(1, "S").source:match("^@(.*)$")

-- The number of its descriptor follows; the program does not inherit that.
local REPORT = 'echo "+%s $$" >&%d && exec "$0" "$@" %d>&-'

local WAIT_MS = 10000

-- busted loads modules anew for each file. This holds the pipe to the keeper, once there is one.
local registry, KEY = debug.getregistry(), "leat.spec.keeper"

-- In a session of its own: what a terminal, or `leat test`, sends to the runner's group does not reach it.
local function to_keeper()
  local pipe = registry[KEY]
  if pipe then return pipe end
  pipe = uv.new_pipe(false)
  local handle, pid = uv.spawn("lua5.4", { args = { SELF, "keep" }, stdio = { pipe }, detached = true }, function() end)
  if not handle then error("the keeper of leat.spec cannot be started: " .. tostring(pid)) end
  handle:unref()
  pipe:unref()
  registry[KEY] = pipe
  return pipe
end

-- At once: this process may be gone in the next moment.
local function tell(what, name)
  assert(to_keeper():try_write(what .. " " .. name .. "\n"))
end

--- Returns how to start a program that is kept: program, arguments, and the stream that has to be descriptor number fd
--- there. kind: "pid", or "group" for one that leads a group.
function M.start(kind, path, args, fd)
  return "/bin/sh", { "-c", REPORT:format(kind, fd, fd), path, table.unpack(args or {}) }, to_keeper()
end

--- The program has ended.
function M.ended(kind, pid)
  tell("-" .. kind, pid)
end

--- A folder that is about to be made.
function M.folder(path)
  tell("+folder", path)
end

--- A cluster of Postgres, that folder or one that is about to be made there.
function M.cluster(dir)
  tell("+cluster", dir)
end

--- It has been removed.
function M.removed(path)
  tell("-folder", path)
  tell("-cluster", path)
end

-- The keeper's own side ------------------------------------------------------------------------------------

local function read(path)
  local file = io.open(path)
  local text = file and file:read("a")
  if file then file:close() end
  return text
end

-- The parent of a process, and when it began; nil if there is none.
local function stat(pid)
  local text = read("/proc/" .. pid .. "/stat")
  local fields = {}
  for field in (text and text:match("^%d+ %(.*%) (.*)$") or ""):gmatch("%S+") do fields[#fields + 1] = field end
  return tonumber(fields[2]), fields[20]
end

-- Its number may be another process's by now.
local function is_same(pid, began)
  local _, now = stat(pid)
  return now ~= nil and now == began
end

local function eventually(fn)
  for _ = 1, WAIT_MS / 20 do
    if fn() then return true end
    uv.sleep(20)
  end
  return false
end

-- The postmaster's children have groups of their own, and may be stopped.
local function end_cluster(dir)
  local postmaster = tonumber((read(dir .. "/pg/postmaster.pid") or ""):match("^%d+"))
  if not postmaster or not stat(postmaster) then return end
  local pids = { postmaster }
  for name in function(d) return uv.fs_scandir_next(d) end, uv.fs_scandir("/proc") do
    if tonumber(name) and stat(name) == postmaster then pids[#pids + 1] = tonumber(name) end
  end
  uv.kill(postmaster, "sigquit")
  for _, pid in ipairs(pids) do uv.kill(pid, "sigcont") end
  if eventually(function() return not stat(postmaster) end) then return end
  for _, pid in ipairs(pids) do uv.kill(pid, "sigkill") end
end

-- What is being ended may still write there.
local function remove(path)
  eventually(function()
    os.execute("rm -rf '" .. path:gsub("'", [['\'']]) .. "'")
    return not uv.fs_stat(path)
  end)
end

local function keep()
  local kept = { pid = {}, group = {}, folder = {}, cluster = {} }
  for name in pairs { sighup = true, sigint = true, sigterm = true } do
    local handle = uv.new_signal()
    handle:start(name, function() end)
  end
  for line in io.lines() do
    local sign, kind, name = line:match("^([+-])(%l+) (.*)$")
    local value = true
    if kind == "pid" or kind == "group" then value = select(2, stat(name)) or "gone" end
    kept[kind][name] = sign == "+" and value or nil
  end
  for _, kind in ipairs { "group", "pid" } do
    for pid, began in pairs(kept[kind]) do
      if is_same(pid, began) then uv.kill(kind == "group" and -pid or tonumber(pid), "sigkill") end
    end
  end
  for dir in pairs(kept.cluster) do end_cluster(dir) end
  for _, kind in ipairs { "cluster", "folder" } do
    for path in pairs(kept[kind]) do remove(path) end
  end
end

if arg and arg[0] == SELF and arg[1] == "keep" then keep() end

return M
