-- leat test: a cluster of its own, busted's exit code, and nothing left behind.

local uv = require "luv"
local env = require "spec.support.env"
local files = require "spec.support.files"
local installed = require "spec.support.installed"
local loop = require "spec.support.loop"
local process = require "spec.support.process"

-- A spec that tells where its cluster is, and waits there if WAIT is set.
local SPEC = [[
local uv = require "luv"
local spec = require "leat.spec"
describe("an application", function()
  local server = spec.serve { app = "app.lua", schema = "create table t (id int)" }
  it("loses Postgres and gets it back", function()
    io.stderr:write("cluster ", os.getenv "LEAT_TEST_CLUSTER", "\n")
    io.stderr:write("temporary ", os.getenv "LEAT_TEST_TMP", "\n")
    io.stderr:write("processes ", uv.os_getpid(), " ", server.process.process.pid, "\n")
    if os.getenv "WAIT" then uv.run() end
    server:sql "insert into t values (1)"
    server:postgres "kill"
    server:log "WARN"
    server:postgres "start"
    assert.equal(1, server:sql("select * from t")[1].id)
  end)
  it("has its data again", function()
    assert.equal(0, #server:sql "select * from t")
    server:restart()
    server:await_ready()
    assert.equal(1, server:metrics()["leat_listener_connected"])
    assert.equal("not_found", server:client():refused("t").code)
  end)
  it("fails", function() assert.equal(1, 2) end)
end)
]]

local APP = 'local app = require("leat").app() return app'

describe("leat test", function()
  local folder

  setup(function()
    folder = files.folder()
    files.write_all(folder, { ["app.lua"] = APP, ["spec/a_spec.lua"] = SPEC })
  end)
  teardown(function() files.remove(folder) end)

  local function start(variables, ...)
    return process.spawn(env.binary(), { args = { "test", "--output=TAP", ... }, cwd = folder, env = variables })
  end

  it("makes a cluster, runs the specs, and removes it", function()
    local p = start({}, "spec")

    local code = p:wait(60000)

    local output = p:output()
    assert.equal(1, code, output)
    assert.matches("\nok 1 ", "\n" .. output)
    assert.matches("\nok 2 ", output)
    assert.matches("\nnot ok 3 ", output)
    assert.is_false(files.exists(assert(output:match("cluster (/%S+)"))))
  end)

  it("removes it, too, if it is interrupted", function()
    local p = start({ WAIT = "1" })
    local cluster
    loop.eventually(function()
      cluster = p:output():match("cluster (/%S+)")
      return cluster
    end, 30000, "a cluster")

    p:send_signal("sigterm")

    assert.equal(143, p:wait(30000))
    assert.is_false(files.exists(cluster))
  end)

  -- Who is left to clean up then: lua/leat/spec/keeper.lua.
  for _, who in ipairs { "it", "what runs the specs" } do
    it("leaves nothing behind if " .. who .. " is killed", function()
      local p = start({ WAIT = "1" })
      local specs, server
      loop.eventually(function()
        specs, server = p:output():match("processes (%d+) (%d+)")
        return specs
      end, 30000, "specs that run")
      local cluster, temporary = p:output():match("cluster (/%S+)"), p:output():match("temporary (/%S+)")
      assert.is_true(files.exists(cluster) and files.exists(temporary) and files.exists("/proc/" .. server))

      if who == "it" then p:send_signal("sigkill") else uv.kill(tonumber(specs), "sigkill") end

      loop.eventually(function()
        for _, path in ipairs { cluster, temporary, "/proc/" .. specs, "/proc/" .. server } do
          if files.exists(path) then return false end
        end
        return true
      end, 30000, "nothing of it")
      p:wait(30000)
    end)
  end

  it("runs where it is installed, for an ordinary user, and needs nothing of a build tree", function()
    local tree = installed.install {}
    finally(function() tree:remove() end)
    files.write_all(tree.folder .. "/application", { ["app.lua"] = APP, ["spec/a_spec.lua"] = SPEC })
    tree:run("chmod -R a+rX .", 0)
    local somebody = tree:run("id -u", 0):output():match("^0") and "runuser -u nobody -- " or ""

    local command = 'cd application && %senv -i PATH="$PATH" HOME=/tmp %s/bin/leat test --output=TAP spec'
    local p = tree:run(command:format(somebody, tree.prefix), 1)

    local output = p:output()
    assert.matches("\nok 2 ", output)
    assert.matches("\nnot ok 3 ", output)
    assert.is_false(files.exists(assert(output:match("cluster (/%S+)"))))
  end)

  it("says where a spec cannot be read", function()
    files.write(folder .. "/broken_spec.lua", "describe('x', function()")

    local p = process.spawn(env.binary(), { args = { "test", "broken_spec.lua" }, cwd = folder, env = {} })

    assert.is_true(p:wait(60000) ~= 0)
    assert.matches("broken_spec.lua:1: 'end' expected", (p:output():gsub("\27%[[%d;]*m", "")), 1, true)
  end)

  it("says what is missing", function()
    local p = start({ LUA_CPATH = "/nowhere/?.so", LUA_CPATH_5_4 = "/nowhere/?.so" })
    assert.equal(2, p:wait())
    assert.matches("apt%-get install lua%-luv lua%-cjson", p:output())

    p = start({ LEAT_PG_BINDIR = "/nowhere" })
    assert.equal(2, p:wait())
    assert.matches("Postgres' programs %(initdb, pg_ctl%) are not found", p:output())

    p = start({}, "nowhere")
    assert.equal(2, p:wait())
    assert.matches("nowhere is not there", p:output())
  end)
end)
