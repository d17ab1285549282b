-- Databases: a fresh one on the shared cluster, or elsewhere.

local uv = require "luv"
local env = require "leat.spec.env"
local pg = require "leat.spec.pg"
local process = require "leat.spec.process"

local M = {}

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

local function make_empty(url_of)
  local name = ("leat_spec_%d_%x"):format(uv.os_getpid(), uv.hrtime()) -- one that no run left behind
  local self = setmetatable({ name = name, url = url_of(name), admin_url = url_of("postgres") }, Database)
  local admin = pg.connect(self.admin_url)
  admin:run("create database " .. name)
  admin:close()
  self.session = pg.connect(self.url)
  self.session:run("set client_min_messages = warning")
  return self
end

--- A database with schema leat and the given SQL: { name, url, session }. url_of(name) says where; binary, which may
--- be nil, is another leat than the one that is tested.
function M.database_at(url_of, schema, binary)
  local self = make_empty(url_of)
  migrate(self.url, binary)
  if schema then self.session:run(schema) end
  return self
end

--- One on the shared cluster.
function M.database(schema, binary)
  return M.database_at(env.database_url, schema, binary)
end

--- A database on the shared cluster that has nothing in it.
function M.empty_database()
  return make_empty(env.database_url)
end

return M
