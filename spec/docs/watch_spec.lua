-- docs/watch.md: its statements run, and make the events that it shows.

local cjson = require "cjson"
local env = require "spec.support.env"
local markdown = require "spec.support.markdown"
local postgres = require "spec.support.postgres"

local PATH = env.root() .. "/docs/watch.md"

describe("docs/watch.md", function()
  local db

  lazy_setup(function()
    db = postgres.database()
    for _, block in ipairs(markdown.blocks(PATH)) do
      if block.info == "sql" then db.session:run(block.text) end
    end
  end)
  lazy_teardown(function() db:drop() end)

  it("shows the events of its example", function()
    local shown, published = {}, {}
    for topic, data in (markdown.block(PATH, "events") .. "\n"):gmatch("(%S+) ([^\n]+)\n") do
      shown[#shown + 1] = { topic, cjson.decode(data) }
    end
    for _, row in ipairs(db.session:rows "select topic, data from leat.event order by topic, seq") do
      published[#published + 1] = { row.topic, cjson.decode(row.data) }
    end

    assert.equal(5, #shown)
    assert.same(shown, published)
  end)

  it("ends with what it began to watch still watched, and nothing else", function()
    assert.equal("chat:{chat_id}", db.session:value "select string_agg(topic_template, ',') from leat.watched")
  end)

  it("names functions and views that there are", function()
    local count = 0
    for _, span in ipairs(markdown.code_spans(PATH)) do
      for name in span:gmatch("leat[%l_]*%.[%l_]+") do
        count = count + 1
        assert.equal("t", db.session:value(("select to_regproc('%s') is not null or to_regclass('%s')"
          .. " is not null"):format(name, name)), name)
      end
    end
    assert.is_true(count > 10)
  end)
end)
