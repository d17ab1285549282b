-- Databases: a fresh one on the shared cluster, or elsewhere.

local uv = require "luv"
local env = require "leat.spec.env"
local pg = require "leat.spec.pg"
local process = require "leat.spec.process"

local M = {}

-- A copy gives no positions until a server has called this. Servers have JIT off, too: here it takes 250 ms.
local ATTEND = "begin; set local jit = off; select leat_internal.attend(null, null, '[]'); commit"

local function migrate(url, binary)
  local code, out, err = process.run(binary or env.binary(), {
    args = { "migrate" },
    env = { LEAT_DATABASE_URL = url },
  })
  if code ~= 0 then error("leat migrate: " .. out .. err) end
end

local Database = {}
Database.__index = Database

function Database:drop()
  self.session:close()
  local admin = pg.connect(self.admin_url)
  admin:run("drop database " .. self.name .. " with (force)")
  admin:close()
end

--- A new session, for when Postgres was restarted.
function Database:reconnect()
  pcall(self.session.close, self.session)
  self.session = pg.connect(self.url)
  self.session:run("set client_min_messages = warning")
end

local function create(admin_url, name, template)
  local admin = pg.connect(admin_url)
  admin:run(("create database %s%s"):format(name, template and " template " .. template or ""))
  admin:close()
end

local function make(url_of, template)
  local name = ("leat_spec_%d_%x"):format(uv.os_getpid(), uv.hrtime()) -- one that no run left behind
  local self = setmetatable({ name = name, url = url_of(name), admin_url = url_of("postgres") }, Database)
  create(self.admin_url, name, template)
  self.session = pg.connect(self.url)
  self.session:run("set client_min_messages = warning")
  return self
end

--- A database with schema leat and the given SQL: { name, url, session }. url_of(name) says where; binary, which may
--- be nil, is another leat than the one that is tested.
function M.database_at(url_of, schema, binary)
  local self = make(url_of)
  migrate(self.url, binary)
  if schema then self.session:run(schema) end
  return self
end

--- One on the shared cluster. Where there is a template, it is a copy of that, which is made in a fourth of the time.
function M.database(schema, binary)
  local template = env.template()
  if binary or not template then return M.database_at(env.database_url, schema, binary) end
  local self = make(env.database_url, template)
  self.session:run(ATTEND)
  if schema then self.session:run(schema) end
  return self
end

--- A database on the shared cluster that has nothing in it.
function M.empty_database()
  return make(env.database_url)
end

--- Makes what M.database copies, on the cluster whose URLs url_of(name) gives, and returns its name.
function M.make_template(url_of)
  local name = "leat_template"
  create(url_of("postgres"), name)
  migrate(url_of(name))
  return name
end

return M
