-- docs/operations/backup.md: its commands, run as they stand.

local cluster = require "spec.support.cluster"
local env = require "spec.support.env"
local files = require "spec.support.files"
local fixtures = require "spec.support.fixtures"
local follower = require "spec.support.follower"
local markdown = require "spec.support.markdown"
local process = require "spec.support.process"
local server = require "spec.support.server"
local stage = require "spec.support.stage"
local ws = require "spec.support.ws"

describe("docs/operations/backup.md", function()
  local c, s, folder, other

  lazy_setup(function()
    c, folder = cluster.new(), files.folder()
    s = stage.open { cluster = c, app = fixtures.app, schema = fixtures.schema, log = { "WARN" } }
  end)
  lazy_teardown(function()
    if other then other:stop() end
    s:close()
    c:remove()
    files.remove(folder)
  end)

  local function run(info, url)
    local script = markdown.block(env.root() .. "/docs/operations/backup.md", info)
    local folders = { env.binary():match("^(.*)/"), env.pg_program("psql"):match("^(.*)/"), os.getenv("PATH") }
    local code, out, err = process.run("/bin/sh", { args = { "-euc", script }, cwd = folder,
      env = { DATABASE_URL = url, PATH = table.concat(folders, ":"), LEAT_APP = s.app } })
    assert.equal(0, code, out .. err)
  end

  it("has commands that put a dump into an empty database, and clients get snapshots", function()
    s.session:publish("room:1", "1")
    local f = follower.new("room:1"):on(s:connect { token = "alice" })
    f:await_position(s.session)
    run("sh backup", s.db.url)
    s.session:publish("room:1", "2")
    f:await_position(s.session)
    local snapshots = f.snapshots
    s.session:run("create database restored")
    run("sh restore", c:url("restored"))

    other = server.start { url = c:url("restored"), app = s.app, log = { "WARN" } }
    f:on(ws.connect(other, { token = "alice" }))
    f:await(function() return f.snapshots == snapshots + 1 end)
    assert.equal(0, f.resumes)
    assert.equal(1, f.seq)
    f.client:close()
  end)
end)
