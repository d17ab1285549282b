-- Rows of schema leat that the server's role cannot see: a failure that is said, and passes when its cause does. Never
-- is a row that is missing taken for "nothing new".

local fixtures = require "spec.support.fixtures"
local follower = require "spec.support.follower"
local http = require "spec.support.http"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local stage = require "spec.support.stage"

describe("a server whose role", function()
  local s, role

  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema,
      log = { "outbox not read", "history not confirmed", "position not read", "fetch failed", "WARN", "ERROR" } }
    s:stop()
    role = s.db.name .. "_server"
    s.session:run("create role " .. role .. " login")
    s.session:run(("select leat_internal.grant_server(%s)"):format(s.session:quote(role)))
    s.session:run("grant select on all tables in schema public to " .. role)
    s.db.url = s.db.url:gsub("//[^@/]*@", "//" .. role .. "@")
    s:serve { LEAT_WORKERS = 1 }
  end)
  lazy_teardown(function()
    s:stop()
    s.session:run("drop owned by " .. role)
    s.session:run("drop role " .. role)
    s:close()
  end)

  local function ready()
    local answer = http.request(s.server, "/readyz")
    return answer.status == 200, answer.body
  end

  local function await_ready()
    loop.eventually(function() return (ready()) end, 10000, "readiness")
  end

  before_each(await_ready)
  after_each(function() s:settle() end)

  local function failures()
    local n = 0
    for name, value in pairs((metrics.read(s.server))) do
      if name:find("^leat_fetch_failures_total") then n = n + value end
    end
    return n
  end

  local function room()
    local f = follower.new("room:1"):on(s:connect { token = "alice" })
    return f:await(function() return f.snapshots == 1 end)
  end

  -- Where a topic stands can be read without the outbox. What is not so is a snapshot from before the last event.
  local function assert_no_wrong_snapshot()
    local client = s:connect { token = "bob" }
    client:send { op = "subscribe", id = 1, topic = "room:1", timeout_ms = 400 }
    local answer = client:recv()
    if answer.op ~= "error" then
      assert.equal(s.session:value "select seq from leat.topic where name = 'room:1'", ("%d"):format(answer.seq))
    end
    client:close()
  end

  local causes = {}
  for _, name in ipairs { "leat_internal.installation", "leat.topic", "leat.event" } do
    causes["lost sight of " .. name .. " by row security"] = {
      ("alter table %s enable row level security"):format(name),
      ("alter table %s disable row level security"):format(name),
    }
    causes["lost the right to read " .. name] = {
      "revoke select on " .. name .. " from %s", "grant select on " .. name .. " to %s",
    }
  end

  for name, cause in pairs(causes) do
    it(name .. " says so, and delivers when it has it back", function()
      local f = room()
      local before = failures()

      finally(function() s.session:run((cause[2]:gsub("%%s", role))) end)
      s.session:run((cause[1]:gsub("%%s", role)))
      s.session:run "select leat.publish('room:1', to_jsonb(repeat('x', 9000)))"
      loop.eventually(function()
        local ok, reason = ready()
        return not ok and reason:find "^[ho]%a+: %g+"
      end, nil, "a reason")
      assert_no_wrong_snapshot()
      assert.is_true(failures() > before)
      assert.same({ 0, 1 }, { f:catch_up().events, f.snapshots })
      s.session:run((cause[2]:gsub("%%s", role)))

      f:await_position(s.session)
      assert.same({ 1, 1 }, { f.events, f.snapshots })
      await_ready()
      assert.equal(0, metrics.value(s.server, "leat_topics_unreadable"))
      local late = room()
      assert.equal(f.seq, late.seq)
    end)
  end

  it("lost the right to ask for positions, the log says which", function()
    local right = "execute on function leat_internal.position"
    finally(function() s.session:run(("grant %s to %s"):format(right, role)) end)
    s.session:run(("revoke %s from %s"):format(right, role))

    local client = s:connect { token = "alice" }
    local before, began, first = failures(), loop.now(), #s.server.log + 1
    for i = 1, 4 do client:ask({ op = "subscribe", id = i, topic = "room:3", timeout_ms = 1500 }, "error") end
    client:close()

    s.server:await_log('position not read sqlstate=42501 err="permission denied for function position"')
    assert.is_true(failures() - before >= 4)
    local lines = 0
    for i = first, #s.server.log do
      if s.server.log[i]:find("position not read", 1, true) then lines = lines + 1 end
    end
    assert.is_true(lines <= 1 + (loop.now() - began) // 5000, lines .. " lines")
  end)

  it("has a search_path of its own making reads the right tables", function()
    s.session:run "create schema evil"
    s.session:run "grant usage on schema evil to public"
    s.session:run [[
      create function evil.lt(bigint, bigint) returns boolean language sql as 'select false';
      create function evil.octet_length(text) returns integer language sql as 'select 1/0';
      create function evil.row_security_active(regclass) returns boolean language sql as 'select 1/0 = 0';
      create operator evil.< (leftarg = bigint, rightarg = bigint, function = evil.lt);
      create operator evil.> (leftarg = bigint, rightarg = bigint, function = evil.lt);
      create table evil.event (topic text);
      create table evil.topic (name text)]]
    s.session:run(("alter role %s set search_path = evil, leat, pg_catalog, public"):format(role))
    s:stop()
    s:serve { LEAT_WORKERS = 1 }
    await_ready()

    local f = room()
    s.session:run "select leat.publish('room:1', to_jsonb(repeat('x', 9000)))"

    f:await_position(s.session)
    assert.same({ 1, 1 }, { f.events, f.snapshots })
    s.session:run(("alter role %s reset search_path"):format(role))
  end)
end)
