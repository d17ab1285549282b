-- The loop that everything in a spec runs on: waiting without sleeping.

local uv = require "luv"

local M = {}

-- How long a spec waits for what must come: generous, since a machine may be busy.
M.LIMIT_MS = 10000

-- How often a condition that no event of this loop announces is looked at again.
local POLL_MS = 5

function M.now()
  uv.update_time()
  return uv.now()
end

--- Runs the loop until fn returns something true, and returns that; nil when limit_ms have passed.
function M.poll(fn, limit_ms)
  local timer = uv.new_timer()
  local until_ms = M.now() + (limit_ms or M.LIMIT_MS)
  timer:start(POLL_MS, POLL_MS, function() end)
  local value = fn()
  while not value and M.now() < until_ms do
    uv.run("once")
    value = fn()
  end
  timer:close()
  uv.run("nowait")
  return value or nil
end

--- As poll, but nothing is an error, which says what was waited for.
function M.eventually(fn, limit_ms, what)
  local value = M.poll(fn, limit_ms)
  if not value then
    if type(what) == "function" then what = what() end
    error(("not within %d ms: %s"):format(limit_ms or M.LIMIT_MS, what or "the condition"), 2)
  end
  return value
end

return M
