-- Where the server's connections lead, and how they are called.

local fixtures = require "spec.support.fixtures"
local loop = require "spec.support.loop"
local stage = require "spec.support.stage"

describe("connections to the database", function()
  local s
  after_each(function() s:close() end)

  -- The names of the server's connections, sorted, each once.
  local function names()
    return s.session:value([[
      select string_agg(distinct application_name, ', ' order by application_name) from pg_stat_activity
      where datname = current_database() and (application_name like 'leat %' or application_name = 'elsewhere')]])
  end

  local function await_names(expected)
    loop.eventually(function() return names() == expected end, nil,
      function() return expected .. ", not " .. tostring(names()) end)
  end

  it("say in pg_stat_activity what they are for", function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema, env = { LEAT_WORKERS = 2 } }

    await_names("leat listener, leat repair, leat worker 0, leat worker 1")
  end)

  it("go to listen_url where a session is needed, and to database_url for the handlers", function()
    s = stage.open { app = fixtures.app, schema = fixtures.schema, env = function(db)
      return { LEAT_LISTEN_URL = db.url .. (db.url:find("?", 1, true) and "&" or "?") .. "application_name=elsewhere" }
    end }
    await_names("elsewhere, leat worker 0")
    local client = s:connect { token = "alice" }
    client:subscribe("room:1")

    s.session:run("select leat.publish('room:1', '1')")

    assert.equal(1, client:expect("event").data)
  end)
end)
