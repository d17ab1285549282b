-- Calls, signals, transactions, routes: what a script does for a client besides subscriptions.

local cjson = require "cjson"
local http = require "spec.support.http"
local stage = require "spec.support.stage"

local APP = [[
local leat = require "leat"
local app = leat.app()
app:connect(function(ctx, request)
  if request.token == "none" then return nil end
  return { id = 7, name = request.token or "anonymous" }
end)
app:topic("t", {
  subscribe = function(ctx)
    return leat.subscribe_authorized(ctx, {}, { snapshot = function(db) return db:rows("select n from t") end })
  end,
})
app:method("add", function(ctx, params) return params.a + params.b end)
app:method("nothing", function() end)
app:method("me", function(ctx) return { user = ctx.user, path = ctx.request.path, deadline = ctx.deadline ~= nil } end)
app:method("deny", function() return leat.deny("rate_limited", "slow down") end)
app:method("signal", function(ctx, params) app:signal("t", params) return "sent" end)
app:method("transact", function(ctx, params)
  return ctx.db:transaction(function(db)
    db:exec("insert into t values ($1)", params.n)
    db:exec("select leat.publish('t', $1)", params)
    app:signal("t", { within = params.n })
    if params.fail then error("no") end
    if params.deny then return leat.deny("forbidden", "rolled back") end
    return { n = params.n, count = db:one("select count(*) as n from t").n }
  end)
end)
app:method("timeout", function(ctx)
  local short = ctx:with_timeout(100)
  local ok, err = pcall(short.db.exec, short.db, "select pg_sleep(10)")
  return { ok = ok, code = err.code, later = ctx.db:one("select 1 as one").one }
end)
app:method("subscribe", function(ctx, params)
  local ok, code = leat.subscribe(ctx, params.topic)
  return { ok = ok, code = code }
end)
app:method("types", function(ctx)
  return ctx.db:one("select $1::int as i, $2::text as t, $3::bool as b, $4::jsonb as j, $5::text as n, $6::float8 as f",
    42, "it's; drop table t", false, { a = { 1 } }, nil, 0.5)
end)
app:route("GET /hello/{name}", function(ctx, request)
  return { status = 200, body = "hi " .. request.params.name .. " " .. (request.query.q or "") }
end, { public = true })
app:route("GET /whoami", function(ctx) return { status = 200, body = ctx.user } end)
app:route("POST /echo", function(ctx, request)
  return { status = 201, headers = { ["x-kind"] = request.headers["content-type"], ["set-cookie"] = "a=b" },
    body = request.body, content_type = "text/x-echo" }
end, { public = true })
app:route("GET /request", function(ctx, request)
  return { status = 200, body = { method = request.method, path = request.path, cookie = request.cookies.session,
    remote = request.remote, token = request.token } }
end, { public = true })
return app
]]

