-- Postgres for a program on luv. A statement runs on a thread of luv's pool, so the loop never waits for it; the
-- coroutine that asked does.

local uv = require "luv"

local M = {}

-- Runs on such a thread, in a Lua state of that thread's own: its globals are the thread's connection and statements.
local function run(url, sql, ...)
  return pcall(function(...)
    local state = _G
    if not (state.connection and state.connection:ping()) then
      state.connection, state.prepared = assert(require("DBI").Connect("PostgreSQL", url)), {}
      state.connection:autocommit(true)
      state.connection:prepare("set statement_timeout = '5s'"):execute()
    end
    local statement = state.prepared[sql] or assert(state.connection:prepare(sql))
    state.prepared[sql] = statement
    assert(statement:execute(...))
    local row = statement:fetch(false)
    return row and row[1]
  end, ...)
end

--- Opens nothing yet: each thread connects when it has its first statement.
function M.new(url)
  --- Runs a statement with parameters, which are texts. Returns the first column of its first row. Yields. Fails with
  --- the text of Postgres.
  return function(sql, ...)
    local caller = coroutine.running()
    uv.new_work(run, function(...) assert(coroutine.resume(caller, ...)) end):queue(url, sql, ...)
    local ok, value = coroutine.yield()
    if not ok then error(value, 0) end
    return value
  end
end

return M
