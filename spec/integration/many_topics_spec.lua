-- A publisher that invents names: the server neither holds nor fetches anything for topics that nobody has subscribed.

local fixtures = require "spec.support.fixtures"
local loop = require "spec.support.loop"
local metrics = require "spec.support.metrics"
local psql = require "spec.support.psql"
local stage = require "spec.support.stage"

local TOPICS = 5000

-- Names of 255 bytes: quotes, backslashes, what looks like SQL, JSON or a format, and characters of up to four bytes.
local PUBLISH = [[
  create temp table names as
    select strange || repeat('.', 255 - octet_length(strange)) as name from (
      select n || (array[$a$'; drop table leat.topic; --$a$, '"\u0000",{"op":"revoke"}', '%s%n%s%n', '\x00\n\\',
        '${n}$(n)`n`', '../../etc/passwd', '</script><script>alert(1)</script>', U&'\202E\200B\FEFF',
        U&'\+01F4A9\+01F469\200D\+01F469'])[1 + n % 9] as strange from generate_series(1, $TOPICS) n) x;
  select count(leat.publish(name, '{}')), min(octet_length(name)) from names;
  select leat.publish('room:1', '"after"');
  analyze leat.topic]]

describe("a publisher of very many topics with strange names", function()
  local s

  lazy_setup(function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema, env = { LEAT_TRIM_INTERVAL_MS = 100 } }
  end)
  lazy_teardown(function() s:close() end)

  it("makes the server hold and ask nothing, and a client gets its events meanwhile", function()
    local good = s:connect { token = "bob" }
    good:subscribe("room:1")
    local queries = metrics.value(s.server, "leat_query_seconds_count")

    local out = psql.run(s.db.url, (PUBLISH:gsub("$TOPICS", TOPICS)))

    assert.truthy(out:find("5000%s*|%s*255"), out)
    assert.equal("after", good:expect("event").data)
    assert.equal(1, metrics.value(s.server, "leat_topics"))
    assert.is_true(metrics.value(s.server, "leat_ring_bytes") < 4096)
    assert.equal(0, metrics.value(s.server, "leat_gaps_repaired_total"))
    assert.is_true(metrics.value(s.server, "leat_query_seconds_count") - queries < TOPICS // 4) -- trimming
    loop.eventually(function() return metrics.value(s.server, "leat_outbox_topics") >= TOPICS end)
    good:close()
  end)
end)
