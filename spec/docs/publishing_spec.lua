-- docs/publishing.md: its statements run, and leave the log that it shows.

local cjson = require "cjson"
local env = require "spec.support.env"
local markdown = require "spec.support.markdown"
local postgres = require "spec.support.postgres"
local psql = require "spec.support.psql"

local PATH = env.root() .. "/docs/publishing.md"

describe("docs/publishing.md", function()
  local db

  lazy_setup(function()
    db = postgres.database()
    db.session:run(markdown.block(PATH, "sql"))
  end)
  lazy_teardown(function() db:drop() end)

  it("shows the log of its example", function()
    local shown, logged = {}, {}
    for seq, kind, data in (markdown.block(PATH, "log") .. "\n"):gmatch("(%d+) (%l+) ([^\n]+)\n") do
      shown[#shown + 1] = { seq, kind, cjson.decode(data) }
    end
    for _, row in ipairs(db.session:rows "select seq, kind, data from leat.event order by seq") do
      logged[#logged + 1] = { row.seq, row.kind, cjson.decode(row.data) }
    end

    assert.equal(3, #shown)
    assert.same(shown, logged)
  end)

  it("sends its example of a conflating signal, which is in no log", function()
    local heard = psql.announcements(db.url, markdown.block(PATH, "sql conflate"))

    assert.same({ "c", "player:8", "room:42" }, { heard[1].kind, heard[1].epoch, heard[1].topic })
  end)

  it("limits a role with its example of leat.allow, and ends that", function()
    local role = db.name .. "_billing"
    local left = {}
    for statement in (markdown.block(PATH, "sql allow"):gsub("billing", function() return role end)):gmatch("[^;]+") do
      db.session:run(statement)
      left[#left + 1] = db.session:value "select count(*) from leat.allowed"
    end
    db.session:run("drop owned by " .. role .. "; drop role " .. role)

    assert.same({ "0", "0", "1", "2", "2", "1", "0" }, left)
  end)

  it("sends its example of a conflating signal", function()
    db.session:run(markdown.block(PATH, "sql conflate"))
  end)

  it("tells where its example of leat.last_position has come to", function()
    local last
    for statement in markdown.block(PATH, "sql last_position"):gmatch("[^;]+") do
      if statement:find("last_position", 1, true) then
        last = cjson.decode(db.session:value(statement))
      elseif statement:find("%S") then
        db.session:run(statement)
      end
    end

    assert.equal(db.session:value "select seq from leat.topic where name = 'chat:42'", ("%d"):format(last.seq))
  end)

  it("names functions that there are", function()
    local count = 0
    for _, span in ipairs(markdown.code_spans(PATH)) do
      for schema, name in span:gmatch("(leat[%l_]*)%.([%l_]+)%(") do
        count = count + 1
        assert.not_equal("0", db.session:value("select count(*) from pg_class c full join pg_proc p on false"
          .. " where coalesce(relnamespace, pronamespace) = '" .. schema .. "'::regnamespace"
          .. " and coalesce(relname, proname) = '" .. name .. "'"), name)
      end
    end
    assert.is_true(count >= 3)
  end)
end)
