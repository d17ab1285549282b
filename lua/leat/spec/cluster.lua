-- A Postgres cluster of a spec's own, which it may stop, stall and crash.

local uv = require "luv"
local env = require "leat.spec.env"
local files = require "leat.spec.files"
local keeper = require "leat.spec.keeper"
local loop = require "leat.spec.loop"
local pg = require "leat.spec.pg"
local postgres = require "leat.spec.postgres"
local process = require "leat.spec.process"

local M = {}

-- Postgres refuses to run as root.
local function as_postgres(path, args)
  if uv.getuid() ~= 0 then return path, args end
  local all = { "-u", "postgres", "--", path }
  for _, arg in ipairs(args) do all[#all + 1] = arg end
  return "runuser", all
end

local function run_as_postgres(path, args)
  local program, all = as_postgres(path, args)
  local code, out, err = process.run(program, { args = all, cwd = "/" })
  if code ~= 0 then error(path .. ": " .. out .. err) end
  return out
end

local Cluster = {}
Cluster.__index = Cluster

-- A place for one.
local function place(settings)
  local dir = files.name("/tmp")
  keeper.cluster(dir)
  run_as_postgres("mkdir", { "-m", "755", dir })
  return setmetatable({ dir = dir, data = dir .. "/pg", settings = settings or {} }, Cluster)
end

--- A new one, started. settings: of Postgres, by name.
function M.new(settings)
  local self = place(settings)
  run_as_postgres(env.pg_program("initdb"), { "-D", self.data, "-U", "postgres", "-A", "trust",
    "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions" })
  self:start()
  return self
end

--- The one that leat test has made in that folder, and removes.
function M.attach(dir)
  return setmetatable({ dir = dir, data = dir .. "/pg", settings = {} }, Cluster)
end

--- A standby of it, started: a copy that follows it by streaming, asynchronously.
function Cluster:standby()
  local copy = place(self.settings)
  run_as_postgres(env.pg_program("pg_basebackup"), { "-D", copy.data, "-d", self:url("postgres"),
    "-R", "-X", "stream", "-c", "fast", "--no-sync" })
  copy:start()
  return copy
end

--- A copy of its files, as pg_basebackup makes it: to restore.
function Cluster:backup()
  local dir = run_as_postgres("mktemp", { "-d", self.dir .. "/backup-XXXXXX" }):match("%S+")
  run_as_postgres(env.pg_program("pg_basebackup"), { "-D", dir, "-d", self:url("postgres"), "-X", "stream",
    "-c", "fast", "--no-sync" })
  return dir
end

--- Crashes it, puts that copy in its place, and starts it: it keeps its timeline.
function Cluster:restore(backup)
  self:stop("immediate")
  run_as_postgres("rm", { "-rf", self.data })
  run_as_postgres("cp", { "-a", backup, self.data })
  run_as_postgres("chmod", { "700", self.data })
  self:start()
end

function Cluster:url(database)
  return ("postgresql://postgres@/%s?host=%s"):format(database, self.dir)
end

function Cluster:start()
  local options = ("-c listen_addresses='' -c unix_socket_directories='%s' -c fsync=off"):format(self.dir)
  for name, value in pairs(self.settings) do options = ("%s -c %s=%s"):format(options, name, value) end
  run_as_postgres(env.pg_program("pg_ctl"), { "-D", self.data, "-w", "-t", "60",
    "-l", self.dir .. "/log", "-o", options, "start" })
end

--- Stops it; mode: fast (the default) or immediate.
function Cluster:stop(mode)
  run_as_postgres(env.pg_program("pg_ctl"), { "-D", self.data, "-w", "-m", mode or "fast", "stop" })
end

local function read(path)
  local file = io.open(path)
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

local function parent_of(pid)
  local stat = read("/proc/" .. pid .. "/stat")
  return stat and tonumber(stat:match("^%d+ %(.-%) %a (%d+)"))
end

function Cluster:postmaster()
  return tonumber(read(self.data .. "/postmaster.pid"):match("^%d+"))
end

-- The postmaster and its children.
local function family(postmaster)
  local pids = { postmaster }
  for name in function(dir) return uv.fs_scandir_next(dir) end, uv.fs_scandir("/proc") do
    local pid = tonumber(name)
    if pid and parent_of(pid) == postmaster then pids[#pids + 1] = pid end
  end
  return pids
end

--- Makes a standby a primary.
function Cluster:promote()
  run_as_postgres(env.pg_program("pg_ctl"), { "-D", self.data, "-w", "-t", "60", "promote" })
end

-- The process that writes the log for those that do not wait for it; nil if there is none, or no answer.
local function log_writer(self)
  local ok, pid = pcall(function()
    local session = pg.connect(self:url("postgres"))
    local value = session:value("select pid from pg_stat_activity where backend_type = 'walwriter'")
    session:close()
    return tonumber(value)
  end)
  return ok and pid or nil
end

--- Crashes it: what the log has only in memory is lost. Returns when it has recovered.
function Cluster:crash()
  local pid = log_writer(self)
  -- This one can write no more, and the postmaster ends all others and begins anew.
  uv.kill(pid, "sigkill")
  loop.eventually(function()
    local now = log_writer(self)
    return now and now ~= pid
  end, 20000, "the recovery of Postgres")
end

--- Stalls the whole cluster: connections stay open, nothing answers.
function Cluster:pause()
  self.paused = family(self:postmaster())
  for _, pid in ipairs(self.paused) do uv.kill(pid, "sigstop") end
end

function Cluster:resume()
  for _, pid in ipairs(self.paused or {}) do uv.kill(pid, "sigcont") end
  self.paused = nil
end

--- A database as postgres.database makes them, in what has the method url(name): a cluster, or several.
function M.database(self, schema)
  return postgres.database_at(function(name) return self:url(name) end, schema)
end

Cluster.database = M.database

--- Ends it for good.
function Cluster:remove()
  self:resume()
  if read(self.data .. "/postmaster.pid") then self:stop("immediate") end
  loop.poll(function() return not read(self.data .. "/postmaster.pid") end)
  run_as_postgres("rm", { "-rf", self.dir })
  keeper.removed(self.dir)
end

return M
