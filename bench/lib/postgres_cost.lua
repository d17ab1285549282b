-- The processor time of Postgres: of the postmaster, of the sessions that have ended, and of those that run.
local uv = require "luv"

local process = require "bench.lib.process"

local M = {}

local TICKS_A_SECOND = 100 -- of /proc, on every Linux
local END_MS = 5000

-- Numbers of /proc/PID/stat: the parent, own time, that of children that have ended. Nothing if it is gone.
local function stat(pid)
  local file = io.open(("/proc/%s/stat"):format(pid))
  local text = file and file:read("a")
  if file then
    file:close()
  end
  if not text then
    return
  end
  local fields = {}
  for word in text:match(".*%) (.*)"):gmatch("%S+") do
    fields[#fields + 1] = word
  end
  return tonumber(fields[2]), fields[12] + fields[13], fields[14] + fields[15]
end

local function postmaster(context)
  local parent = stat(tonumber(context.sql("select pid from pg_stat_activity where backend_type = 'checkpointer'")))
  return assert(parent, "Postgres runs on another machine")
end

local function microseconds(pid)
  local _, own, ended = stat(pid)
  local all = own + ended
  local folder = uv.fs_scandir("/proc")
  for name in function() return uv.fs_scandir_next(folder) end do
    local parent, ticks = stat(name:match("^%d+$") or "0")
    all = all + (parent == pid and ticks or 0)
  end
  return all * 1e6 / TICKS_A_SECOND
end

-- A session's time counts among its postmaster's only when that has noticed its end.
local function await_end(context)
  process.wait(function()
    return tonumber(context.sql("select count(*) from pg_stat_activity where backend_type = 'client backend'")) == 1
  end, END_MS)
  process.wait(function() end, 100)
end

--- Runs work(). Returns its results in a list, and how many microseconds Postgres has worked meanwhile.
--- ends: the work's sessions have ended with it.
function M.of(context, ends, work)
  local pid = postmaster(context)
  local before = microseconds(pid)
  local results = table.pack(work())
  if ends then
    await_end(context)
  end
  return results, microseconds(pid) - before
end

return M
