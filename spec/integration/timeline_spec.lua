-- Where pg_current_wal_lsn() is refused, as managed databases do, the timeline comes from elsewhere and Leat works.

local env = require "spec.support.env"
local files = require "spec.support.files"
local pg = require "spec.support.pg"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local server = require "spec.support.server"
local ws = require "spec.support.ws"

local APP = [[
local leat = require "leat"
local app = leat.app()
app:topic("room:{id:int}", { subscribe = function(ctx)
  return leat.subscribe_authorized(ctx, { id = 1 }, { snapshot = function() return {} end })
end })
return app
]]

local REFUSED = { "pg_current_wal_lsn()", "pg_walfile_name(pg_lsn)", "pg_control_checkpoint()" }

describe("a database that refuses pg_current_wal_lsn", function()
  local db, folder, owner, owner_url

  before_each(function()
    db = postgres.empty_database()
    folder = files.folder()
    files.write(folder .. "/app.lua", APP)
    owner = "owner_" .. db.name
    owner_url = db.url:gsub("^(%a+://)[^@/]*@?", "%1" .. owner .. "@", 1)
    db.session:run(("create role %s login; grant create on database %s to %s"):format(owner, db.name, owner))
  end)
  after_each(function()
    db.session:run(("drop owned by %s cascade; drop role %s"):format(owner, owner))
    db:drop()
    files.remove(folder)
  end)

  -- Refuses the first n of these functions to everybody but superusers, in this database.
  local function refuse(n)
    for i = 1, n do db.session:run("revoke execute on function " .. REFUSED[i] .. " from public") end
  end

  for n, timeline in ipairs { "00000001", "00000001", "00000000" } do
    it("is served all the same, with " .. n .. " functions refused", function()
      refuse(n)

      for _, command in ipairs { "migrate", "check" } do
        local code, out, err = process.run(env.binary(), { args = { command }, env = {
          LEAT_DATABASE_URL = owner_url, LEAT_APP = folder .. "/app.lua" } })
        assert.equal(0, code, command .. ": " .. out .. err)
      end
      local s = server.start { url = owner_url, app = folder .. "/app.lua" }
      local client = ws.connect(s)
      local session = pg.connect(owner_url)
      local snapshot = client:subscribe("room:1")
      session:run("select leat.publish('room:1', '7')")

      assert.equal(timeline, snapshot.epoch:match("^%x+"))
      assert.equal(7, client:expect("event").data)
      session:close()
      client:close()
      s:stop()
    end)
  end
end)
