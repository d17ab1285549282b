-- The levels of the log: by subsystem, from the configuration, and changed while the server runs.

local control = require "spec.support.control"
local env = require "spec.support.env"
local files = require "spec.support.files"
local fixtures = require "spec.support.fixtures"
local process = require "spec.support.process"
local stage = require "spec.support.stage"

describe("the levels of the log", function()
  local s, path, config

  local function write(levels)
    files.write(config, ("return { log_level = '%s', control = '%s' }"):format(levels, path))
  end

  before_each(function()
    path = control.path()
    config = path .. ".lua"
    write("warn,control=error")
    s = stage.open { app = fixtures.app, schema = fixtures.schema, args = { "--config", config },
      log = { "done by an operator", "key taken over", "key needs a restart" } }
  end)
  after_each(function()
    s:settle()
    s:close()
    control.remove(path)
  end)

  local function levels()
    local code, out, err = control.run(path, "log", "--json")
    assert.equal(0, code, err)
    return out:match('"levels":"([^"]*)"')
  end

  it("are told, set until the next reload, and set back by it", function()
    assert.equal("warn,control=error", levels())

    local code, _, err = control.run(path, "log", "warn,sub=debug")
    assert.equal(0, code, err)
    assert.equal("warn,sub=debug", levels())
    s.server:await_log('INFO control (done by an operator) action=log_level levels="warn,sub=debug" by=uid=')
    s:connect({ token = "alice" }):subscribe("room:1")
    s.server:await_log("DEBUG sub REPLAYING %-> LIVE")
    assert.is_nil(s.server:find_log(" INFO [^c]"))

    write("info")
    s.server:send_signal("sighup")
    s.server:await_log("key taken over key=log_level value=info")
    assert.equal("info", levels())
  end)

  it("are refused if they are none", function()
    for _, bad in ipairs { "loud", "info,nothing=debug", "info,sub", "sub=debug" } do
      local code, _, err = control.run(path, "log", bad)
      assert.equal(2, code)
      assert.matches("expected levels", err, 1, true)
    end
    assert.equal("warn,control=error", levels())
  end)

  it("know every subsystem that the sources name", function()
    local known = {}
    local header = assert(io.open("csrc/base/log_levels.h")):read("a")
    for name in header:gmatch("\n    X%((%l+)%)") do known[name] = true end
    local pipe = assert(io.popen("cat $(find csrc -name '*.c')"))
    local text = pipe:read("a")
    pipe:close()
    local n = 0
    for name in text:gmatch('LEAT_LOG_%u+%(%s*"(%l+)"') do
      n = n + 1
      assert.is_true(known[name], "log_levels.h does not know the subsystem " .. name)
    end
    assert.is_true(n > 50)
  end)
end)

describe("leat's commands for a running server", function()
  local s, path, config

  setup(function()
    path = control.path()
    config = path .. ".lua"
    files.write(config, ("return { control = '%s' }"):format(path))
    s = stage.open { app = fixtures.app, schema = fixtures.schema, args = { "--config", config } }
  end)
  teardown(function()
    s:close()
    control.remove(path)
  end)

  local function leat(...) return process.run(env.binary(), { args = { ... } }) end

  it("find its socket by the configuration that --config names", function()
    local code, out, err = leat("show", "--config", config)

    assert.equal(0, code, err)
    assert.matches("serving", out, 1, true)
    assert.equal(0, (leat("top", "--once", "--config", config)))
    assert.equal(0, (leat("publish", "room:1", '{"n":1}', "--config", config)))
  end)

  it("say so if that configuration names none", function()
    local other = path .. ".other"
    files.write(other, "return { control = 'off' }")

    local code, _, err = leat("show", "--config", other)

    assert.equal(2, code)
    assert.matches("names no socket", err, 1, true)
  end)

  it("prefer the socket that --control names", function()
    local code = leat("show", "--config", "/nowhere.lua", "--control", path)

    assert.equal(0, code)
  end)
end)
