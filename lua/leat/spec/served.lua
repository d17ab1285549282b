-- An application that is served for its specs: its database, its server, its clients.

local client = require "leat.spec.client"
local cluster = require "leat.spec.cluster"
local db = require "leat.spec.db"
local files = require "leat.spec.files"
local http = require "leat.spec.http"
local loop = require "leat.spec.loop"
local metrics = require "leat.spec.metrics"
local postgres = require "leat.spec.postgres"
local reset = require "leat.spec.reset"
local server = require "leat.spec.server"

local M = {}

-- Short where a spec would wait for it. Operators' own values (options.env) come after.
M.TIMES = {
  LEAT_TOPIC_LINGER_MS = 1,
  LEAT_COMPARE_INTERVAL_MS = 100,
  LEAT_DATABASE_CONNECT_TIMEOUT_MS = 2000,
}

local Served = {}
Served.__index = Served

function M.new(options)
  if type(options) ~= "table" or not (type(options.app) == "string" or type(options.program) == "table") then
    error("spec.serve needs app, the path of an application, or program, a command that has Leat inside", 3)
  end
  return setmetatable({ options = options, clients = {}, tokens = {} }, Served)
end

local function text_of(given)
  if not given or given:find("[%s;]") then return given or "" end
  return files.read(given)
end

-- In a cluster of this server's own, or in the one that leat test has made, or wherever --database leads.
local function make_database(self)
  local shared = os.getenv("LEAT_TEST_CLUSTER")
  if self.options.own_postgres then
    self.cluster, self.owns_cluster = cluster.new(), true
  elseif shared and shared ~= "" then
    self.cluster = cluster.attach(shared)
  end
  local schema = text_of(self.options.schema) .. "\n" .. text_of(self.options.data)
  self.database = self.cluster and self.cluster:database(schema) or postgres.database(schema)
  self.saved = reset.save(self.database.session)
  self.db = db.new(self.database.session)
end

--- The variables of the server's configuration, with changes.
function Served:variables(changes)
  local all = {}
  for _, variables in ipairs { M.TIMES, self.options.env or {}, changes or {} } do
    for key, value in pairs(variables) do all[key] = value end
  end
  return all
end

-- Warnings are an application's own business here.
local function start_server(self)
  self.process = server.start { url = self.database.url, app = self.options.app, program = self.options.program,
    env = self:variables(), log = { "" } }
end

function Served:start()
  make_database(self)
  start_server(self)
  return self
end

--- A client. options: token, path, headers. It connects when it is first used.
function Served:client(options)
  local made = client.new(self.process, options)
  self.clients[#self.clients + 1] = made
  if options and options.token then self.tokens[options.token] = true end
  return made
end

local function close_clients(self)
  for _, c in ipairs(self.clients) do c:close() end
  self.clients = {}
end

--- All clients go, and the data is again what it was after the schema.
function Served:reset()
  close_clients(self)
  if self.stopped then self:postgres("start") end
  if not self.process:running() then start_server(self) end
  -- A program may follow topics itself.
  if not self.options.program then metrics.await(self.process, "leat_topics", 0) end
  reset.restore(self.database.session, self.saved)
end

--- A plain HTTP request: a path, or { path, method, headers, body }. Returns { status, headers, body }.
function Served:request(request)
  return http.request(self.process, request)
end

--- Runs a statement with parameters; tables become JSON. Returns the rows of a select or of a `returning`, else the
--- number of rows that were changed.
function Served:sql(sql, ...)
  local text = sql:lower()
  local has_rows = (text:find("^%s*select%W") or text:find("^%s*with%W") or text:find("%Wreturning%W"))
    and not text:find("^%s*select%s+leat%.")
  if has_rows then return self.db:rows(sql, ...) end
  return self.db:exec(sql, ...)
end

--- Restarts the server; clients lose their connections and connect again when they are used.
function Served:restart()
  self.process:stop()
  start_server(self)
  for _, c in ipairs(self.clients) do
    c:close()
    c.server = self.process
  end
end

--- "stop" (in order), "kill" (a crash) or "stall" (connections stay open, nothing answers): until "start". Only for a
--- cluster of the kit's own.
function Served:postgres(what)
  local own = self.cluster
  if not own then error("server:postgres needs a cluster of its own: spec.serve { own_postgres = true, … }", 2) end
  if what == "stall" then
    own:pause()
  elseif what == "stop" or what == "kill" then
    own:stop(what == "kill" and "immediate" or "fast")
  elseif what == "start" then
    if self.stopped == "stall" then own:resume() else own:start() end
    if self.stopped ~= "stall" then self.database:reconnect() end
    self.db = db.new(self.database.session)
    self:await_ready()
  else
    error("server:postgres: expected stop, kill, stall or start", 2)
  end
  self.stopped = what ~= "start" and what or nil
end

--- Waits until the server says that it is ready.
function Served:await_ready(limit_ms)
  loop.eventually(function() return http.request(self.process, "/readyz").status == 200 end, limit_ms or 20000,
    "a server that is ready")
end

--- Every sample of /metrics, by name and labels.
function Served:metrics()
  return (metrics.read(self.process))
end

--- The log: its lines as one text. With a pattern: waits for a line that matches.
function Served:log(pattern)
  if pattern then self.process:await_log(pattern) end
  return table.concat(self.process.log, "\n")
end

--- Runs the subscribe once for each way in which commits can fall between its steps (leat.spec.interleaving).
function Served:every_interleaving(options)
  return require("leat.spec.interleaving").run(self, options)
end

--- Prints what the clients of this `it` have sent and received.
function Served:show_wires()
  for _, c in ipairs(self.clients) do
    if #c.lines > 0 then io.stderr:write(c:wire(), "\n") end
  end
end

-- All of it, whatever fails in between. The first failure is told at the end.
local function stop_all(self)
  local failure
  local function try(fn, ...)
    local ok, err = pcall(fn, ...)
    if not ok then failure = failure or err end
  end
  if self.stopped then try(self.postgres, self, "start") end
  try(close_clients, self)
  if self.twin then try(self.twin.close, self.twin) end
  if self.process and self.process:running() then try(self.process.stop, self.process) end
  try(self.database.drop, self.database)
  if self.owns_cluster then try(self.cluster.remove, self.cluster) end
  return failure
end

function Served:stop()
  if not self.database then return end
  local failure = stop_all(self)
  self.database = nil
  if failure then error(failure, 0) end
end

return M
