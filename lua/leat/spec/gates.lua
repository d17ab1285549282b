-- A server that stops at gates (csrc/base/gate.h): where it stands, and letting it go on.
--
-- While it stands, all of it stands. Gates that nobody waits for are passed at once.

local uv = require "luv"
local loop = require "leat.spec.loop"

local M = {}

local NEWLINE = string.char(31)

local Gates = {}
Gates.__index = Gates

--- The pipe goes to the server that is to have them (server.start, gates).
function M.new()
  return setmetatable({ pipe = uv.new_pipe(false), queue = {}, rest = "", wanted = nil }, Gates)
end

--- Variables of a server that has them.
M.variables = { LEAT_GATES = "3", LEAT_WORKERS = "1" }

local function take(self, line)
  local point, topic, detail = line:match("^(.-)\t(.-)\t(.*)$")
  local stop = { point = point, topic = topic:gsub(NEWLINE, "\n"), detail = detail:gsub(NEWLINE, "\n") }
  if self.wanted and self.wanted(stop) then
    self.queue[#self.queue + 1] = stop
  else
    self:go()
  end
end

--- Reads where it stands; after the server has started.
function Gates:listen()
  self.pipe:read_start(function(_, chunk)
    self.rest = self.rest .. (chunk or "")
    while self.rest:find("\n", 1, true) do
      local line
      line, self.rest = self.rest:match("^(.-)\n(.*)$")
      take(self, line)
    end
  end)
end

--- It stops where wanted(stop) is true from here on; stop: point, topic, detail. nil: nowhere.
function Gates:want(wanted)
  self.wanted = wanted
end

--- Lets it go on.
function Gates:go()
  if not self.pipe:is_closing() then self.pipe:write("g") end
end

--- Where it stands, if it does.
function Gates:standing()
  return self.queue[1]
end

--- Lets it go on from where it stands.
function Gates:pass()
  if table.remove(self.queue, 1) then self:go() end
end

--- Passes every gate from here on.
function Gates:open()
  self.wanted = nil
  while self.queue[1] do self:pass() end
end

function Gates:close()
  if not self.pipe:is_closing() then self.pipe:close() end
  loop.poll(function() return true end)
end

return M
