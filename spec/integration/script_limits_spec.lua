-- What a script may cost: time and memory are bounded whatever it calls, and its neighbours go on.

local http = require "spec.support.http"
local loop = require "spec.support.loop"
local stage = require "spec.support.stage"

-- Each computes for ever, or for very long, where no hook of Lua's would stop it.
local LONG = {
  ["leat.encode of shared tables"] = "return #leat.encode(doubled(40))",
  ["a query parameter of shared tables"] = "ctx.db:one('select $1::jsonb as x', doubled(40))",
  ["a result of shared tables"] = "return doubled(40)",
  ["table.concat of a table without end"] =
    "return #table.concat(setmetatable({}, { __index = rawlen }), '', 1, 1 << 40)",
  ["table.sort of long texts"] =
    "local t = {} for i = 1, 200 do t[i] = ('a'):rep(100000) .. i end while true do table.sort(t) end",
  ["table.sort by a function in C"] =
    "local t = {} for i = 1, 100000 do t[i] = i end while true do table.sort(t, rawequal) end",
  ["leat.decode of many values"] = "return leat.decode('[' .. ('[],'):rep(1000000) .. '1]')",
  ["a pattern that backtracks"] = "return ('a'):rep(40):find(('a?'):rep(40) .. ('a'):rep(40))",
  ["pcall in a loop"] = "while true do pcall(error) end",
  ["coroutines in a loop"] = "while true do coroutine.wrap(function() end)() end",
}

-- Each would compute or hold too much in one step, and is refused instead.
local REFUSED = {
  ["a signal of shared tables"] = "app:signal('room:1', doubled(40))",
  ["os.date with a long format"] = "return #os.date(('%c'):rep(1000))",
  ["string.pack with a long format"] = "return #string.pack(('i4'):rep(100000), 1)",
  ["string.rep to a huge text"] = "return #('x'):rep(1 << 40)",
  ["table.move of many elements"] = "table.move(setmetatable({}, { __index = rawlen }), 1, 1 << 40, 2, {})",
  ["table.insert into a table that claims to be long"] =
    "table.insert(setmetatable({}, { __len = function() return 1 << 40 end, __newindex = rawset }), 1, 1)",
  ["a response header without end"] = "headers",
  ["parameters that are large together"] =
    "local s = ('x'):rep(8 << 20) ctx.db:one('select 1', s, s, s, s, s, s, s, s, s)",
}

