-- What goes in comes out: numbers of 64 bits, nulls, empty lists, nesting, any text, a megabyte. Compared as raw text,
-- since a decoder may damage what the server did not.

local stage = require "spec.support.stage"

local SCHEMA = [[
  create table things (
    id bigint primary key,
    tiny smallint, small integer, big bigint, precise numeric, real_8 float8,
    yes boolean, words text, doc jsonb, plain json, nothing text, list bigint[]
  );
  insert into things values
    (1, -32768, 2147483647, 9223372036854775807, 12345678901234567890.123456789, 0.1,
     true, 'é 🐳 "quoted" \ / tab	end', '{"b": [1, {"c": null}], "a": []}', '{"z":1,"a":  [ ]}', null, '{}'),
    (2, 0, -2147483648, -9223372036854775808, 0, -1.5e300, false, '', '9007199254740993', '[]', null,
     '{9007199254740993,-1}');
  create table bodies (id bigint generated always as identity primary key, body text not null);
]]

local APP = [[
local leat = require "leat"
local app = leat.app()

app:topic("thing:{id:int}", {
  subscribe = function(ctx, args)
    local row = ctx.db:one("select * from things where id = $1", args.id)
    if not row then return leat.deny("not_found") end
    return leat.subscribe_authorized(ctx, row, { snapshot = function(db, row) return row end })
  end,
})

app:topic("lists", {
  subscribe = function(ctx)
    return leat.subscribe_authorized(ctx, {}, {
      snapshot = function(db)
        local none = db:rows("select * from things where false")
        return {
          none = none,
          nested = { list = leat.array {}, object = {} },
          null = leat.null,
          ready = leat.json('{"a" :  [1,2] }'),
          row = db:one("select nothing, id from things where id = 1"),
        }
      end,
    })
  end,
})

app:topic("types", {
  subscribe = function(ctx)
    local row = ctx.db:one("select * from things where id = 1")
    return leat.subscribe_authorized(ctx, row, {
      snapshot = function(db, row)
        return {
          big = math.type(row.big), precise = type(row.precise), yes = row.yes == true,
          null = row.nothing == nil, doc = type(row.doc), inner = row.doc.b[1], columns = row.id,
        }
      end,
    })
  end,
})

app:topic("echo", {
  subscribe = function(ctx)
    return leat.subscribe_authorized(ctx, {}, {
      snapshot = function(db) return db:rows("select body from bodies order by id") end,
    })
  end,
  publish = function(ctx, args, data)
    ctx.db:exec("select leat.publish('echo', $1)", data)
    return data
  end,
})

app:topic("text", {
  subscribe = function(ctx)
    return leat.subscribe_authorized(ctx, {}, {
      snapshot = function(db) return db:rows("select body from bodies order by id") end,
    })
  end,
  publish = function(ctx, args, data)
    return ctx.db:transaction(function(db)
      db:exec("insert into bodies (body) values ($1)", data.body)
      db:exec("select leat.publish('text', jsonb_build_object('body', $1::text))", data.body)
      return { body = data.body }
    end)
  end,
})

app:method("echo", function(ctx, params) return params end)

return app
]]

