-- docs/console.md: its configurations are accepted, and its commands answer.

local console = require "spec.support.console"
local env = require "spec.support.env"
local files = require "spec.support.files"
local fixtures = require "spec.support.fixtures"
local json = require "cjson"
local markdown = require "spec.support.markdown"
local process = require "spec.support.process"
local stage = require "spec.support.stage"

local PAGE = env.root() .. "/docs/console.md"

describe("docs/console.md", function()
  it("has configurations that serve accepts", function()
    local n = 0
    for _, block in ipairs(markdown.blocks(PAGE)) do
      if block.info == "lua console" then
        n = n + 1
        local folder = files.folder()
        files.write(folder .. "/leat.lua", (block.text:gsub(":8090", ":0")))
        local s = stage.open { app = fixtures.app, schema = fixtures.schema, env = { CONSOLE_TOKEN = console.TOKEN },
          args = { "--config", folder .. "/leat.lua" } }
        assert.equal(200, console.of(s.server):request({ path = "/console/",
          headers = { Host = n == 2 and "ops.example.org" or nil } }, console.TOKEN).status)
        s:close()
        files.remove(folder)
      end
    end
    assert.equal(2, n)
  end)

  it("has commands that work", function()
    local s = stage.open { app = fixtures.app, schema = fixtures.schema,
      env = { LEAT_CONSOLE_LISTEN = "127.0.0.1:0", LEAT_CONSOLE_TOKEN = console.TOKEN } }
    local k = console.of(s.server)
    s:connect { token = "alice" }:subscribe("room:1")
    local n = 0
    for line in markdown.block(PAGE, "sh console"):gmatch("[^\n]+") do
      n = n + 1
      line = line:gsub("8090", tostring(k.port)):gsub("chat:42", "room:1")
      local code, out, err = process.run("/bin/sh", { args = { "-c", line }, env = { CONSOLE_TOKEN = console.TOKEN } })
      assert.equal(0, code, err)
      assert.is_nil(json.decode(out).code, out)
    end
    assert.equal(5, n)
    s:close()
  end)
end)
