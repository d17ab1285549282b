-- Publishers at the same time: no deadlock, no hole, seq order is commit order.

local env = require "spec.support.env"
local files = require "spec.support.files"
local loop = require "spec.support.loop"
local pg = require "spec.support.pg"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local psql = require "spec.support.psql"

describe("concurrent publishers", function()
  local db, session, observer

  lazy_setup(function()
    db = postgres.database "create table ledger (topic text, n int)"
    session = db.session
    observer = pg.connect(db.url)
  end)
  lazy_teardown(function()
    observer:close()
    db:drop()
  end)

  local function await_waiting()
    loop.eventually(function()
      return observer:value [[
        select count(*) from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock']] == "1"
    end, nil, "a publisher that waits")
  end

  local function data(topic)
    return session:value("select string_agg(data::text, ' ' order by seq) from leat.event where topic = '"
      .. topic .. "'")
  end

  it("do not wait for a transaction that has published and goes on", function()
    local other = pg.connect(db.url)
    other:run "set lock_timeout = '2s'"
    session:run "begin"
    session:publish("open", '"first to publish"')
    other:publish("open", '"first to commit"')
    session:run "commit"
    other:close()

    assert.equal('"first to commit" "first to publish"', data("open"))
  end)

  it("wait only while another one commits", function()
    -- The numbers are given now, as they are at a commit, and the transaction stays open.
    session:run "begin"
    session:publish("commit", '"first"')
    session:run "set constraints all immediate"

    local other = psql.start(db.url, "select leat.publish('commit', '\"second\"')")
    await_waiting()
    session:run "commit"

    assert.equal(0, other:wait())
    assert.equal('"first" "second"', data("commit"))
  end)

  it("give the number back that a failed commit had taken", function()
    session:run "begin"
    session:publish("failed", '"never"')
    session:run "set constraints all immediate"
    local other = psql.start(db.url, "select leat.publish('failed', '\"second\"')")
    await_waiting()
    session:run "rollback"

    assert.equal(0, other:wait())
    assert.equal("1", session:value "select max(seq) from leat.event where topic = 'failed'")
  end)

  it("create one topic together", function()
    session:run "begin"
    session:publish("created", '"first"')
    session:run "set constraints all immediate"
    local other = psql.start(db.url, "select leat.publish('created', '\"second\"')")
    await_waiting()
    session:run "commit"

    assert.equal(0, other:wait())
    assert.equal('"first" "second"', data("created"))
  end)

  it("in REPEATABLE READ get 40001 where another one came first", function()
    session:publish("repeatable", "1")
    session:run "begin isolation level repeatable read"
    session:run "select 1 from leat.topic"
    psql.run(db.url, "select leat.publish('repeatable', '2')")
    session:publish("repeatable", "3")

    assert.has_error(function() session:run "commit" end)
    assert.equal("1 2", data("repeatable"))
  end)

  for _, n in ipairs { 1, 2 } do
    it(("in REPEATABLE READ get 40001 where another history came first (%d at once)"):format(n), function()
      local topic = "renewed:" .. n
      session:publish(topic, "1")
      session:run "begin isolation level repeatable read"
      session:run "select 1 from leat.topic"
      psql.run(db.url, "select leat.renew_epochs()")
      for _ = 1, n do session:publish(topic, "2") end

      assert.has_error(function() session:run "commit" end)
      assert.equal("1", data(topic))
      session:run "begin isolation level repeatable read"
      for _ = 1, n do session:publish(topic, "3") end
      session:run "commit"
      assert.equal("1" .. (" 3"):rep(n), data(topic))
    end)
  end

  for _, n in ipairs { 1, 2, 40 } do
    it(("are announced in the history that they commit to (%d at once)"):format(n), function()
      local topic = "history:" .. n
      session:run "begin"
      session:run "select leat.renew_epochs()"

      local other = psql.start(db.url, ([[
        begin;
        select from generate_series(1, %d) i, leat.publish('%s', to_jsonb(i));
        commit;
        select leat.last_position('%s') ->> 'epoch';]]):format(n, topic, topic))
      await_waiting()
      session:run "commit"

      assert.equal(0, other:wait())
      assert.equal(session:value(("select epoch from leat_internal.position('%s')"):format(topic)),
        other.out[#other.out])
    end)
  end

  it("never deadlock and leave no hole, in whatever order they publish", function()
    local folder = files.folder()
    local script = folder .. "/publish.sql"
    files.write(script, [[
\set a random(1, 4)
\set b random(1, 4)
\set c random(1, 100000)
\set fate random(1, 5)
begin;
insert into ledger values ('busy:' || :a, :fate), ('busy:' || :b, :fate);
select leat.publish('busy:' || :a, to_jsonb(:fate));
savepoint s;
select leat.publish('busy:' || :b, '0');
select leat.publish('busy:new:' || :c, '0');
rollback to s;
select leat.publish('busy:' || :b, to_jsonb(:fate));
select leat.publish('busy:new:' || :c, to_jsonb(:fate));
\if :fate = 1
rollback;
\else
commit;
\endif
]])

    local code, out, err = process.run(env.pg_program("pgbench"), {
      args = { "-n", "-c", "8", "-j", "2", "-t", "100", "-f", script, db.url },
    })
    files.remove(folder)

    assert.equal(0, code, out .. err)
    assert.matches("number of failed transactions: 0 ", out, 1, true)
    assert.matches("actually processed: 800/800", out, 1, true)
    assert.equal("0", session:value [[
      select count(*) from leat.topic t where name like 'busy:%' and seq <> (
        select case when min(e.seq) = 1 and max(e.seq) = count(*) then max(e.seq) end
          from leat.event e where e.topic = t.name)]])
    assert.equal("0", session:value [[
      select count(*) from (
        select topic, n::text as n, count(*) from ledger group by topic, n
        except
        select topic, data::text, count(*) from leat.event where topic ~ '^busy:\d$' group by topic, data) x]])
    assert.equal("0", session:value "select count(*) from leat.event where topic like 'busy:%' and data in ('0', '1')")
  end)
end)
