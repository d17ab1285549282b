-- Scripts that go wrong: each ends its own task, and says why in the log, not to the client.

local http = require "spec.support.http"
local stage = require "spec.support.stage"
local ws = require "spec.support.ws"

local APP = [[
local leat = require "leat"
local app = leat.app()
local kept

local function topic(name, subscribe, publish)
  app:topic(name, { subscribe = subscribe, publish = publish })
end
local function snapshot(value)
  return { snapshot = function() return value end }
end

topic("good", function(ctx) return leat.subscribe_authorized(ctx, { id = 1 }, snapshot "fine") end)
topic("error", function() error("secret text") end)
topic("error-value", function() error({ code = "forbidden", secret = true }) end)
topic("nil-row", function(ctx) return leat.subscribe_authorized(ctx, nil, snapshot(1)) end)
topic("false-row", function(ctx) return leat.subscribe_authorized(ctx, false, snapshot(1)) end)
topic("null-row", function(ctx) return leat.subscribe_authorized(ctx, leat.null, snapshot(1)) end)
topic("denied-row", function(ctx) return leat.subscribe_authorized(ctx, leat.deny("forbidden"), snapshot(1)) end)
topic("twice", function(ctx)
  leat.subscribe_authorized(ctx, { id = 1 }, snapshot(1))
  return leat.subscribe_authorized(ctx, { id = 2 }, snapshot(2))
end)
topic("nothing", function() end)
topic("true", function() return true end)
topic("no-snapshot", function(ctx) return leat.subscribe_authorized(ctx, { id = 1 }, {}) end)
topic("unknown-key", function(ctx)
  return leat.subscribe_authorized(ctx, { id = 1 }, { snapshot = function() end, snapshots = 1 })
end)
topic("denied-after-all", function(ctx)
  leat.subscribe_authorized(ctx, { id = 1 }, snapshot(1))
  return leat.deny("forbidden")
end)
topic("error-after-all", function(ctx)
  leat.subscribe_authorized(ctx, { id = 1 }, snapshot(1))
  error("secret text")
end)
topic("kept-ctx", function(ctx)
  if kept then return leat.subscribe_authorized(kept, { id = 1 }, snapshot(1)) end
  kept = ctx
  return leat.subscribe_authorized(ctx, { id = 1 }, snapshot(1))
end)
topic("snapshot-error", function(ctx)
  return leat.subscribe_authorized(ctx, { id = 1 }, { snapshot = function() error("secret text") end })
end)
topic("refresh-error", function(ctx)
  return leat.subscribe_authorized(ctx, { id = 1 }, { refresh = function() error("secret text") end,
    snapshot = function() return 1 end })
end)
topic("snapshot-function", function(ctx)
  return leat.subscribe_authorized(ctx, { id = 1 }, { snapshot = function() return print end })
end)
topic("snapshot-cycle", function(ctx)
  local t = {}
  t.t = t
  return leat.subscribe_authorized(ctx, { id = 1 }, snapshot(t))
end)
topic("snapshot-bad-utf8", function(ctx) return leat.subscribe_authorized(ctx, { id = 1 }, snapshot "\xff") end)
topic("snapshot-nan", function(ctx) return leat.subscribe_authorized(ctx, { id = 1 }, snapshot(0 / 0)) end)
topic("snapshot-writes", function(ctx)
  return leat.subscribe_authorized(ctx, { id = 1 }, {
    snapshot = function(db) return db:exec("insert into written values (1)") end })
end)
topic("bad-sql", function(ctx)
  ctx.db:one("select secret from nowhere")
  return leat.subscribe_authorized(ctx, { id = 1 }, snapshot(1))
end)
topic("caught", function(ctx)
  local ok, err = pcall(ctx.db.one, ctx.db, "select secret from nowhere")
  return leat.deny("forbidden", tostring(ok) .. " " .. tostring(err.code))
end)

topic("loop", function() while true do end end)
topic("loop-pcall", function() while true do pcall(function() while true do end end) end end)
topic("loop-coroutine", function() coroutine.wrap(function() while true do end end)() end)
topic("loop-sort", function() table.sort({ 1, 2, 3 }, function() while true do end end) end)
topic("loop-gsub", function() return (("a"):gsub("a", function() while true do end end)) end)
topic("loop-pattern", function() return (("a"):rep(30)):find(("a?"):rep(30) .. ("a"):rep(30)) end)
topic("loop-tostring", function()
  return tostring(setmetatable({}, { __tostring = function() while true do end end }))
end)
topic("memory", function() local t = {} while true do t[#t + 1] = ("x"):rep(10000) .. #t end end)
topic("memory-rep", function() return ("x"):rep(2 ^ 40) end)
topic("depth", function() local function f() return 1 + f() end return f() end)

app:method("error", function() error("secret text") end)
app:method("function", function() return print end)
app:method("subscribe_authorized", function(ctx) return leat.subscribe_authorized(ctx, { id = 1 }, snapshot(1)) end)
app:method("late", function(ctx) leat.app():method("more", function() end) end)
app:method("sandbox", function()
  local names = {}
  for _, name in ipairs { "io", "dofile", "loadfile", "debug" } do
    if _G[name] ~= nil then names[#names + 1] = name end
  end
  for _, name in ipairs { "execute", "exit", "remove", "rename", "tmpname" } do
    if os and os[name] ~= nil then names[#names + 1] = "os." .. name end
  end
  return { leaks = leat.array(names) }
end)
app:route("GET /error", function() error("secret text") end, { public = true })
app:route("GET /bad-answer", function() return 5 end, { public = true })
app:route("GET /denied", function() return leat.deny("forbidden", "not you") end, { public = true })
return app
]]

describe("a script", function()
  local s, client

  lazy_setup(function()
    s = stage.open { app = APP, schema = "create table written (id int)",
      env = { LEAT_SCRIPT_BUDGET_MS = 50, LEAT_SCRIPT_MEMORY_BYTES = 32 << 20 },
      log = { "ERROR script", "WARN script", "refresh failed" } }
  end)
  lazy_teardown(function() s:close() end)
  before_each(function() client = s:connect() end)
  after_each(function()
    assert.equal("fine", client:subscribe("good").data)
    s:settle()
  end)

  local function code_of(topic, timeout_ms)
    local answer = client:ask({ op = "subscribe", id = topic, topic = topic, timeout_ms = timeout_ms }, "error")
    assert.is_nil(answer.message:find("secret", 1, true))
    return answer.code
  end

  for _, topic in ipairs { "error", "error-value", "nil-row", "false-row", "null-row", "denied-row", "twice", "nothing",
    "true", "no-snapshot", "unknown-key", "error-after-all", "snapshot-error", "refresh-error", "snapshot-function",
    "snapshot-cycle", "snapshot-bad-utf8", "snapshot-nan" } do
    it("that goes wrong by " .. topic .. " is answered internal", function()
      local errors = s:metrics().leat_script_errors_total

      assert.equal("internal", code_of(topic))
      assert.is_true(s:metrics().leat_script_errors_total > errors)
    end)
  end

  it("that fails has its traceback in the log", function()
    code_of("error")

    local line = s.server:find_log("ERROR script script failed handler=subscribe topic=error (.*)")
    assert.is_not_nil(line:find("secret text", 1, true))
    assert.is_not_nil(line:find("stack traceback", 1, true))
    assert.is_not_nil(line:find("app.lua:", 1, true))
  end)

  it("may deny after all", function()
    assert.equal("forbidden", code_of("denied-after-all"))
  end)

  it("cannot authorise with the ctx of another", function()
    client:subscribe("kept-ctx")
    client:ask({ op = "unsubscribe", id = 1, topic = "kept-ctx" }, "ok")

    assert.equal("internal", code_of("kept-ctx"))
  end)

  it("cannot authorise outside a subscribe handler", function()
    assert.equal("internal",
      client:ask({ op = "call", id = 1, method = "subscribe_authorized" }, "error").code)
  end)

  it("cannot register anything once it is loaded", function()
    assert.equal("internal", client:ask({ op = "call", id = 1, method = "late" }, "error").code)
  end)

  it("cannot write in a snapshot", function()
    local code = code_of("snapshot-writes", 200)

    assert.is_true(code == "internal" or code == "unavailable" or code == "deadline_exceeded", code)
    assert.equal("0", s.session:value("select count(*) from written"))
  end)

  it("that reads what is not there does not take it for an empty answer", function()
    local code = code_of("bad-sql")

    assert.is_true(code == "internal" or code == "unavailable", code)
    assert.is_nil(client.queue[client.first])
  end)

  it("can catch a read that failed, and sees its code", function()
    local answer = client:ask({ op = "subscribe", id = 1, topic = "caught" }, "error")

    assert.equal("forbidden", answer.code)
    assert.matches("^false %l+", answer.message)
  end)

  for _, topic in ipairs { "loop", "loop-pcall", "loop-coroutine", "loop-sort", "loop-gsub", "loop-pattern",
    "loop-tostring" } do
    it("that computes for ever by " .. topic .. " is stopped", function()
      local before = s:metrics().leat_script_budget_exceeded_total

      assert.equal("internal", code_of(topic))
      assert.equal(before + 1, s:metrics().leat_script_budget_exceeded_total)
    end)
  end

  for _, topic in ipairs { "memory", "memory-rep", "depth" } do
    it("that takes memory or stack without end by " .. topic .. " is stopped", function()
      assert.equal("internal", code_of(topic))
    end)
  end

  it("fails in a method and in a route without a word of its text", function()
    local answer = client:ask({ op = "call", id = 1, method = "error" }, "error")
    assert.equal("internal", answer.code)
    assert.is_string(answer.message)
    assert.is_nil(answer.message:find("secret", 1, true))
    assert.equal("internal", client:ask({ op = "call", id = 2, method = "function" }, "error").code)

    for _, path in ipairs { "/error", "/bad-answer" } do
      local page = http.request(s.server, path)
      assert.equal(500, page.status)
      assert.is_nil(page.body:find("secret", 1, true))
    end
    local denied = http.request(s.server, "/denied")
    assert.equal(403, denied.status)
    assert.is_not_nil(denied.body:find("not you", 1, true))
  end)

  it("has no way out of its sandbox", function()
    assert.same({}, client:ask({ op = "call", id = 1, method = "sandbox" }, "ok").data.leaks)
  end)

  it("that hangs does not hold up a close", function()
    local other = ws.connect(s.server)
    other:send { op = "subscribe", id = 1, topic = "loop" }
    other:abort()
  end)
end)