describe("data", function()
  local s, client

  lazy_setup(function()
    s = stage.open { app = APP, schema = SCHEMA, env = { LEAT_MAX_MESSAGE_BYTES = 2 ^ 21 | 0 } }
  end)
  lazy_teardown(function() s:close() end)
  before_each(function() client = s:connect() end)
  after_each(function() s:settle() end)

  local function data_of(text)
    return text:match('"data":(.*)}$')
  end

  it("of every type is exact in a snapshot, its columns in the query's order", function()
    local _, first = client:subscribe("thing:1")
    local _, second = client:subscribe("thing:2")

    assert.equal('{"id":1,"tiny":-32768,"small":2147483647,"big":9223372036854775807,'
      .. '"precise":12345678901234567890.123456789,"real_8":0.1,"yes":true,'
      .. '"words":"é 🐳 \\"quoted\\" \\\\ / tab\\tend",'
      .. '"doc":{"a":[],"b":[1,{"c":null}]},"plain":{"z":1,"a":[]},"nothing":null,"list":[]}',
      data_of(first))
    assert.matches('"big":-9223372036854775808,', data_of(second), 1, true)
    assert.matches('"doc":9007199254740993,', data_of(second), 1, true)
    assert.matches('"words":"",', data_of(second), 1, true)
  end)

  it("that is empty, null or ready-made JSON stays what it is", function()
    local _, text = client:subscribe("lists")
    local data = data_of(text)

    assert.matches('"none":[]', data, 1, true)
    assert.matches('"list":[]', data, 1, true)
    assert.matches('"object":{}', data, 1, true)
    assert.matches('"null":null', data, 1, true)
    assert.matches('"ready":{"a" :  [1,2] }', data, 1, true)
    assert.matches('"row":{"nothing":null,"id":1}', data, 1, true)
  end)

  it("has the types in Lua that the interface promises", function()
    local snapshot = client:subscribe("types")

    assert.same({ big = "integer", precise = "string", yes = true, null = true, doc = "table", inner = 1,
      columns = 1 }, snapshot.data)
  end)

  it("passes through a method with its integers, lists and nulls", function()
    for i, text in ipairs {
      "9223372036854775807", "-9223372036854775808", "9007199254740993", "[]", "{}", "null", "[null,{},[]]",
      '"\u{1F433} é"', "0.1", "true",
    } do
      client:send(('{"op":"call","id":%d,"method":"echo","params":%s}'):format(i, text))

      local _, answer = client:expect("ok", i)
      if text == "null" then
        assert.matches('^{"op":"ok","id":6[,}]', answer)
      else
        assert.equal(text, data_of(answer))
      end
    end
  end)

  it("that SQL publishes arrives as jsonb writes it", function()
    client:subscribe("echo")
    for _, text in ipairs {
      '{"a": [], "b": {}, "n": null, "big": 9223372036854775807, "more": 123456789012345678901234567890}',
      '"é 🐳 \\u0001 \\" \\\\"',
      "9007199254740993",
      "null",
    } do
      s.session:publish("echo", text)

      local _, event = client:expect("event")
      assert.equal(s.session:value(("select %s::jsonb::text"):format(s.session:quote(text))), data_of(event))
    end
  end)

  it("that a client publishes is exact in the event and in the acknowledgement", function()
    client:subscribe("echo")

    client:send '{"op":"publish","id":1,"topic":"echo","data":{"a":9007199254740993,"b":[],"c":null,"d":"🐳"}}'

    local texts = {}
    for _ = 1, 2 do
      local message, text = client:recv()
      texts[message.op] = data_of(text)
    end
    assert.equal('{"a": 9007199254740993, "b": [], "c": null, "d": "🐳"}', texts.event)
    for _, part in ipairs { '"a":9007199254740993', '"b":[]', '"c":null', '"d":"🐳"' } do
      assert.matches(part, texts.ok, 1, true)
    end
  end)

  -- A text that is at home nowhere: every ASCII character that JSON may have, emoji, other scripts.
  local function megabyte()
    local parts = {}
    for code = 0x20, 0x7e do parts[#parts + 1] = string.char(code) end
    parts[#parts + 1] = "éßœ日本語ไทย🐳👩‍🚀\u{FFFD}\u{10FFFF}\u{80}"
    local unit = table.concat(parts)
    return unit:rep(2 ^ 20 // #unit) .. ("x"):rep(2 ^ 20 % #unit)
  end

  local function quote_json(text)
    return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
  end

  it("of a megabyte goes through publish, event, acknowledgement and snapshot, byte for byte", function()
    local body = quote_json(megabyte())
    assert.is_true(#body >= 2 ^ 20)
    client:subscribe("text")

    client:send('{"op":"publish","id":1,"topic":"text","data":{"body":' .. body .. "}}")
    local texts = {}
    for _ = 1, 2 do
      local message, text = client:recv()
      texts[message.op] = data_of(text)
    end
    local other = s:connect()
    local _, snapshot = other:subscribe("text")

    assert.is_true(texts.ok == '{"body":' .. body .. "}", "the acknowledgement differs")
    assert.is_true(texts.event == '{"body": ' .. body .. "}", "the event differs")
    assert.is_true(data_of(snapshot) == '[{"body":' .. body .. "}]", "the snapshot differs")
  end)

  it("around the size of an announcement arrives whole", function()
    client:subscribe("echo")
    for size = 7900, 8020 do
      s.session:publish("echo", quote_json(("x"):rep(size)))
    end

    for size = 7900, 8020 do
      assert.equal(size, #client:expect("event").data)
    end
  end)

  it("has topic names of any letters, up to 255 bytes", function()
    for i, name in ipairs { "thing:9223372036854775807", "nothing 🐳 é", ("x"):rep(255) } do
      local answer = client:ask({ op = "subscribe", id = i, topic = name }, "error")
      assert.equal("not_found", answer.code)
    end
    for i, name in ipairs { ("x"):rep(256), "", "a\nb", "a\u{7f}b", "a\u{85}b" } do
      local answer = client:ask({ op = "subscribe", id = i, topic = name }, "error")
      assert.equal("bad_request", answer.code)
    end
  end)
end)
