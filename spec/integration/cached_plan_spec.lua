-- The tables of a running application change: statements that were prepared before go on.

local stage = require "spec.support.stage"

local APP = [[
local leat = require "leat"
local app = leat.app()
app:topic("items", {
  subscribe = function(ctx)
    return leat.subscribe_authorized(ctx, { id = 1 }, {
      refresh = function(db) return db:one("select * from items where id = 1") end,
      snapshot = function(db) return db:rows("select * from items order by id") end,
    })
  end,
})
app:method("plain", function(ctx) return ctx.db:rows("select * from items") end)
app:method("first", function(ctx)
  return ctx.db:transaction(function(db)
    local rows = db:rows("select * from items")
    db:exec("insert into log values ('first')")
    return rows
  end)
end)
app:method("later", function(ctx)
  return ctx.db:transaction(function(db)
    db:exec("insert into log values ('later')")
    return db:rows("select * from items")
  end)
end)
app:method("find", function(ctx, params) return ctx.db:rows("select * from items where kind = $1", params) end)
app:method("discard", function(ctx) ctx.db:exec("deallocate all") end)
return app
]]

describe("a prepared statement", function()
  local s, client, columns

  lazy_setup(function()
    columns = 0
    s = stage.open {
      app = APP,
      schema = [[create table items (id int, kind int); create table log (v text); insert into items values (1, 1)]],
      env = { LEAT_WORKERS = 1, LEAT_POOL_SIZE = 1 },
      log = { "read failed", "refresh failed" },
    }
  end)
  lazy_teardown(function() s:close() end)
  before_each(function() client = s:connect() end)
  after_each(function() s:settle() end)

  local function call(method, params, op)
    return client:ask({ op = "call", id = 1, method = method, params = params }, op or "ok")
  end

  local function add_column()
    columns = columns + 1
    s.session:run(("alter table items add column c%d int default %d"):format(columns, columns))
    return "c" .. columns
  end

  it("outlives a new column: alone, and first in a transaction", function()
    for _, method in ipairs { "plain", "first" } do
      call(method)
      local name = add_column()

      assert.equal(columns, call(method).data[1][name])
    end
    assert.equal("2", s.session:value("select count(*) from log where v = 'first'"))
  end)

  it("that is not the first of a transaction fails once, and says that it passes", function()
    call "later"
    local name = add_column()

    local answer = call("later", nil, "error")

    assert.equal("unavailable", answer.code)
    assert.equal(columns, call("later").data[1][name])
    assert.equal("2", s.session:value("select count(*) from log where v = 'later'"))
  end)

  it("outlives a new column in a snapshot", function()
    client:subscribe "items"
    local name = add_column()
    local other = s:connect()

    assert.equal(columns, other:subscribe("items").data[1][name])
  end)

  it("outlives DEALLOCATE", function()
    for _, method in ipairs { "plain", "first" } do
      call(method)
      call "discard"
      assert.equal(1, #call(method).data)
    end
  end)

  it("outlives another type of a column, and a type made anew", function()
    assert.equal(1, #call("find", 1).data)
    s.session:run "alter table items alter kind type text using kind::text"
    assert.equal(1, #call("find", "1").data)

    s.session:run "create type kind as enum ('a'); alter table items alter kind type kind using 'a'"
    assert.equal(1, #call("find", "a").data)
    s.session:run "alter table items drop kind; drop type kind; create type kind as enum ('a', 'b')"
    s.session:run "alter table items add kind kind default 'b'"
    assert.equal(1, #call("find", "b").data)
  end)
end)
