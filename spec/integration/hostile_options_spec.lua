-- Options whose metatable runs script: between two looks of the server at them, it calls the same function again,
-- frees what the server has looked at, or asks for something else.

local stage = require "spec.support.stage"

local APP = [[
local leat = require "leat"
local app = leat.app()
local SECRET = ("s"):rep(32)
local keys = leat.jwt.keys { secret = SECRET }
local planned = false

-- Options that are made anew at each look, and after which everything that nobody holds is gone.
local function fleeting(fields)
  return setmetatable({}, { __index = function(_, name)
    local held = {}
    for i = 1, 20000 do held[i] = { i } end
    local make = fields[name]
    return make and make()
  end })
end

app:connect(function(ctx, request)
  if request.query.plans then
    leat.subscribe(ctx, "note:" .. ("a"):rep(200), setmetatable({}, { __index = function(_, name)
      if name == "params" then leat.subscribe(ctx, "note:b") end
    end }))
  end
  return { id = 1 }
end)

app:topic("note:{name}", { subscribe = function(ctx, args)
  if args.name == "twice" then
    return leat.subscribe_authorized(ctx, {}, setmetatable({ snapshot = function() return "outer" end },
      { __index = function(_, name)
        if name == "refresh" then
          leat.subscribe_authorized(ctx, {}, { snapshot = function() return "inner" end })
        end
      end }))
  end
  return leat.subscribe_authorized(ctx, {}, { snapshot = function() return args.name end })
end })

app:method("subscribe", function(ctx)
  local since = setmetatable({}, { __index = function(_, name)
    pcall(leat.subscribe, ctx, "note:" .. ("x"):rep(240))
    return name == "epoch" and ("e"):rep(300) or 1
  end })
  local ok, code = leat.subscribe(ctx, "note:plain", { since = since })
  return { ok = ok, code = code }
end)

app:method("jwt", function()
  local function part(value) return (leat.crypto.base64url(leat.encode(value))) end
  local now = os.time()
  local signed = part { alg = "HS256" } .. "." .. part { iss = ("i"):rep(400), sub = ("u"):rep(400), exp = now + 600 }
  local token = signed .. "." .. leat.crypto.base64url(leat.crypto.hmac("sha256", SECRET, signed))
  local claims, why = leat.jwt.verify(token, fleeting {
    keys = function() return keys end,
    algorithms = function() return { "HS256" } end,
    issuer = function() return { ("x"):rep(500), ("i"):rep(400) } end,
    subject = function() return ("u"):rep(400) end,
    audience = function() return false end,
  })
  return claims and #claims.iss or why
end)

app:method("cookie", function()
  return leat.cookie.sign("value", SECRET, fleeting {
    name = function() return ("n"):rep(300) end,
    expires_at = function() return 4000000000 end,
  }) == leat.cookie.sign("value", SECRET, { name = ("n"):rep(300), expires_at = 4000000000 })
end)

app:method("inherited", function()
  local defaults = { name = "session" }
  return leat.cookie.verify(leat.cookie.sign("value", SECRET, { name = "session" }), SECRET,
    setmetatable({}, { __index = defaults }))
end)
return app
]]

describe("options that run script when they are looked at", function()
  local s

  lazy_setup(function()
    s = stage.open { app = APP, schema = "select 1", log = { "ERROR script" },
      env = { LEAT_SCRIPT_BUDGET_MS = 5000 } }
  end)
  lazy_teardown(function() s:close() end)
  after_each(function() s:settle() end)

  local function call(method)
    return s:connect():ask({ op = "call", id = 1, method = method }, "ok", 20000).data
  end

  it("subscribe in connect to what was asked for", function()
    local client = s:connect { path = "/ws?plans=1" }
    local topics = { client:expect("snapshot").data, client:expect("snapshot").data }
    table.sort(topics)

    assert.same({ ("a"):rep(200), "b" }, topics)
  end)

  it("subscribe once where one handler authorises twice", function()
    local client = s:connect()
    client:send { op = "subscribe", id = 1, topic = "note:twice" }
    client:expect("error", 1)
  end)

  it("subscribe in a method to what was asked for", function()
    local client = s:connect()
    client:send { op = "call", id = 1, method = "subscribe" }

    assert.equal("note:plain", client:expect("snapshot").topic)
    assert.is_true(client:expect("ok", 1).data.ok)
  end)
  it("name the claims of a token", function() assert.equal(400, call("jwt")) end)
  it("name a cookie", function() assert.is_true(call("cookie")) end)
  it("may come from a table of defaults", function() assert.equal("value", call("inherited")) end)
end)
