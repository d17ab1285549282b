-- What a script leaves in a database session never reaches the next user of the connection.

local stage = require "spec.support.stage"

-- Each leaves something behind, outside of a transaction or beyond its end.
local LEAVING = {
  "set role to leat_spec_guest", "set session authorization leat_spec_guest", "set search_path to pg_catalog",
  "select set_config('search_path', 'pg_catalog', false)", "select pg_advisory_lock(4711)",
  "select pg_try_advisory_lock(4711), 1 / (select 0)", "create temp table notes (body text)", "listen somewhere",
  "prepare mine as select 1", "do $$ begin perform set_config('role', 'leat_spec_guest', false); end $$",
  "declare c cursor with hold for select 1", "set statement_timeout = 61000",
}

-- Each ends with its transaction, and costs nothing afterwards.
local LOCAL = {
  "set local role to leat_spec_guest", "select set_config('role', 'leat_spec_guest', true)",
  "select pg_advisory_xact_lock(4711)", "set transaction read only",
}

local APP = [[
local leat = require "leat"
local app = leat.app()
app:connect(function() return { id = 1 } end)
app:method("plain", function(ctx, sql) pcall(ctx.db.exec, ctx.db, sql) end)
app:method("inside", function(ctx, sql) ctx.db:transaction(function(db) db:exec(sql) end) end)
app:method("state", function(ctx)
  return ctx.db:one([=[select pg_backend_pid() as pid, current_user::text as role, session_user::text as login,
    current_setting('search_path') as path, current_setting('statement_timeout') as timeout,
    (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
    (select count(*) from pg_class where relpersistence = 't') as tables,
    (select count(*) from pg_listening_channels()) as channels,
    (select count(*) from pg_prepared_statements where name = 'mine') as statements,
    (select count(*) from pg_cursors where name = 'c') as cursors, current_setting('TimeZone') as zone]=])
end)
return app
]]

describe("a pooled connection", function()
  local s, client

  lazy_setup(function()
    s = stage.open { app = APP, env = { LEAT_POOL_SIZE = 1 },
      schema = [[do $$ begin
        if not exists (select from pg_roles where rolname = 'leat_spec_guest') then create role leat_spec_guest; end if;
      end $$]] }
  end)
  lazy_teardown(function() s:close() end)
  before_each(function() client = s:connect() end)
  after_each(function() s:settle() end)

  local function call(method, sql)
    return client:ask({ op = "call", id = 1, method = method, params = sql }, "ok").data
  end

  for _, sql in ipairs(LEAVING) do
    it("forgets " .. sql, function()
      local before = call("state")

      call(sql:find("^declare") and "inside" or "plain", sql)

      assert.same(before, call("state"))
      assert.equal("UTC", call("state").zone)
    end)
  end

  for _, sql in ipairs(LOCAL) do
    it("needs no cleaning after " .. sql, function()
      local before = call("state")
      local function discards()
        return s.session:value("select count(*) from pg_stat_activity"
          .. " where query = 'DISCARD ALL' and datname = current_database()")
      end

      call("inside", sql)

      assert.equal("0", tostring(discards()))
      assert.same(before, call("state"))
    end)
  end
end)
