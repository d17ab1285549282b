-- What a service manager does for a service that is activated by sockets: it holds them, whoever serves.

local uv = require "luv"
local loop = require "spec.support.loop"

local M = {}

--- A socket that listens on a port of its own, and that this process accepts nothing from. For server.start.
function M.socket(name)
  local self = { name = name, handle = uv.new_tcp() }
  local listens = false
  assert(self.handle:bind("127.0.0.1", 0))
  -- libuv accepts one connection and looks for no other one before the program takes it, which this one never does.
  assert(self.handle:listen(4096, function() listens = true end))
  self.port = self.handle:getsockname().port
  local first = uv.new_tcp()
  first:connect("127.0.0.1", self.port)
  loop.eventually(function() return listens end, nil, "a connection that is left alone")
  first:close()
  function self.close()
    if not self.handle:is_closing() then self.handle:close() end
    uv.run("nowait")
  end
  return self
end

local REQUEST = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"

--- Connects again and again, some connections at a time, and asks on each of them once. Counts what they saw: in
--- `answers` by status, in `errors` by name (an end without an answer is "EOF").
function M.stream(port, at_a_time)
  local self = { answers = {}, errors = {}, total = 0, running = 0 }
  local function count(list, key)
    list[key] = (list[key] or 0) + 1
    self.total = self.total + 1
  end
  local function ask()
    if self.stopped then return end
    self.running = self.running + 1
    local handle, text = uv.new_tcp(), ""
    local function done(list, key)
      self.running = self.running - 1
      count(list, key)
      handle:close()
      ask()
    end
    handle:connect("127.0.0.1", port, function(err)
      if err then return done(self.errors, err) end
      handle:write(REQUEST)
      handle:read_start(function(failed, chunk)
        if chunk then
          text = text .. chunk
          return
        end
        local status = text:match("^HTTP/1.1 (%d+)")
        if status then done(self.answers, tonumber(status)) else done(self.errors, failed or "EOF") end
      end)
    end)
  end
  for _ = 1, at_a_time do ask() end
  --- Waits for more answers.
  function self.await(_, more)
    local from = self.total
    loop.eventually(function() return self.total >= from + more end, 60000, "answers")
  end
  --- Begins no more, and waits for those that have begun.
  function self.stop()
    self.stopped = true
    loop.eventually(function() return self.running == 0 end, 60000, "the last answer")
  end
  return self
end

return M
