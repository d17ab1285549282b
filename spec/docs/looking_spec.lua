-- docs/operations/observe.md, "Looking inside": its commands, run as they stand.

local control = require "spec.support.control"
local env = require "spec.support.env"
local fixtures = require "spec.support.fixtures"
local loop = require "spec.support.loop"
local markdown = require "spec.support.markdown"
local process = require "spec.support.process"
local stage = require "spec.support.stage"

describe("docs/operations/observe.md, Looking inside", function()
  local s, path

  lazy_setup(function()
    path = control.path()
    s = stage.open { app = fixtures.app, schema = fixtures.schema, env = { LEAT_CONTROL = path } }
  end)
  lazy_teardown(function()
    s:close()
    control.remove(path)
  end)

  --- Runs one line of a shell, on the spec's server, topic and client.
  local function run(line)
    local alice = s:connect { token = "alice" }
    alice:subscribe("room:1")
    local client = control.show(path, "clients").clients[1].client
    line = line:gsub("chat:42", "room:1"):gsub("0%-17", client):gsub("/run/leat/control", path)
    local script = "leat() { '" .. env.binary() .. "' \"$@\"; }\n" .. line
    local code, out, err = process.run("/bin/sh", { args = { "-c", script }, env = { LEAT_CONTROL = path } })
    assert.equal(0, code, line .. ": " .. err)
    assert.is_true(#out > 40, line .. ": " .. out)
    alice:close()
  end

  it("has commands that work", function()
    local n = 0
    for _, block in ipairs(markdown.blocks(env.root() .. "/docs/operations/observe.md")) do
      if block.info == "sh control" then
        for line in block.text:gmatch("[^\n]+") do
          run(line)
          n = n + 1
        end
      end
    end
    assert.is_true(n >= 9)
  end)

  it("publishes and follows", function()
    local text = markdown.block(env.root() .. "/docs/operations/observe.md", "sh publish"):gsub("chat:42", "room:1")
    local script = "PATH='" .. env.binary():match("^(.*)/") .. "':$PATH\n" .. text
    local shell = process.spawn("/bin/sh", { args = { "-c", (script:gsub("timeout %d+", "exec")) },
      env = { LEAT_CONTROL = path } })
    loop.eventually(function() return #shell.out == 2 end, nil, function() return "two lines: " .. shell:output() end)
    shell:send_signal("sigint")
    shell:wait()

    assert.matches("^%S+:2$", shell.out[1])
    assert.equal(shell.out[1] .. ' {"n": 2}', shell.out[2])
  end)
end)
