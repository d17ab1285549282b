-- A breach of RFC 6455 on a socket of the script's own: what came before it is still answered.

local frame = require "spec.support.frame"
local stage = require "spec.support.stage"

local APP = [[
local leat = require "leat"
local app = leat.app()
app:connect(function() return leat.deny("unauthenticated") end)
app:websocket("/slow", {
  message = function(conn, data) conn:send(data .. conn.db:one("select 1 as n").n) end,
}, { public = true })
return app
]]

local BREACHES = {
  ["a reserved opcode"] = { { op = 3 }, 1002 },
  ["a reserved bit"] = { { op = frame.TEXT, rsv = 4 }, 1002 },
  ["no mask"] = { { op = frame.TEXT, mask = false }, 1002 },
  ["text that is not UTF-8"] = { { op = frame.TEXT, payload = "\xff" }, 1007 },
}

describe("after", function()
  local s

  lazy_setup(function() s = stage.open { app = APP } end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  for name, breach in pairs(BREACHES) do
    it(name .. " the messages before it are answered, then the socket is closed", function()
      local client = s:connect { path = "/slow" }

      client:send_bytes(frame.encode { op = frame.TEXT, payload = "a" } .. frame.encode(breach[1]))

      assert.equal("a1", client:poll_frame().payload)
      assert.equal(breach[2], (client:closed()))
    end)
  end
end)
