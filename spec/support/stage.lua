-- What most specs need: a database with a schema, an app, and a server with both.

local files = require "spec.support.files"
local metrics = require "spec.support.metrics"
local postgres = require "spec.support.postgres"
local server = require "spec.support.server"
local ws = require "spec.support.ws"

local M = {}

local Stage = {}
Stage.__index = Stage

--- options: app (its text), schema (SQL), env (variables, or a function of the database that gives them), args,
--- log (see server), cluster (else the shared one), binary (of another leat),
--- public (texts by file name).
function M.open(options)
  local self = setmetatable({ options = options, clients = {} }, Stage)
  self.folder = files.folder()
  self.app = self.folder .. "/app.lua"
  files.write(self.app, options.app)
  if options.public then files.write_all(self.folder .. "/public", options.public) end
  self.db = options.cluster and options.cluster:database(options.schema)
    or postgres.database(options.schema, options.binary)
  self.session = self.db.session
  self:serve(type(options.env) == "function" and options.env(self.db) or options.env)
  return self
end

--- Starts the server; again, with other variables, after stop.
function Stage:serve(variables)
  self.server = server.start {
    url = self.db.url,
    app = self.app,
    binary = self.options.binary,
    env = variables,
    args = self.options.args,
    log = self.options.log,
  }
end

--- Another connection of a client; closed at the latest when the stage is.
function Stage:connect(options)
  local client = ws.connect(self.server, options)
  self.clients[#self.clients + 1] = client
  return client
end

function Stage:metrics()
  return metrics.read(self.server)
end

--- Closes every client, and waits until the server holds nothing of them.
function Stage:settle(limit_ms)
  for _, client in ipairs(self.clients) do client:close() end
  self.clients = {}
  metrics.settled(self.server, limit_ms)
end

--- Stops the server, which must end well.
function Stage:stop()
  for _, client in ipairs(self.clients) do client:close() end
  self.clients = {}
  local stopping = self.server
  self.server = nil
  if stopping then stopping:stop() end
end

function Stage:close()
  local ok, err = pcall(self.stop, self)
  self.db:drop()
  files.remove(self.folder)
  if not ok then error(err, 2) end
end

return M
