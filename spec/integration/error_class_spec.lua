-- What a failed statement is called: "unavailable" only where waiting helps, "bad_request" where the client sent the
-- value, "internal" for everything else, at once.

local cjson = require "cjson"
local http = require "spec.support.http"
local stage = require "spec.support.stage"
local ws = require "spec.support.ws"

local SCHEMA = [[
  create table failures (name text primary key, statement text not null);
  insert into failures values
    ('lost', $$select raise_it('08006')$$), ('serialization', $$select raise_it('40001')$$),
    ('full', $$select raise_it('53300')$$), ('lock', $$select raise_it('55P03')$$),
    ('shutdown', $$select raise_it('57P01')$$), ('disk', $$select raise_it('58030')$$),
    ('standby', $$select raise_it('25006')$$),
    ('typo', 'selec 1'), ('table', 'select * from no_such_table'), ('column', 'select nothing from failures'),
    ('division', 'select 1 / (length(name) - length(name)) from failures'), ('raise', $$select raise_it('P0001')$$),
    ('rights', $$select raise_it('42501')$$),
    ('constraint', $$insert into failures values ('typo', '')$$),
    ('parameters', 'select $1::int'), ('feature', $$select raise_it('0A000')$$),
    ('limit', $$select raise_it('54000')$$);
  create function raise_it(state text) returns void language plpgsql as $$
    begin raise exception 'as asked' using errcode = state; end $$;
  create table notes (id int, small smallint, body text);
]]

local APP = [[
local leat = require "leat"
local app = leat.app()

local function fail(db, name)
  return db:one(db:one("select statement from failures where name = $1", name).statement)
end

app:connect(function(ctx, request)
  if request.query.fail then fail(ctx.db, request.query.fail) end
  if request.token then ctx.db:one("select from notes where body = $1", request.token) end
  return { id = 1 }
end)

app:topic("subscribe:{name}", { subscribe = function(ctx, args) fail(ctx.db, args.name) end })
app:topic("snapshot:{name}", {
  subscribe = function(ctx, args)
    return leat.subscribe_authorized(ctx, { name = args.name }, {
      snapshot = function(db, row) return fail(db, row.name) end,
    })
  end,
  publish = function(ctx, args, data)
    return ctx.db:transaction(function(db) return fail(db, args.name) end)
  end,
})
app:topic("refresh:{name}", {
  subscribe = function(ctx, args)
    return leat.subscribe_authorized(ctx, { name = args.name }, {
      refresh = function(db, row) return fail(db, row.name) end,
      snapshot = function(db, row) return row.name end,
    })
  end,
})
app:stream("/stream/{name}", "subscribe:{name}")
app:stream("/streamed/{name}", "snapshot:{name}")
app:route("GET /route/{name}", function(ctx, request)
  return { status = 200, body = fail(ctx.db, request.params.name) }
end)
app:route("GET /find", function(ctx, request)
  return { status = 200, body = ctx.db:rows("select from notes where id = $1", request.query.id) }
end)
app:method("fail", function(ctx, params) return fail(ctx.db, params.name) end)
app:method("caught", function(ctx, params)
  local ok, err = pcall(fail, ctx.db, params.name)
  return { ok = ok, code = err.code, sqlstate = err.sqlstate, retry = err.retry_after_ms or 0 }
end)
app:method("text", function(ctx, params) ctx.db:exec("insert into notes (body) values ($1)", params.text) end)
app:method("json", function(ctx, params) ctx.db:exec("select leat.publish('t', $1)", { a = { params } }) end)
app:method("int", function(ctx, params) ctx.db:exec("insert into notes (small) values ($1)", params.n) end)
app:method("joined", function(ctx, params)
  ctx.db:exec("insert into notes (body) values ($1)", "note: " .. params.text)
end)
app:method("mistake", function(ctx, params) ctx.db:exec("insert into notes (small) values ($1)", "forty") end)
app:method("overflow", function(ctx, params) ctx.db:exec("insert into notes (small) values ($1)", 40000) end)
app:method("zero", function(ctx, params) ctx.db:exec("insert into notes (body) values ($1)", "a\0b") end)

return app
]]

local PASSING = { "lost", "serialization", "full", "lock", "shutdown", "disk", "standby" }
local PERMANENT = {
  "typo", "table", "column", "division", "raise", "rights", "constraint", "parameters", "feature", "limit",
}

