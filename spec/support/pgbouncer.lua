-- A PgBouncer of a spec's own in front of a database. It refuses what a fresh installation refuses.

local uv = require "luv"
local files = require "spec.support.files"
local loop = require "spec.support.loop"
local pg = require "spec.support.pg"
local process = require "spec.support.process"

local M = {}

local PATHS = { "/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer" }

--- Where it is installed, or nil.
function M.program()
  for _, path in ipairs(PATHS) do
    if uv.fs_stat(path) then return path end
  end
  return nil
end

local Bouncer = {}
Bouncer.__index = Bouncer

-- What libpq would take from the URL, as PgBouncer's configuration wants it.
local function target(url)
  local name = assert(url:match("^%a+://[^/]*/([^?]+)"), url)
  local host = url:match("[?&]host=([^&]+)")
  local port = url:match("[?&]port=([^&]+)") or "5432"
  local user = url:match("^%a+://([^@:/]+)[^@]*@") or url:match("[?&]user=([^&]+)")
  return { name = name, host = host:gsub("%%2[Ff]", "/"), port = port, user = user }
end

-- As root it refuses to run.
local function as_somebody_else(path, args)
  if uv.getuid() ~= 0 then return path, args end
  return "runuser", { "-u", "postgres", "--", path, table.unpack(args) }
end

--- Starts one. mode: "session" or "transaction"; pool: connections to Postgres, at most. Returns it; url is its own.
function M.start(url, mode, pool)
  local to = target(url)
  local self = setmetatable({ folder = files.folder() }, Bouncer)
  files.write(self.folder .. "/pgbouncer.ini", table.concat({
    "[databases]",
    ("%s = host=%s port=%s user=%s"):format(to.name, to.host, to.port, to.user),
    "[pgbouncer]",
    "listen_addr =",
    "listen_port = 6432",
    "unix_socket_dir = " .. self.folder,
    "auth_type = any",
    "pool_mode = " .. mode,
    "default_pool_size = " .. (pool or 20),
    "max_client_conn = 200",
    "",
  }, "\n"))
  uv.fs_chmod(self.folder, tonumber("777", 8))
  uv.fs_chmod(self.folder .. "/pgbouncer.ini", tonumber("644", 8))
  local path, args = as_somebody_else(M.program(), { self.folder .. "/pgbouncer.ini" })
  self.process = process.spawn(path, { args = args })
  self.url = ("postgresql://%s@/%s?host=%s&port=6432"):format(to.user, to.name, self.folder)
  loop.eventually(function()
    local ok, session = pcall(pg.connect, self.url)
    if ok then session:close() end
    return ok or not self.process:running()
  end, 10000, function() return "PgBouncer:\n" .. self.process:output() end)
  return self
end

function Bouncer:stop()
  self.process:send_signal("sigterm")
  self.process:wait(10000)
  files.remove(self.folder)
end

return M
