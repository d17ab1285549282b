-- A TCP connection to a server: bytes out, bytes in.

local uv = require "luv"
local loop = require "leat.spec.loop"

local M = {}

local Tcp = {}
Tcp.__index = Tcp

--- Connects to 127.0.0.1, or options.to, from the address options.from.
function M.connect(port, options)
  options = options or {}
  local self = setmetatable({ handle = uv.new_tcp(), parts = {}, ended = false }, Tcp)
  local done, failed
  if options.from then assert(self.handle:bind(options.from, 0)) end
  self.handle:connect(options.to or "127.0.0.1", port, function(err)
    done, failed = true, err
  end)
  loop.eventually(function() return done end, nil, "a TCP connection")
  if failed then
    self.handle:close()
    error("cannot connect: " .. failed, 2)
  end
  self.handle:nodelay(true)
  self:read_start()
  return self
end

-- Reading from here on; whoever is to be slow stops it.
function Tcp:read_start()
  self.handle:read_start(function(err, chunk)
    if chunk then
      self.parts[#self.parts + 1] = chunk
    else
      self.ended, self.err = true, err
    end
  end)
end

function Tcp:read_stop()
  self.handle:read_stop()
end

--- All bytes that have come and were not taken.
function Tcp:bytes()
  if #self.parts > 1 then self.parts = { table.concat(self.parts) } end
  return self.parts[1] or ""
end

--- Takes the first n of them.
function Tcp:take(n)
  local bytes = self:bytes()
  self.parts = n < #bytes and { bytes:sub(n + 1) } or {}
  return bytes:sub(1, n)
end

function Tcp:write(bytes)
  if not self.handle:is_closing() then self.handle:write(bytes) end
end

--- Ends our direction.
function Tcp:shutdown()
  self.handle:shutdown()
end

function Tcp:close()
  if not self.handle:is_closing() then self.handle:close() end
  uv.run("nowait")
end

--- Ends it with a reset: the peer is told nothing in between.
function Tcp:abort()
  if not self.handle:is_closing() then self.handle:close_reset() end
  uv.run("nowait")
end

return M
