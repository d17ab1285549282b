-- The key of announcements: nothing that a session may set shows it.

local postgres = require "spec.support.postgres"
local psql = require "spec.support.psql"

-- The plans of all statements, also of those in functions, with the values of their parameters.
local SHOW_ALL = [[
  set client_min_messages = log;
  set debug_print_plan = on; set debug_print_rewritten = on; set debug_print_parse = on;
  set debug_pretty_print = off;
  set plan_cache_mode = force_custom_plan;
]]

describe("the key of announcements", function()
  local db, session, role, secrets

  lazy_setup(function()
    db = postgres.database "create table notes (id int primary key, room text)"
    session = db.session
    role = db.name .. "_role"
    session:run("create role " .. role)
    session:run("select leat_internal.grant_publisher('" .. role .. "')")
    session:run "select leat.watch('notes', 'room:{room}')"
    session:run("grant insert on notes to " .. role)
    -- As Postgres shows bytes in a plan: numbers from -128 to 127.
    secrets = {}
    for _, row in ipairs(session:rows [[
      select (select string_agg((case when b > 127 then b - 256 else b end)::text, ' ' order by n)
                from generate_series(at, at + 7) n cross join lateral get_byte(x.bytes, n) b) as bytes
        from leat_internal.secret s
       cross join lateral (values (s.key, 0), (s.key, 24), (s.pads, 0), (s.pads, 64)) x (bytes, at)]]) do
      secrets[#secrets + 1] = row.bytes
    end
  end)
  lazy_teardown(function()
    session:run("drop owned by " .. role .. "; drop role " .. role)
    db:drop()
  end)

  --- What psql prints of the statements to somebody who wants to see everything.
  local function shown(statements)
    local p = psql.start(db.url, "set session authorization " .. role .. ";\n" .. SHOW_ALL .. statements)
    assert.equal(0, p:wait(), table.concat(p.err, "\n"))
    return (table.concat(p.err, " "):gsub("%s+", " "))
  end

  for what, statements in pairs {
    ["one event"] = "select leat.publish('a', '\"seen\"');",
    ["an event of a new topic, in an open transaction"] =
      "begin; select leat.publish('new', '\"seen\"'); set constraints all immediate; commit;",
    ["a few entries"] = "select leat.publish('a', '\"seen\"'), leat.revoke('a'), leat.resync('b');",
    ["many entries"] = "select leat.publish('t:' || i, '\"seen\"'), leat.revoke('u') from generate_series(1, 40) i;",
    ["many rows of a watched table"] = "insert into notes select i, 'seen' from generate_series(1, 40) i;",
    ["a signal"] = "select leat.signal('a', '\"seen\"'), leat.signal('a', '1', 'seen');",
    ["a position"] = "select leat.publish('a', '1'); select leat.last_position('a');",
  } do
    it("is in no plan of " .. what, function()
      local text = shown(statements)

      assert.matches("{PLANNEDSTMT", text, 1, true)
      for i, bytes in ipairs(secrets) do
        assert.is_nil(text:find(bytes, 1, true), "part " .. i .. " of the key is there")
      end
    end)
  end

  it("still signs many entries", function()
    local many = "select leat.publish('m:' || i, '1') from generate_series(1, 20) i"
    local signed = psql.announcements(db.url, many)
    assert.equal(20, #signed)
    for _, a in ipairs(signed) do
      assert.equal(a.mac, session:value(([[
        select left(encode(sha256(substr(s.pads, 65) || sha256(substr(s.pads, 1, 64)
                 || convert_to(%s || E'\n' || %s, 'UTF8'))), 'hex'), 32) from leat_internal.secret s]])
        :format(a.pid, session:quote(a.signed))))
    end
  end)
end)
