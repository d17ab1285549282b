-- docs/operations.md, "Looking inside": its commands, run as they stand.

local control = require "spec.support.control"
local env = require "spec.support.env"
local fixtures = require "spec.support.fixtures"
local markdown = require "spec.support.markdown"
local process = require "spec.support.process"
local stage = require "spec.support.stage"

describe("docs/operations.md, Looking inside", function()
  local s, path

  lazy_setup(function()
    path = control.path()
    s = stage.open { app = fixtures.app, schema = fixtures.schema, env = { LEAT_CONTROL = path } }
    s:connect({ token = "alice" }):subscribe("room:1")
  end)
  lazy_teardown(function()
    s:close()
    control.remove(path)
  end)

  --- Runs one line of a shell, on the spec's server, topic and client.
  local function run(line)
    local client = control.show(path, "clients").clients[1].client
    line = line:gsub("chat:42", "room:1"):gsub("0%-17", client):gsub("/run/leat/control", path)
    local script = "leat() { '" .. env.binary() .. "' \"$@\"; }\n" .. line
    local code, out, err = process.run("/bin/sh", { args = { "-c", script }, env = { LEAT_CONTROL = path } })
    assert.equal(0, code, line .. ": " .. err)
    assert.is_true(#out > 40, line .. ": " .. out)
  end

  it("has commands that work", function()
    local n = 0
    for _, block in ipairs(markdown.blocks(env.root() .. "/docs/operations.md")) do
      if block.info == "sh control" then
        for line in block.text:gmatch("[^\n]+") do
          run(line)
          n = n + 1
        end
      end
    end
    assert.is_true(n >= 8)
  end)
end)
