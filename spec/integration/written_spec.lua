-- The positions of what a request has published: `at` of an ok, and the header Leat-Position.

local cjson = require "cjson"
local http = require "spec.support.http"
local pgbouncer = require "spec.support.pgbouncer"
local psql = require "spec.support.psql"
local stage = require "spec.support.stage"

local SCHEMA = [[
  create table unique_later (n int unique deferrable initially deferred);
  create table notes (id int, body text);
  create function undone() returns void language plpgsql as $$
    begin
      perform leat.publish('t:undone', '1');
      set constraints all immediate;
      raise exception 'no';
    exception when raise_exception then null;
    end $$;
]]

local APP = [[
local leat = require "leat"
local app = leat.app()
app:topic("t:{name}", {
  subscribe = function(ctx)
    return leat.subscribe_authorized(ctx, {}, { snapshot = function() return "snapshot" end })
  end,
  publish = function(ctx, args, data)
    ctx.db:exec("select leat.publish($1, $2)", "t:" .. args.name, data)
    return "published"
  end,
})
-- Runs statements, each by itself or all in one transaction.
local function run(ctx, params)
  local function all(db)
    for _, sql in ipairs(params.sql) do
      if sql == "nested and refused" then
        db:transaction(function(inner)
          inner:exec("select leat.publish('t:refused', '1')")
          inner:exec("set constraints all immediate")
          return leat.deny("forbidden")
        end)
      else
        local ok, err = pcall(db.exec, db, sql)
        if not ok and not params.catch then error(err) end
      end
    end
    if params.deny then return leat.deny("forbidden", "no") end
    return "done"
  end
  if params.transaction then return ctx.db:transaction(all) end
  return all(ctx.db)
end
app:method("run", run)
app:route("POST /run", function(ctx, request)
  local result = run(ctx, leat.decode(request.body))
  if type(result) ~= "string" then return result end
  return { status = 201, body = result }
end, { public = true })
return app
]]

