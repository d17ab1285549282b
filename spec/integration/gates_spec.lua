-- A server stops at its gates only if leat test has started it.

local env = require "spec.support.env"
local process = require "spec.support.process"

describe("a server without leat test", function()
  it("refuses gates", function()
    for _, value in ipairs { "2", "9", "x", "-1" } do
      local code, _, err = process.run(env.binary(), { args = { "check" }, env = { LEAT_GATES = value } })

      assert.equal(2, code)
      assert.matches("LEAT_GATES = " .. value:gsub("%-", "%%-") .. ": expected a socket", err)
    end
  end)
end)
