-- Transactions that coroutines of one handler begin and do not end as they should: no caller is told that something
-- was written which was not.

local stage = require "spec.support.stage"

local APP = [[
local leat = require "leat"
local app = leat.app()
app:connect(function() return { id = 1 } end)

-- Returns a coroutine in the middle of a transaction.
local function begin(db, name, failure)
  local co = coroutine.create(function()
    return db:transaction(function(tx)
      tx:exec("insert into written values ($1)", name .. " begins")
      coroutine.yield()
      tx:exec("insert into written values ($1)", name .. " ends")
      if failure then error(failure, 0) end
      return name
    end)
  end)
  assert(coroutine.resume(co))
  return co
end

local function outcome(co)
  local ok, result = coroutine.resume(co)
  return { ok = ok, result = result }
end

app:method("abandoned", function(ctx)
  begin(ctx.db, "a")
  ctx.db:exec("insert into written values ('beside')")
  return "written"
end)
app:method("closed", function(ctx)
  coroutine.close(begin(ctx.db, "a"))
  ctx.db:exec("insert into written values ('beside')")
  return "written"
end)
app:method("nested", function(ctx)
  local a = begin(ctx.db, "a")
  local b = begin(ctx.db, "b")
  return { outcome(b), outcome(a) }
end)
app:method("crossed", function(ctx, failing)
  local a = begin(ctx.db, "a", failing == "a" and "a fails")
  local b = begin(ctx.db, "b", failing == "b" and "b fails")
  return { outcome(a), outcome(b) }
end)
app:method("crossed again", function(ctx)
  local a = begin(ctx.db, "a")
  local b = begin(ctx.db, "b")
  local first = outcome(a)
  local c = begin(ctx.db, "c")
  local d = begin(ctx.db, "d")
  return { first, outcome(b), outcome(d), outcome(c) }
end)
return app
]]

describe("transactions of several coroutines", function()
  local s

  lazy_setup(function()
    s = stage.open { app = APP, schema = "create table written (what text)", log = { "ERROR script" } }
  end)
  lazy_teardown(function() s:close() end)
  before_each(function() s.session:run("truncate written") end)
  after_each(function() s:settle() end)

  local function call(method, params, op)
    return s:connect():ask({ op = "call", id = 1, method = method, params = params }, op or "ok")
  end

  local function written()
    return s.session:value("select coalesce(string_agg(what, ', ' order by ctid), '') from written")
  end

  local CROSSED = "^db:transaction: transactions of several coroutines .* nothing of them is written$"

  local function assert_crossed(o)
    assert.is_false(o.ok)
    assert.matches(CROSSED, (o.result:gsub("^%S+:%d+: ", "")))
  end

  for _, method in ipairs { "abandoned", "closed" } do
    it("fail the handler that returns before its end: " .. method, function()
      assert.equal("internal", call(method, nil, "error").code)
      assert.equal("", written())
    end)
  end

  it("may end in the reverse order", function()
    assert.same({ { ok = true, result = "b" }, { ok = true, result = "a" } }, call("nested").data)
    assert.equal("a begins, b begins, b ends, a ends", written())
  end)

  for _, failing in ipairs { "none", "b" } do
    it("write nothing if they end in the order in which they began; failing: " .. failing, function()
      local data = call("crossed", failing).data
      assert_crossed(data[1])
      assert.is_false(data[2].ok)
      assert.matches("this db has ended", data[2].result)
      assert.equal("", written())
    end)
  end

  it("raise the error of the first that ends", function()
    local data = call("crossed", "a").data
    assert.same({ ok = false, result = "a fails" }, data[1])
    assert.is_false(data[2].ok)
    assert.equal("", written())
  end)

  it("have no hold on a later transaction", function()
    local data = call("crossed again").data
    assert_crossed(data[1])
    assert.is_false(data[2].ok)
    assert.same({ { ok = true, result = "d" }, { ok = true, result = "c" } }, { data[3], data[4] })
    assert.equal("c begins, d begins, d ends, c ends", written())
  end)
end)