describe("a statement that fails", function()
  local s, client

  lazy_setup(function()
    s = stage.open {
      app = APP, schema = SCHEMA,
      log = { "script failed", "read failed", "refresh failed", "deadline passed" },
    }
  end)
  lazy_teardown(function() s:close() end)
  before_each(function() client = s:connect() end)
  after_each(function() s:settle() end)

  local function check(answer, code, name)
    assert.equal(code, answer.code, name)
    assert.equal(code == "unavailable", answer.retry_after_ms ~= nil, name)
  end

  local function each(fn)
    for _, name in ipairs(PASSING) do fn(name, "unavailable") end
    for _, name in ipairs(PERMANENT) do fn(name, "internal") end
  end

  it("is unavailable if it passes by itself, else internal: subscribe, publish, call", function()
    each(function(name, code)
      for _, message in ipairs {
        { op = "subscribe", id = 1, topic = "subscribe:" .. name },
        { op = "publish", id = 1, topic = "snapshot:" .. name, data = 1 },
        { op = "call", id = 1, method = "fail", params = { name = name } },
      } do
        check(client:ask(message, "error"), code, message.op .. " " .. name)
      end
    end)
  end)

  it("in a snapshot is retried only if it passes by itself", function()
    for _, name in ipairs { "typo", "table", "column", "division", "raise", "rights", "feature", "limit" } do
      local before = s:metrics().leat_snapshot_reads_total

      local answer = client:ask({ op = "subscribe", id = 1, topic = "snapshot:" .. name }, "error")

      check(answer, "internal", name)
      assert.equal(1, s:metrics().leat_snapshot_reads_total - before, name)
    end
    local before = s:metrics().leat_snapshot_reads_total
    local message = { op = "subscribe", id = 1, topic = "snapshot:lock", timeout_ms = 2000 }
    local answer = client:ask(message, "error")
    check(answer, "unavailable", "lock")
    assert.is_true(s:metrics().leat_snapshot_reads_total - before > 1)
  end)

  it("in refresh falls back to the row in hand, whatever it is", function()
    for _, name in ipairs { "lock", "typo", "raise" } do
      local answer = client:subscribe("refresh:" .. name)

      assert.is_true(answer.stale)
      assert.equal(name, answer.data)
      client:ask({ op = "unsubscribe", id = 7, topic = "refresh:" .. name }, "ok")
    end
  end)

  it("is 503 with Retry-After or 500 on a route, a stream route, and at connect", function()
    each(function(name, code)
      local status = code == "unavailable" and 503 or 500
      for _, path in ipairs { "/route/" .. name, "/stream/" .. name, "/ws?fail=" .. name } do
        local headers = path:find("^/route") and {} or ws.headers()
        local answer = http.request(s.server, { path = path, headers = headers })

        assert.equal(status, answer.status, path)
        assert.equal(code, cjson.decode(answer.body).code, path)
        assert.equal(status == 503, answer.headers["retry-after"] ~= nil, path)
      end
    end)
  end)

  it("tells a script its code and SQLSTATE", function()
    local function caught(name)
      return client:ask({ op = "call", id = 2, method = "caught", params = { name = name } }, "ok").data
    end

    assert.same({ ok = false, code = "internal", sqlstate = "42601", retry = 0 }, caught "typo")
    local passing = caught "lock"
    assert.is_true(passing.retry >= 1000 and passing.retry < 2000, "retry_after_ms " .. passing.retry)
    passing.retry = nil
    assert.same({ ok = false, code = "unavailable", sqlstate = "55P03" }, passing)
  end)

  it("is logged with its SQLSTATE and where the script was", function()
    client:ask({ op = "call", id = 1, method = "fail", params = { name = "column" } }, "error")

    s.server:await_log("ERROR script script failed handler=method method=fail sqlstate=42703")
  end)

  context("because of a value", function()
    local function call(method, params)
      client:send(('{"op":"call","id":3,"method":"%s","params":%s}'):format(method, params))
      return client:expect("error", 3)
    end

    it("that the client has sent is a bad request", function()
      for _, case in ipairs {
        { "text", [[{"text":"a\u0000b"}]] }, { "joined", [[{"text":"a\u0000b"}]] },
        { "json", [[{"text":"a\u0000b"}]] }, { "json", [["\u0000"]] }, { "json", [[{"a\u0000":1}]] },
        { "json", "[1e200000]" },
        { "int", [[{"n":40000}]] }, { "int", [[{"n":"forty"}]] }, { "int", [[{"n":1e300}]] },
        { "int", [[{"n":99999999999999999999999}]] }, { "int", [[{"n":[1]}]] }, { "int", [[{"n":true}]] },
      } do
        check(call(case[1], case[2]), "bad_request", case[1] .. " " .. case[2])
      end
    end)

    it("of the script's own is internal", function()
      for _, method in ipairs { "mistake", "overflow", "zero" } do
        check(call(method, [[{"n":1,"text":"a"}]]), "internal", method)
      end
    end)

    it("in a query is 400, in a token 401", function()
      for _, id in ipairs { "x", "%ff", "99999999999", "1%20or%201" } do
        local answer = http.request(s.server, { path = "/find?id=" .. id, headers = {} })
        assert.equal(400, answer.status, id)
      end
      for _, token in ipairs { "%ff", "a%c3", "%ed%a0%80" } do
        local answer = http.request(s.server, { path = "/ws?token=" .. token, headers = ws.headers() })
        assert.equal(401, answer.status, token)
        assert.equal("bad_request", cjson.decode(answer.body).code)
      end
    end)
  end)
end)