describe("a method", function()
  local s, client

  lazy_setup(function()
    s = stage.open { app = APP, schema = "create table t (n int)", log = { "script failed handler=method" } }
  end)
  lazy_teardown(function() s:close() end)
  before_each(function() client = s:connect { token = "Ann" } end)
  after_each(function() s:settle() end)

  local function call(method, params, op)
    return client:ask({ op = "call", id = method, method = method, params = params }, op or "ok")
  end

  it("is answered with what it returns", function()
    assert.equal(5, call("add", { a = 2, b = 3 }).data)
    assert.is_nil(call("nothing").data)
  end)

  it("is there for who asks whether the connection still lives", function()
    assert.is_nil(call("ping").data)
    assert.equal("not_found", call("pong", nil, "error").code)
  end)

  it("knows who calls", function()
    local data = call("me").data

    assert.same({ id = 7, name = "Ann" }, data.user)
    assert.same({ "/ws", true }, { data.path, data.deadline })
  end)

  it("is answered with the code and words of its denial", function()
    local answer = call("deny", nil, "error")

    assert.same({ "rate_limited", "slow down" }, { answer.code, answer.message })
  end)

  it("commits its transaction with its events and signals", function()
    local seq = client:subscribe("t").seq

    client:send { op = "call", id = 1, method = "transact", params = { n = 1 } }

    local ops = {}
    for _ = 1, 3 do
      local message = client:recv()
      ops[message.op] = message
    end
    assert.same({ n = 1, count = 1 }, ops.ok.data)
    assert.equal(seq + 1, ops.event.seq)
    assert.same({ within = 1 }, ops.signal.data)
  end)

  it("rolls back all of it, by an error or a denial", function()
    local before = s.session:value("select count(*) from t")
    client:subscribe("t")

    assert.equal("internal", call("transact", { n = 2, fail = true }, "error").code)
    assert.equal("forbidden", call("transact", { n = 3, deny = true }, "error").code)

    assert.equal(before, s.session:value("select count(*) from t"))
    assert.same({}, client:drain())
  end)

  it("signals whoever looks, and nothing stays of it", function()
    local other = s:connect { token = "Bob" }
    local seq = other:subscribe("t").seq

    assert.equal("sent", call("signal", { typing = true }).data)

    local signal = other:expect("signal")
    assert.same({ "t", true }, { signal.topic, signal.data.typing })
    assert.is_nil(signal.seq)
    assert.equal(tostring(seq):match("%d+"), s.session:value("select seq from leat_internal.position('t')"))
  end)

  it("may give a read less time than it has itself", function()
    local data = call("timeout").data

    assert.same({ ok = false, code = "deadline_exceeded", later = 1 }, data)
  end)

  it("may subscribe its caller, as if it had asked", function()
    client:send { op = "call", id = 1, method = "subscribe", params = { topic = "t" } }

    assert.equal("t", client:expect("snapshot").topic)
    assert.same({ ok = true }, client:expect("ok", 1).data)
    assert.equal("already_subscribed", call("subscribe", { topic = "t" }).data.code)
    assert.equal("not_found", call("subscribe", { topic = "nothing" }).data.code)
  end)

  it("binds its parameters, and never splices them", function()
    local data = call("types").data

    assert.same({ i = 42, t = "it's; drop table t", b = false, j = { a = { 1 } }, n = cjson.null, f = 0.5 }, data)
  end)

  it("runs beside others of the same client", function()
    client:send { op = "call", id = 1, method = "timeout" }
    client:send { op = "call", id = 2, method = "add", params = { a = 1, b = 1 } }

    assert.equal(2, client:expect("ok").id)
    assert.equal(1, client:expect("ok").id)
  end)

  context("as a route", function()
    it("answers what the handler returns", function()
      local hello = http.request(s.server, "/hello/World%20%C3%A9?q=1%202")
      assert.same({ 200, "hi World é 1 2" }, { hello.status, hello.body })

      local echo = http.request(s.server, { method = "POST", path = "/echo", body = ("x"):rep(100000),
        headers = { ["Content-Type"] = "text/plain" } })
      assert.same({ 201, "text/plain", "a=b", "text/x-echo" }, { echo.status, echo.headers["x-kind"],
        echo.headers["set-cookie"], echo.headers["content-type"] })
      assert.equal(100000, #echo.body)
    end)

    it("is guarded by the connect handler unless it is public", function()
      assert.equal(401, http.request(s.server, "/whoami?token=none").status)
      local answer = http.request(s.server, { path = "/whoami", headers = { Authorization = "Bearer Ann" } })
      assert.same({ 200, "application/json" }, { answer.status, answer.headers["content-type"]:match("^[^;]+") })
      assert.same({ id = 7, name = "Ann" }, cjson.decode(answer.body))
    end)

    it("sees the request", function()
      local answer = http.request(s.server, { path = "/request?token=secret",
        headers = { Cookie = "a=b; session=xyz" } })
      local seen = cjson.decode(answer.body)

      assert.same({ "GET", "/request", "xyz", "secret" }, { seen.method, seen.path, seen.cookie, seen.token })
      assert.matches("^127%.0%.0%.1", seen.remote)
    end)

    it("takes HEAD for GET, and refuses other methods by name", function()
      local head = http.request(s.server, { method = "HEAD", path = "/hello/x" })
      assert.same({ 200, "5" }, { head.status, head.headers["content-length"] })
      local post = http.request(s.server, { method = "DELETE", path = "/hello/x" })
      assert.equal(405, post.status)
      assert.matches("GET", post.headers.allow, 1, true)
    end)
  end)
end)
