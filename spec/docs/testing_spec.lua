-- docs/testing.md: its application and its spec are run by leat test.

local env = require "spec.support.env"
local files = require "spec.support.files"
local process = require "spec.support.process"

-- As the page names them, and where they belong.
local FILES = { ["schema.sql"] = "schema.sql", ["app.lua"] = "app.lua", ["chat_spec.lua"] = "spec/chat_spec.lua" }

describe("the page about testing", function()
  it("has an application and a spec that passes", function()
    local page = files.read(env.root() .. "/docs/testing.md")
    local folder = files.folder()
    for name, path in pairs(FILES) do
      local block = page:match("`" .. name:gsub("%p", "%%%0") .. "`:\n\n```%l+\n(.-)\n```\n")
      files.write_all(folder, { [path] = block })
    end

    local code, out, err = process.run(env.binary(), {
      args = { "test", "--database", env.database_url("postgres"), "--output=TAP" },
      cwd = folder,
      limit_ms = 120000,
    })

    files.remove(folder)
    assert.equal(0, code, out .. err)
    assert.matches("1%.%.3", out)
    assert.matches("every_interleaving of chat:42: %d+ ways, all exact", out)
  end)
end)
