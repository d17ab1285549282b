-- Renewing an identity when connect itself breaks, which says nothing about who the client is.

local stage = require "spec.support.stage"

local APP = [[
local leat = require "leat"
local app = leat.app()
app:connect(function(ctx, request)
  if request.token == "bug" then error("secret text") end
  if request.token == "read" then ctx.db:exec("do $$ begin raise lock_not_available; end $$") end
  return { id = 1 }
end)
app:method("me", function(ctx) return ctx.user.id end)
return app
]]

describe("an identity that is being renewed", function()
  local s

  lazy_setup(function() s = stage.open { app = APP, log = { "handler=connect" } } end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  for token, code in pairs { bug = "internal", read = "unavailable" } do
    it("stays when connect ends in " .. code, function()
      local client = s:connect { token = "good" }

      local answer = client:ask({ op = "authenticate", id = 5, token = token }, "error")

      assert.equal(code, answer.code)
      assert.equal(1, client:ask({ op = "call", id = 6, method = "me" }, "ok").data)
    end)
  end
end)
