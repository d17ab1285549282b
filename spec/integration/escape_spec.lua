-- Scripts that are written to escape: from the budget, from the sandbox, from their own request.

local loop = require "spec.support.loop"
local stage = require "spec.support.stage"

local MODEST = 3892 -- bytes that the method of this name answers

-- Each computes for ever, in a place where it is not easily stopped.
local ENDLESS = {
  ["a message handler"] = "xpcall(error, function() while true do end end)",
  ["a message handler that fails for ever"] = "while true do xpcall(error, function() error() end) end",
  ["a to-be-closed variable"] = "local x <close> = setmetatable({}, { __close = function() while true do end end })",
  ["a to-be-closed variable of a coroutine"] = [[local co = coroutine.create(function()
      local x <close> = setmetatable({}, { __close = function() while true do end end })
      coroutine.yield()
    end)
    coroutine.resume(co) coroutine.close(co)]],
  ["coroutines within coroutines"] = [[local function f() while true do coroutine.wrap(f)() end end
    while true do pcall(f) end]],
  ["__index"] = "local t = setmetatable({}, { __index = function() while true do end end }) return t.x",
  ["__eq, __lt, __concat, __len"] = [[local function f() while true do end end
    local m = { __eq = f, __lt = f, __concat = f, __len = f }
    local a, b = setmetatable({}, m), setmetatable({}, m)
    while true do pcall(function() return a == b or a < b or a .. b or #a end) end]],
  ["a comparator"] = "table.sort({ 3, 2, 1 }, function() while true do pcall(error) end end)",
  ["a replacement"] = "(('x'):rep(100)):gsub('x', function() while true do pcall(error) end end)",
  ["gmatch over a long text"] = "while true do for _ in (('a'):rep(1000000)):gmatch('()') do end end",
  ["nested sets in a pattern"] = "return (('a'):rep(1000000)):find(('[^b]*'):rep(30) .. 'c')",
  ["unpack in a loop"] =
    "local t = {} for i = 1, 10000 do t[i] = i end while true do select('#', table.unpack(t)) end",
  ["leat.encode in a loop"] = "while true do pcall(leat.encode, { 1, { 2, { 3 } } }) end",
  ["leat.crypto in a loop"] = "local s = ('x'):rep(1000000) while true do pcall(leat.crypto.hash, 'sha512', s) end",
  ["require in a loop"] = "while true do pcall(require, 'no.such.module') end",
  ["utf8 over long texts"] = "local s = ('ä'):rep(500000) while true do utf8.len(s) utf8.codepoint(s, 1, 100) end",
  ["refused globals"] = "while true do pcall(function() nobody = 1 end) end",
}

-- Each returns something else than nil or false if it has got hold of what it should not have.
local FORBIDDEN = {
  ["other libraries"] = "return io or debug or load or loadfile or dofile or string.dump or os.execute or os.exit",
  ["the loader of C"] = [[return package.loadlib or package.cpath or package.searchers or package.preload
    or package.searchpath]],
  ["modules in C"] = "local ok = pcall(require, 'cjson') return ok",
  ["files elsewhere"] = [[for _, name in ipairs { '/etc/passwd', '../../../etc/passwd', '....etc.passwd' } do
      local ok, why = pcall(require, name)
      if ok or why:find('root:', 1, true) then return why end
    end]],
  ["files elsewhere, by a name that looks like several places"] = [[
    for _, name in ipairs { 'none;/proc/sys/kernel/ostype;', 'none;/proc/sys/kernel/ostype', ';/proc/version;',
      'none?;/proc/sys/kernel/ostype;', 'leat;/proc/sys/kernel/ostype;' } do
      local ok, why = pcall(require, name)
      if ok or why:find('Linux', 1, true) or why:find('ostype:', 1, true) then return why end
    end]],
  ["the password of the database"] = "return os.getenv('LEAT_DATABASE_URL') or os.getenv('DATABASE_URL')",
  ["the metatable of texts"] = "return getmetatable('')",
  ["the metatable of globals"] = "return getmetatable(_G)",
  ["the metatable of leat's values"] = "return type(getmetatable(ctx.db)) == 'table'",
  ["finalizers"] = "return (pcall(setmetatable, {}, { __gc = print }))",
  ["the registry, through a wrong self"] = "return (pcall(ctx.db.one, io or {}, 'select 1'))",
  ["another task's coroutine"] = "return other and coroutine.resume(other)",
}

-- Each fails, and the next request sees nothing of it.
local TAMPERING = {
  "forgotten = 1", "_G.forgotten = 1", "_ENV.forgotten = 1", "rawset(_G, 'print', error)", "print = error",
  "print = nil",
  "string.format = error", "leat.encode = error", "leat.crypto.equal = function() return true end",
  "rawset(leat, 'deny', error)", "package.loaded.leat = {}", "setmetatable(_G, { __index = error })",
  "getmetatable('').__index = {}", "table.remove(table, 1)", "for k in pairs(string) do string[k] = nil end",
}

local APP = { [[
local leat = require "leat"
local app = leat.app()
visits = 0
app:connect(function() return { id = 1 } end)
app:method("count", function() visits = visits + 1 return visits end)
app:method("sound", function()
  return { leat.crypto.equal("a", "b"), ("%d"):format(1), leat.encode({}), tostring(forgotten), type(print) }
end)
app:method("hog", function(ctx, ms)
  local held = {}
  local ok, why = pcall(function() while true do held[#held + 1] = ("x"):rep(1000) .. #held end end)
  ctx.db:one("select pg_sleep($1::float8 / 1000)", ms)
  return { ok = ok, why = why, held = #held }
end)
-- Each has been resumed near the top of the C stack, and closes the next one when it is closed.
app:method("chain", function(_, length)
  local next_one
  for _ = 1, length do
    local below = next_one
    next_one = coroutine.create(function()
      local x <close> = setmetatable({}, { __close = function()
        local ok, why = true, nil
        if below then ok, why = coroutine.close(below) end
        if not ok then error(why, 0) end
      end })
      coroutine.yield()
    end)
    coroutine.resume(next_one)
  end
  local _, why = coroutine.close(next_one)
  return why or "closed"
end)
app:method("nameless", function() error(setmetatable({}, { __tostring = function() while true do end end })) end)
app:method("typo", function() mistaken = 1 end)
app:method("modest", function()
  local list = {}
  for i = 1, 500 do list[i] = "text " .. i end
  return #table.concat(list)
end)
app:method("greedy", function() local held = {} while true do held[#held + 1] = ("x"):rep(1000) .. #held end end)
]] }
for name, code in pairs(ENDLESS) do APP[#APP + 1] = ("app:method(%q, function(ctx) %s end)\n"):format(name, code) end
for name, code in pairs(FORBIDDEN) do
  APP[#APP + 1] = ("app:method(%q, function(ctx) other = coroutine.running() %s end)\n"):format(name, code)
end
for _, code in ipairs(TAMPERING) do
  APP[#APP + 1] = ("app:method(%q, function(ctx) return (pcall(function() %s end)) end)\n"):format(code, code)
end
APP[#APP + 1] = "other = false\nreturn app\n"

describe("a script that tries to escape", function()
  local s, client

  lazy_setup(function()
    s = stage.open { app = table.concat(APP), schema = "select 1",
      env = { LEAT_SCRIPT_BUDGET_MS = 30, LEAT_SCRIPT_MEMORY_BYTES = 96 << 20 }, log = { "ERROR script" } }
  end)
  lazy_teardown(function() s:close() end)
  before_each(function() client = s:connect() end)
  after_each(function() s:settle() end)

  local function call(method, params, answer, limit_ms)
    return client:ask({ op = "call", id = 1, method = method, params = params }, answer or "ok", limit_ms)
  end

  for name in pairs(ENDLESS) do
    it("is stopped in " .. name, function()
      local before = s:metrics().leat_script_budget_exceeded_total

      assert.equal("internal", call(name, nil, "error", 20000).code)

      assert.equal(before + 1, s:metrics().leat_script_budget_exceeded_total)
      assert.equal("number", type(call("count").data))
    end)
  end

  it("is stopped in the __tostring of an error value, after its task has failed", function()
    assert.equal("internal", call("nameless", nil, "error", 20000).code)
    assert.equal("number", type(call("count").data))
  end)

  for name in pairs(FORBIDDEN) do
    it("does not get at " .. name, function()
      local got = call(name).data

      assert.is_true(got == nil or got == false or got == require("cjson").null, tostring(got))
    end)
  end

  for _, code in ipairs(TAMPERING) do
    it("changes nothing for others by " .. code, function()
      assert.is_false(call(code).data)

      assert.same({ false, "1", "{}", "nil", "function" }, call("sound").data)
    end)
  end

  it("names the global that a handler assigns by mistake", function()
    assert.equal("internal", call("typo", nil, "error").code)

    s.server:await_log("ERROR script .*assignment to the global 'mistaken', which the application did not make")
  end)
end)

describe("a task that takes all memory", function()
  local s, hog, neighbour

  lazy_setup(function()
    s = stage.open { app = table.concat(APP), schema = "select 1",
      env = { LEAT_SCRIPT_BUDGET_MS = 5000, LEAT_SCRIPT_MEMORY_BYTES = 16 << 20 }, log = { "ERROR script" } }
  end)
  lazy_teardown(function() s:close() end)
  before_each(function() hog, neighbour = s:connect(), s:connect() end)
  after_each(function() s:settle() end)

  it("gets the error itself, and its neighbour goes on while it holds the memory", function()
    hog:send({ op = "call", id = 7, method = "hog", params = 1500, timeout_ms = 30000 })
    loop.eventually(function() return s:metrics().leat_script_memory_bytes > 15 << 20 end, 30000)

    for id = 1, 20 do
      assert.equal(MODEST, neighbour:ask({ op = "call", id = id, method = "modest" }, "ok").data)
    end

    local answer = hog:expect("ok", 7, 30000).data
    assert.same({ false, "not enough memory" }, { answer.ok, answer.why })
  end)

  it("is told which limit it has met, in the log", function()
    local answer = hog:ask({ op = "call", id = 7, method = "greedy", timeout_ms = 30000 }, "error", 30000)
    assert.equal("internal", answer.code)

    s.server:await_log("ERROR script .*not enough memory: scripts may hold script_memory_bytes")
    assert.equal(MODEST, neighbour:ask({ op = "call", id = 1, method = "modest" }, "ok").data)
  end)
end)

describe("coroutines that close one another", function()
  it("do not use up the C stack", function()
    local s = stage.open { app = table.concat(APP), schema = "select 1", env = { LEAT_SCRIPT_BUDGET_MS = 20000 } }
    local client = s:connect()
    local function chain(length)
      local call = { op = "call", id = 1, method = "chain", params = length, timeout_ms = 30000 }
      return client:ask(call, "ok", 30000).data
    end

    assert.equal("closed", chain(20))
    assert.matches("coroutines close one another too deeply$", chain(30000))
    assert.equal("closed", chain(20))
    s:close()
  end)
end)