local APP = { [[
local leat = require "leat"
local app = leat.app()
local hoard = {}
local kept
local function doubled(n)
  local t = {}
  for _ = 1, n do t = { t, t } end
  return t
end
app:connect(function() return { id = 1 } end)
app:method("fine", function() return 1 end)
app:method("hoard", function() while true do hoard[#hoard + 1] = ("x"):rep(100000) .. #hoard end end)
app:method("lists", function()
  local t = { 5, 3, 4 }
  table.sort(t)
  local down = { 1, 3, 2 }
  table.sort(down, function(a, b) return a > b end)
  return { sorted = t, down = down, text = table.concat(t, "-"), part = table.concat(t, ",", 2, 3),
    none = table.concat({}), date = os.date("!%Y", 0), packed = string.unpack("i4", string.pack("i4", 7)) }
end)
app:route("POST /body", function(ctx, request)
  kept = request
  return { body = tostring(#request.body) .. tostring(request.body == request.body) }
end)
app:route("POST /unread", function(ctx, request) kept = request return { body = "unread" } end)
app:route("GET /kept", function() return { body = tostring(pcall(function() return kept.body end)) } end)
app:route("GET /headers", function()
  return { status = 200, headers = { ["x-many"] = setmetatable({}, { __index = rawlen }) } }
end)
app:topic("room:{id}", { subscribe = function(ctx) return leat.subscribe_authorized(ctx, { id = 1 },
  { snapshot = function() return {} end }) end })
]] }
for name, code in pairs(LONG) do
  APP[#APP + 1] = ("app:method(%q, function(ctx) %s end)\n"):format(name, code)
end
for name, code in pairs(REFUSED) do
  if code ~= "headers" then APP[#APP + 1] = ("app:method(%q, function(ctx) %s end)\n"):format(name, code) end
end
APP[#APP + 1] = "return app\n"

describe("a script's cost", function()
  local s, client

  lazy_setup(function()
    s = stage.open { app = table.concat(APP), schema = "select 1",
      env = { LEAT_SCRIPT_BUDGET_MS = 30, LEAT_SCRIPT_MEMORY_BYTES = 96 << 20 }, log = { "ERROR script" } }
  end)
  lazy_teardown(function() s:close() end)
  before_each(function() client = s:connect() end)
  after_each(function()
    assert.equal(1, client:ask({ op = "call", id = 1, method = "fine" }, "ok").data)
    s:settle()
  end)

  for name in pairs(LONG) do
    it("ends within the budget: " .. name, function()
      local before = s:metrics().leat_script_budget_exceeded_total

      assert.equal("internal", client:ask({ op = "call", id = 1, method = name }, "error", 20000).code)

      assert.equal(before + 1, s:metrics().leat_script_budget_exceeded_total)
    end)
  end

  for name, code in pairs(REFUSED) do
    it("is refused in advance: " .. name, function()
      local before = s:metrics()

      if code == "headers" then
        assert.equal(500, http.request(s.server, { path = "/headers" }).status)
      else
        assert.equal("internal", client:ask({ op = "call", id = 1, method = name }, "error").code)
      end

      local after = s:metrics()
      assert.equal(before.leat_script_budget_exceeded_total, after.leat_script_budget_exceeded_total)
      assert.equal(before.leat_script_errors_total + 1, after.leat_script_errors_total)
    end)
  end

  it("does not change what table.sort, table.concat, os.date and string.pack do", function()
    local data = client:ask({ op = "call", id = 1, method = "lists" }, "ok").data

    assert.same({ 3, 4, 5 }, data.sorted)
    assert.same({ 3, 2, 1 }, data.down)
    assert.same({ "3-4-5", "4,5", "", "1970", 7 }, { data.text, data.part, data.none, data.date, data.packed })
  end)
end)

describe("a message of many values", function()
  local s, client

  lazy_setup(function()
    s = stage.open { app = table.concat(APP), schema = "select 1", env = { LEAT_MAX_MESSAGE_VALUES = 1000 } }
  end)
  lazy_teardown(function() s:close() end)

  it("is refused before anything of it is made, and the connection goes on", function()
    client = s:connect()
    client:send_text('{"op":"call","id":7,"method":"fine","params":[' .. ("[],"):rep(20000) .. "0]}")

    local answer = client:expect("error")
    assert.same({ 7, "too_large", "the message has more than 1000 values" },
      { answer.id, answer.code, answer.message })
    assert.equal(1, s:metrics().leat_messages_too_large_total)
    assert.equal(1, client:ask({ op = "call", id = 8, method = "fine" }, "ok").data)
    s:settle()
  end)

  it("may be refused by its bytes alone, which are 65536 unless the configuration has more", function()
    client = s:connect()

    client:send_text('{"op":"call","id":7,"method":"fine","params":"' .. ("x"):rep(65536) .. '"}')

    assert.equal(1009, (client:closed()))
    s:settle()
  end)
end)

describe("a script's memory", function()
  local s, client

  lazy_setup(function()
    s = stage.open { app = table.concat(APP), schema = "select 1",
      env = { LEAT_SCRIPT_BUDGET_MS = 2000, LEAT_SCRIPT_MEMORY_BYTES = 8 << 20 }, log = { "ERROR script" } }
  end)
  lazy_teardown(function() s:close() end)
  before_each(function() client = s:connect() end)

  it("is free again after each request, whatever the request brought along", function()
    local body = ("x"):rep(1 << 20)
    for _ = 1, 40 do -- five times the limit
      assert.equal("unread", http.request(s.server, { method = "POST", path = "/unread", body = body }).body)
    end

    assert.is_true(s:metrics().leat_script_memory_bytes < 1 << 20)
    for _ = 1, 40 do
      local answer = http.request(s.server, { method = "POST", path = "/body", body = body })
      assert.equal("1048576true", answer.body)
    end
    assert.equal(1, client:ask({ op = "call", id = 1, method = "fine" }, "ok").data)
  end)

  it("keeps a body no longer than the handler that did not read it", function()
    http.request(s.server, { method = "POST", path = "/unread", body = "x" })

    assert.matches("^false", http.request(s.server, { path = "/kept" }).body)
  end)

  it("that a script holds on to makes the server not ready, and says so, until it is let go", function()
    for _ = 1, 3 do
      assert.equal("internal", client:ask({ op = "call", id = 1, method = "hoard" }, "error", 20000).code)
    end

    local ready = http.request(s.server, { path = "/readyz" })
    assert.equal(503, ready.status)
    assert.matches("scripts: scripts hold %d+ bytes, nearly all of script_memory_bytes", ready.body)
    s.server:await_log("ERROR script scripts hold nearly all of script_memory_bytes")

    s.server:send_signal("sighup")
    loop.eventually(function() return s.server:find_log("scripts reloaded") end)
    assert.equal(200, http.request(s.server, { path = "/readyz" }).status)
    assert.equal(1, client:ask({ op = "call", id = 1, method = "fine" }, "ok").data)
    s:settle()
  end)
end)
