-- Gates in an app's queries: advisory locks, which a spec holds until it has done what should come in between.

local loop = require "spec.support.loop"
local pg = require "spec.support.pg"

local M = {}

M.AUTHORIZE, M.REFRESH, M.SNAPSHOT, M.CONNECT, M.PUBLISH = 1, 2, 3, 4, 5

--- SQL that passes a gate; for an app's queries.
function M.sql(n)
  return "select pg_advisory_xact_lock_shared(" .. n .. ")"
end

local Gate = {}
Gate.__index = Gate

--- Shuts a gate, from a session of its own.
function M.shut(db, n)
  local self = setmetatable({ session = pg.connect(db.url), n = n }, Gate)
  self.session:run("select pg_advisory_lock(" .. n .. ")")
  return self
end

--- How many wait before it.
function Gate:waiting()
  return tonumber(self.session:value(([[
    select count(*) from pg_locks
     where locktype = 'advisory' and not granted and objid = %d
       and database = (select oid from pg_database where datname = current_database())]]):format(self.n)))
end

--- Waits until somebody stands before it.
function Gate:await(count, limit_ms)
  loop.eventually(function() return self:waiting() == (count or 1) end, limit_ms,
    function() return ("%d before the gate, there are %d"):format(count or 1, self:waiting()) end)
end

function Gate:open()
  if self.session then
    self.session:close()
    self.session = nil
  end
end

return M
