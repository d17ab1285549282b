-- A second server of the application, on the same database. It stops at gates, and hears announcements through a relay.

local client = require "leat.spec.client"
local files = require "leat.spec.files"
local gates = require "leat.spec.gates"
local metrics = require "leat.spec.metrics"
local relay = require "leat.spec.relay"
local server = require "leat.spec.server"

local M = {}

local Twin = {}
Twin.__index = Twin

-- It stands still for as long as a spec needs. What gets lost is found soon.
local TIMES = {
  LEAT_CONTROL_TIMEOUT_MS = 20000,
  LEAT_COMPARE_INTERVAL_MS = 100,
}

--- Of a served application. with_relay: its announcements can be meddled with.
function M.new(served, with_relay)
  local self = setmetatable({ gates = gates.new(), clients = {} }, Twin)
  local changes = {}
  for _, variables in ipairs { TIMES, gates.variables } do
    for key, value in pairs(variables) do changes[key] = value end
  end
  if with_relay and relay.possible(served.database.url) then
    self.folder = files.folder()
    self.relay = relay.new(served.database.url, self.folder)
    changes.LEAT_LISTEN_URL = self.relay.url
  end
  local ok, process = pcall(server.start, { url = served.database.url, app = served.options.app,
    env = served:variables(changes), gates = self.gates.pipe, log = { "" },
    before = function() self.gates:listen() end })
  if not ok then
    self:release()
    error(process, 0)
  end
  self.process = process
  return self
end

-- What it has beside its server.
function Twin:release()
  self.gates:close()
  if self.relay then self.relay:close() end
  if self.folder then files.remove(self.folder) end
end

--- A client of it.
function Twin:client(options)
  local made = client.new(self.process, options)
  self.clients[#self.clients + 1] = made
  return made
end

--- The client for a token; the same one each time, until settle.
function Twin:client_of(token)
  for _, c in ipairs(self.clients) do
    if c.options.token == token then return c end
  end
  return self:client({ token = token }):connect()
end

--- All clients go, and nothing of them is left.
function Twin:settle()
  self.gates:open()
  self.busy = nil
  for _, c in ipairs(self.clients) do c:close() end
  self.clients = {}
  metrics.await(self.process, "leat_topics", 0)
end

function Twin:close()
  self.gates:open()
  for _, c in ipairs(self.clients) do c:close() end
  local ok, err = true, nil
  if self.process:running() then ok, err = pcall(self.process.stop, self.process) end
  self:release()
  if not ok then error(err, 0) end
end

return M
