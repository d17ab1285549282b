-- What goes over NOTIFY: seven fields, the first one a signature, the data if it fits.

local postgres = require "spec.support.postgres"
local psql = require "spec.support.psql"
local hmac = require "spec.support.hmac"

describe("an announcement", function()
  local db, epoch

  lazy_setup(function()
    db = postgres.database()
    epoch = db.session:value "select history || '-' || epoch from leat_internal.installation"
  end)
  lazy_teardown(function() db:drop() end)

  -- All but what proves its origin.
  local function said(one)
    return { kind = one.kind, epoch = one.epoch, seq = one.seq, topic = one.topic, data = one.data, at = one.at }
  end

  it("carries kind, epoch, seq, the time, topic and data", function()
    local got = psql.announcements(db.url, [[select leat.publish('plain', '{"a":  [1, "x"]}')]])

    assert.equal(1, #got)
    local at = db.session:value [[
      select (date_part('epoch', created_at) * 1000000)::bigint from leat.event where topic = 'plain']]
    assert.same({ kind = "e", epoch = epoch, seq = 1, topic = "plain", data = '{"a": [1, "x"]}', at = tonumber(at) },
      said(got[1]))
  end)

  it("is signed: HMAC-SHA256 of the sender's pid and all that follows", function()
    local list = psql.announcements(db.url, [[
      select leat.publish('signed', '"ä"');
      select leat.publish('signed', to_jsonb(repeat('x', 9000)));
      select leat.signal('signed', '1'), leat.signal('signed', '1', 'key');
      select leat.revoke('signed'), leat.resync('signed');
      select leat.renew_epochs()]])

    assert.equal(7, #list)
    local key = db.session:value "select encode(key, 'hex') from leat_internal.attend(null, null, null)"
    for _, one in ipairs(list) do
      assert.equal(hmac.sha256(key, one.pid .. "\n" .. one.signed):sub(1, 32), one.mac)
    end
  end)

  it("is sent for each event of a transaction, in the order of seq", function()
    local got = psql.announcements(db.url, [[
      begin;
      select leat.publish('z', '1'), leat.publish('a', '2'), leat.publish('z', '3'), leat.revoke('z', 'me');
      commit]])

    local list = {}
    for _, one in ipairs(got) do list[#list + 1] = ("%s %s %d %s"):format(one.kind, one.topic, one.seq, one.data) end
    assert.same({ "e a 1 2", "e z 1 1", "e z 2 3", 'r z 3 "me"' }, list)
  end)

  it("is sent for the last entry and for revocations only, where a topic gets more than 32 at once", function()
    local got = psql.announcements(db.url, [[
      begin;
      select leat.publish('busy', to_jsonb(n)), leat.publish('calm', to_jsonb(n)) from generate_series(1, 20) n;
      select leat.revoke('busy', 'me');
      select leat.publish('busy', to_jsonb(n)), leat.publish('quiet', '0') from generate_series(21, 32) n;
      commit]])

    local list = {}
    for _, one in ipairs(got) do
      local text = ("%s %s %d %s"):format(one.kind, one.topic, one.seq, one.data)
      list[one.topic] = list[one.topic] and list[one.topic] .. ", " .. text or text
      list[#list + 1] = one.seq
    end
    assert.equal('r busy 21 "me", e busy 33 32', list.busy)
    assert.equal(2 + 20 + 12, #list)
    assert.equal("33", db.session:value "select count(*) from leat.event where topic = 'busy'")
  end)

  it("is not sent for what is rolled back", function()
    assert.same({}, psql.announcements(db.url, "begin; select leat.publish('gone', '1'); rollback"))
  end)

  it("carries data up to 7,999 bytes in all, and says so when it does not", function()
    -- The fields, their newlines and the quotes of the filling.
    local function publish(bytes)
      local head = 32 + #("\ne\n" .. epoch .. "\n1\n1700000000000000\nsize:0000\n") + 2
      return ("select leat.publish('size:%04d', to_jsonb(repeat('x', %d)))"):format(bytes, bytes - head)
    end

    local fits = psql.announcements(db.url, publish(7999))[1]
    local too_large = psql.announcements(db.url, publish(8000))[1]

    assert.equal("e", fits.kind)
    assert.equal(7999, fits.bytes)
    assert.equal("E", too_large.kind)
    assert.equal(1, too_large.seq)
    assert.equal("", too_large.data)
  end)

  it("counts bytes, not characters", function()
    local got = psql.announcements(db.url, "select leat.publish('bytes', to_jsonb(repeat('ä', 4000)))")

    assert.equal("E", got[1].kind)
  end)

  it("leaves out the large data of a transaction with several events", function()
    local got = psql.announcements(db.url, [[
      begin;
      select leat.publish('large', '1'), leat.publish('large', to_jsonb(repeat('x', 1000000)));
      commit]])

    assert.equal("e", got[1].kind)
    assert.equal("E", got[2].kind)
    assert.equal("1000002", db.session:value(
      "select octet_length(data::text) from leat.event where topic = 'large' and seq = 2"))
  end)

  it("of a revoke carries the subject as JSON, or null", function()
    local got = psql.announcements(db.url, [[
      select leat.revoke('revoked', E'o"\n');
      select leat.revoke('revoked')]])

    assert.equal('r 1 "o\\"\\n"', ("%s %d %s"):format(got[1].kind, got[1].seq, got[1].data))
    assert.equal("r 2 null", ("%s %d %s"):format(got[2].kind, got[2].seq, got[2].data))
  end)

  it("of a resync names its seq", function()
    local got = psql.announcements(db.url, [[
      begin;
      select leat.publish('resynced', '1');
      select leat.resync('resynced');
      commit]])

    assert.equal("e 1 1", ("%s %d %s"):format(got[1].kind, got[1].seq, got[1].data))
    assert.equal("y 2 null", ("%s %d %s"):format(got[2].kind, got[2].seq, got[2].data))
    assert.equal("event resync", db.session:value [[
      select string_agg(kind, ' ' order by seq) from leat.event where topic = 'resynced']])
  end)

  it("of a signal has no position, and nothing is stored", function()
    local got = psql.announcements(db.url, "select leat.signal('fleeting', '{\"typing\": true}')")

    assert.equal(1, #got)
    assert.same({ kind = "s", epoch = "", seq = 0, topic = "fleeting", data = '{"typing": true}', at = 0 },
      said(got[1]))
    assert.equal("0", db.session:value "select count(*) from leat.event where topic = 'fleeting'")
    assert.equal("0", db.session:value "select seq from leat_internal.position('fleeting')")
  end)

  it("of a signal goes with its transaction", function()
    assert.same({}, psql.announcements(db.url, "begin; select leat.signal('fleeting', '1'); rollback"))
  end)

  it("of a signal must fit", function()
    local ok, err = pcall(psql.run, db.url, "select leat.signal('large', to_jsonb(repeat('x', 8000)))")

    assert.is_false(ok)
    assert.matches("signal of %d+ bytes is too large", err)
  end)
end)

describe("leat.revoke", function()
  local db

  lazy_setup(function() db = postgres.database() end)
  lazy_teardown(function() db:drop() end)

  it("is an entry of the log, exactly where it was called", function()
    db.session:run [[
      select leat.publish('exact', '1'), leat.revoke('exact', '42'), leat.publish('exact', '2'),
             leat.revoke('exact')]]

    local lines = {}
    for _, row in ipairs(db.session:rows "select kind, data from leat.event where topic = 'exact' order by seq") do
      lines[#lines + 1] = row.kind .. " " .. row.data
    end
    assert.same({ "event 1", 'revoke "42"', "event 2", "revoke null" }, lines)
  end)

  it("refuses a malformed topic and a subject beyond 1,024 bytes", function()
    assert.has_error(function() db.session:run "select leat.revoke('')" end)
    assert.has_error(function() db.session:run "select leat.revoke('a', repeat('x', 1025))" end)
    db.session:run "select leat.revoke('a', repeat(E'\\x01', 1024))"
  end)
end)