describe("the positions of what was published", function()
  local s, client

  local function open(env)
    s = stage.open { app = APP, schema = SCHEMA, env = env, log = { "handler", "query" } }
    client = s:connect()
  end

  local function close() s:close() end

  -- The answer of a call that runs statements.
  local function run(params)
    client:send { op = "call", id = 1, method = "run", params = params }
    return client:recv()
  end

  local function position(topic)
    local name = s.session:quote(topic)
    local row = s.session:rows("select epoch, seq from leat_internal.position(" .. name .. ")")[1]
    return { topic = topic, epoch = row.epoch, seq = tonumber(row.seq) }
  end

  -- The positions of the topics as they are now, and those that an answer tells.
  local function assert_at(topics, answer)
    local expected = {}
    for i, topic in ipairs(topics) do expected[i] = position(topic) end
    assert.same(expected, answer.at)
  end

  local function publishing(topic, n)
    return ("select leat.publish('%s', '%d')"):format(topic, n or 1)
  end

  local function answers_with_positions()
    client:send { op = "publish", id = 5, topic = "t:a", data = { n = 1 } }
    local answer = client:recv()
    assert.same({ op = "ok", id = 5, data = "published", at = { position "t:a" } }, answer)

    assert_at({ "t:b" }, run { sql = { publishing "t:b" } })
    assert_at({ "t:c", "t:d" },
      run { transaction = true, sql = { publishing "t:d", publishing "t:c", publishing "t:d" } })
    assert.is_nil(run({ sql = { "select 1" } }).at)
    assert.is_nil(run({ transaction = true, sql = { "select 1" } }).at)
  end

  context("of a server with its own sessions", function()
    lazy_setup(function() open() end)
    lazy_teardown(close)

    it("are in the answer", answers_with_positions)

    it("lead to the event that a subscriber gets", function()
      client:subscribe "t:live"
      client:send { op = "publish", id = 5, topic = "t:live", data = 1 }
      local event, ok
      for _ = 1, 2 do
        local message = client:recv()
        if message.op == "event" then event = message else ok = message end
      end

      assert.equal(event.seq, ok.at[1].seq)
      client:send { op = "unsubscribe", id = 6, topic = "t:live" }
      client:recv()
    end)

    it("are those of all transactions of a request, the last one of each topic", function()
      local at = run({ sql = { publishing "t:u", publishing "t:v", publishing "t:u" } }).at

      assert.same({ position "t:v", position "t:u" }, at)
    end)

    it("are at most those of 32 topics", function()
      local many = "select leat.publish('t:many:' || lpad(n::text, 2, '0'), '1') from generate_series(1, 40) n"
      assert.equal(32, #run({ sql = { many } }).at)

      local at = run({ sql = { publishing "t:one", many, publishing "t:two" } }).at
      assert.same({ 32, "t:two" }, { #at, at[32].topic })
    end)

    it("are not those of what was rolled back", function()
      assert.is_nil(run({ transaction = true, deny = true, sql = { publishing "t:no" } }).at)
      assert_at({ "t:yes" }, run { transaction = true, sql = { "nested and refused", publishing "t:yes" } })
      assert.is_nil(run({ transaction = true, sql = { "nested and refused" } }).at)
      assert.is_nil(run({ transaction = true, catch = true, sql = { publishing "t:no", "select 1/0" } }).at)
      assert.is_nil(run({ sql = { "select undone()" } }).at)
      assert_at({ "t:kept" }, run { sql = { "select leat.publish('t:kept', '1'), undone()" } })
      -- The commit fails after the positions are known.
      local late = "with a as (select leat.publish('t:no', '1'))"
        .. " insert into unique_later select 1 from a, (values (1), (2)) v"
      assert.equal("internal", run({ sql = { late } }).code)
      assert.equal("internal", run({ transaction = true, sql = { late } }).code)
      assert_at({ "t:after" }, run { catch = true, sql = { late, publishing "t:after" } })
      assert.equal(0, position("t:no").seq)
    end)

    it("survive what a script does to its session", function()
      for _, sql in ipairs { "reset all", "discard all", "set leat.report = off" } do
        run { sql = { sql } }
        assert_at({ "t:s" }, run { sql = { publishing "t:s" } })
      end
    end)

    it("stand in a header of a route's answer", function()
      local function post(params)
        return http.request(s.server, { method = "POST", path = "/run", body = cjson.encode(params) })
      end
      local one = post { sql = { publishing "t:h" } }
      local two = post { transaction = true, sql = { publishing "t:h", publishing "t:käse, 1%" } }
      local none = post { sql = { "select 1" } }
      local refused = post { sql = { publishing "t:h" }, deny = true }

      assert.equal(("t:h %s:1"):format(position("t:h").epoch), one.headers["leat-position"])
      assert.equal(("t:h %s:2, t:k%%C3%%A4se%%2C%%201%%25 %s:1"):format(position("t:h").epoch, position("t:h").epoch),
        two.headers["leat-position"])
      assert.same({ 201, nil }, { none.status, none.headers["leat-position"] })
      assert.same({ 403, nil }, { refused.status, refused.headers["leat-position"] })
    end)
  end)

  context("of a server behind a pooler in transaction mode", function()
    local bouncer
    if not pgbouncer.program() then
      pending("PgBouncer is not installed")
      return
    end
    lazy_setup(function()
      open(function(db)
        bouncer = pgbouncer.start(db.url, "transaction", 2)
        return { LEAT_DATABASE_URL = bouncer.url, LEAT_LISTEN_URL = db.url, LEAT_MAX_STATEMENTS = 0 }
      end)
    end)
    lazy_teardown(function()
      close()
      bouncer:stop()
    end)

    it("are in the answer", answers_with_positions)

    it("come to nobody who has not asked for them", function()
      for _ = 1, 4 do run { sql = { publishing "t:p" } } end

      local other = psql.start(bouncer.url, publishing "t:p" .. ";\n" .. publishing "t:p" .. ";")
      assert.equal(0, other:wait())
      assert.same({}, other.err)
    end)
  end)
end)
