-- Whatever Postgres holds can be read, and a row that a script sends on is the same JSON as the row in a watch's event:
-- equal values, numbers equal as decimals. Postgres compares them (jsonb), so that no float stands between.

local stage = require "spec.support.stage"

local TYPES = [[
  create type mood as enum ('sad', 'ok "so"', 'häppy', 'NULL', '');
  create domain positive as int check (value > 0);
  create domain more_positive as positive check (value > 1);
  create domain tags as text[];
  create domain doc as json;
  create type pair as (a int, b text);
  create type nested as (p pair, list pair[], m mood, d doc, t timestamptz, n numeric, f float8, r int4range);
  create type floats as range (subtype = float8);
  create type shown as (v int);
  create function shown_json(shown) returns json language sql as $$ select json_build_object('shown', $1.v * 2) $$;
  create cast (shown as json) with function shown_json(shown);
  create type plain as enum ('x');
  create function plain_json(plain) returns json language sql as $$ select '{"x": 1.50}'::json $$;
  create cast (plain as json) with function plain_json(plain);
]]

local EXTENSIONS = { hstore = { "a=>1,\"b c\"=>NULL", "" }, citext = { "MiXed" }, ltree = { "a.b.c" } }

-- Type, then values; a value that begins with = is an expression.
local VALUES = {
  { "float8", "NaN", "Infinity", "-Infinity", "-0", "0", "5e-324", "2.2250738585072011e-308",
    "2.2250738585072014e-308", "1.7976931348623157e308", "0.1", "1e15", "1e16", "9007199254740993", "-1.5e-7", "1e21",
    "123456789.12345678", "1e23", "2e-44", "9.5367431640625e-07", "4.35", "5.0e-320", "1.1125369292536007e-308" },
  { "float4", "NaN", "Infinity", "-Infinity", "-0", "1e-45", "1.1754944e-38", "3.4028235e38", "0.1", "16777216", "1e10",
    "3.1415927" },
  { "numeric", "NaN", "Infinity", "-Infinity", "0", "-0", "1.50", "0.000000000000000000000000000000000001", "1e400",
    "-12345678901234567890.123456789", "0.0", "100", "=repeat('9', 1000)::numeric", "=0.1 ^ 200" },
  { "numeric(10,4)", "1.5", "-0.0001" }, { "numeric(5,-2)", "12345" },
  { "int2", "-32768", "32767" }, { "int4", "-2147483648", "0" },
  { "int8", "-9223372036854775808", "9223372036854775807", "9007199254740993" },
  { "oid", "0", "4294967295" }, { "regclass", "0" }, { "xid", "7" }, { "xid8", "18446744073709551615" }, { "cid", "1" },
  { "tid", "(1,2)" }, { "pg_lsn", "16/B374D848" }, { "pg_snapshot", "10:20:10,14,15" },
  { "bool", "t", "f" }, { "name", "x y" }, { '"char"', "a", "", '"', "=chr(92)::\"char\"" },
  { "text", "", "NULL", "null", "{}", "1.50", "2026-01-02 03:04:05", '"', "\\", "=E'\\x01\\x02\\t\\n\\r\\x1f\\x7f'",
    "\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{fffd}\u{fffe}\u{ffff}\u{10000}\u{10ffff}\u{2028}\u{feff}" },
  { "varchar(5)", "abc" }, { "char(5)", "a", "", "äö" }, { "uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11" },
  { "date", "2026-01-02", "infinity", "-infinity", "0044-03-15 BC", "4713-01-01 BC", "5874897-12-31", "10000-01-01" },
  { "time", "03:04:05.6", "24:00:00", "00:00:00.000001" }, { "timetz", "03:04:05.6+02", "03:04:05-15:59:59" },
  { "timestamp", "2026-01-02 03:04:05.6", "infinity", "-infinity", "0044-03-15 01:02:03.000001 BC",
    "294276-12-31 23:59:59.999999", "10000-01-01", "2026-01-02" },
  { "timestamptz", "2026-01-02 03:04:05.6+02", "infinity", "-infinity", "0044-03-15 01:02:03+00 BC",
    "294276-12-31 23:59:59.999999+00", "4713-01-01 00:00:00+00 BC", "1890-01-01 00:00:00+00" },
  { "timestamptz(0)", "2026-01-02 03:04:05.6+02" },
  { "interval", "1 year 2 mons -3 days 04:05:06.789", "-1 day +02:03:04", "0", "-00:00:00.000001", "178000000 years" },
  { "int[]", "{}", "{1,NULL,3}", "{{1,2},{3,NULL}}", "[0:1]={5,6}", "[-1:0][2:3]={{1,2},{3,4}}", "{{{{{{1}}}}}}" },
  { "text[]", [[{"",NULL,"NULL",null,"a b","{x}",",","\"","\\","\\\"",é🐳}]], "{{a,b},{c,d}}", '{" "}', '{"\t"}' },
  { "float8[]", "{NaN,Infinity,-Infinity,-0,5e-324,0.1,NULL,1e300}" }, { "float4[]", "{0.1,NaN}" },
  { "numeric[]", "{1.50,NaN,123456789012345678901234567890.5,1e100}" }, { "bool[]", "{t,f,NULL}" },
  { "oid[]", "{1,4294967295}" }, { "date[]", "{infinity,2026-01-02,0044-03-15 BC}" },
  { "timestamptz[]", "{infinity,2026-01-02 03:04:05+00,NULL}" }, { "timestamp[]", "{2026-01-02 03:04:05}" },
  { "interval[]", '{"1 day 02:00:00"}' }, { "bytea[]", [[{"\\x00ff",""}]] }, { "uuid[]", "{}" },
  { "json[]", [[{"{\"a\": 1.50}","null","\"x\"",NULL}]] }, { "jsonb[]", [[{"[1, {\"a\": null}]",NULL}]] },
  { "box[]", "{(1,1),(0,0);(2,2),(1,1)}" }, { "point[]", '{"(1,2)"}' }, { "int4range[]", '{"[1,5)",empty}' },
  { "inet[]", "{10.0.0.1}" }, { "name[]", "{a}" }, { "char(3)[]", "{a}" }, { "int2vector", "1 2 3" },
  { "oidvector", "1 2" },
  { "money", "1234.50", "-1" }, { "bytea", "", "\\x00ff10", "=decode(repeat('00ff', 2000), 'hex')" },
  { "json", "null", "1", '"a"', "true", '{"a":1,"a":2,"b":{"c":1,"c":null}}', ' { "a" : [ 1 , 2.50 ] } ',
    "[123456789012345678901234567890.123, 1e400, -0, 1E+2]", '"\\u00e9\\ud83d\\udc33"', "[]", "{}", '{"":{"":[]}}' },
  { "jsonb", "null", "1.50", '{"a":null,"b":[null,{}]}', "[123456789012345678901234567890.123, 1e400, 0.1]", '"é"',
    "=(repeat('[', 110) || repeat(']', 110))::jsonb", "=(repeat('[', 500) || repeat(']', 500))::jsonb" },
  { "jsonpath", "$.a[*] ? (@ > 1)" }, { "xml", "<a b=\"c\">é</a>", "text" },
  { "inet", "10.0.0.1/8", "::1" }, { "cidr", "10.0.0.0/8" }, { "macaddr", "08:00:2b:01:02:03" },
  { "macaddr8", "08:00:2b:01:02:03:04:05" }, { "bit(3)", "101" }, { "varbit", "", "1" },
  { "tsvector", "'a b':1A,2 c:3", "" }, { "tsquery", "a & !(b | c:*)" },
  { "point", "(1,2)", "(NaN,Infinity)" }, { "line", "{1,2,3}" }, { "lseg", "[(1,2),(3,4)]" }, { "box", "(1,2),(3,4)" },
  { "path", "[(1,2)]" }, { "polygon", "((1,2),(3,4))" }, { "circle", "<(1,2),3>" },
  { "int4range", "empty", "[1,5)", "(,)" }, { "numrange", "[1.50,)" }, { "daterange", "[2026-01-02,infinity)" },
  { "tstzrange", '["2026-01-02 03:04:05+02",)' }, { "tsrange", '[,"2026-01-02 03:04:05"]' },
  { "int4multirange", "{[1,5),[7,8)}", "{}" }, { "tstzmultirange", '{["2026-01-02 03:04:05+02",)}' },
  { "mood", "sad", 'ok "so"', "häppy", "NULL", "" }, { "mood[]", [[{sad,"ok \"so\"","NULL",NULL,""}]] },
  { "positive", "1" }, { "more_positive", "2" }, { "more_positive[]", "{2,NULL}" }, { "tags", "{a,\"b c\"}" },
  { "doc", '{"a":1,"a":2}' }, { "doc[]", [[{"{\"a\": 1.50}"}]] },
  { "pair", '(1,"a ""b""")', "(,)", "(3,NULL)", '(2,"")' }, { "pair[]", [[{"(1,x)",NULL,"(,\"a,b\")"}]] },
  { "nested", "=row(row(1,'x')::pair, array[row(2,null)::pair, null], 'sad', '[1.50, null]', '2026-01-02 03:04:05+00', "
    .. "1.50, 'NaN', '[1,5)')::nested", "=row(null,'{}',null,null,'infinity','NaN',5e-324,'empty')::nested" },
  { "floats", "[0.1,1e300)", "[-Infinity,NaN]" }, { "floats[]", '{"[1,2)"}' },
  { "shown", "(21)" }, { "shown[]", '{(21)}' }, { "plain", "x" }, { "plain[]", "{x,NULL}" },
}

local APP = [[
local leat = require "leat"
local app = leat.app()

local function read(db, id)
  return db:rows(("select * from t%d where id = $1"):format(id // 1000), id)
end

app:topic("row:{id:int}", {
  subscribe = function(ctx, args)
    return leat.subscribe_authorized(ctx, { id = args.id }, {
      snapshot = function(db, row) return read(db, row.id) end,
    })
  end,
  publish = function(ctx, args) return read(ctx.db, args.id) end,
})
app:topic("value:{id:int}", {
  subscribe = function(ctx, args)
    return leat.subscribe_authorized(ctx, { id = args.id }, {
      snapshot = function(db, row) return { v = read(db, row.id)[1].v } end,
    })
  end,
})
app:method("row", function(ctx, params) return read(ctx.db, params) end)
app:method("written", function(ctx, params)
  return ctx.db:transaction(function(db)
    return db:rows(("update t%d set id = id where id = $1 returning *"):format(params // 1000), params)
  end)
end)
app:method("eval", function(ctx, params) return ctx.db:one(params) end)
app:method("types", function(ctx, params)
  local row = ctx.db:one(params)
  local types = {}
  for name, value in pairs(row) do types[name] = math.type(value) or type(value) end
  return types
end)
app:route("GET /row", function(ctx, request)
  return { status = 200, body = read(ctx.db, math.tointeger(request.query.id)) }
end)
return app
]]

describe("a value of Postgres", function()
  local http = require "spec.support.http"
  local s, client, other

  lazy_setup(function()
    s = stage.open { app = APP, schema = TYPES }
    for name, values in pairs(EXTENSIONS) do
      if s.session:value(("select count(*) from pg_available_extensions where name = '%s'"):format(name)) == "1" then
        s.session:run("create extension " .. name)
        VALUES[#VALUES + 1] = { name, table.unpack(values) }
        VALUES[#VALUES + 1] = { name .. "[]", "{}", "=array['" .. values[1] .. "'::" .. name .. ", null]" }
      end
    end
    for i, case in ipairs(VALUES) do
      s.session:run(("create table t%d (id int primary key, v %s, w int)"):format(i, case[1]))
      s.session:run(("select leat.watch('t%d', 'row:{id}')"):format(i))
    end
  end)
  lazy_teardown(function() s:close() end)
  before_each(function() client, other = s:connect(), s:connect() end)
  after_each(function() s:settle() end)

  local function literal(text)
    return text:sub(1, 1) == "=" and text:sub(2) or s.session:quote(text)
  end

  local function same(what, a, path_a, b, path_b)
    local query = "select x = y as same, x, y from (select %s::jsonb #> '%s' x, %s::jsonb #> '%s' y) q"
    local row = s.session:rows(query:format(s.session:quote(a), path_a, s.session:quote(b), path_b))[1]
    if row.same ~= "t" then
      error(("%s: %s is not %s"):format(what, tostring(row.x):sub(1, 300), tostring(row.y):sub(1, 300)), 2)
    end
  end

  -- The event of inserting it, as text.
  local function insert(table_number, id, value)
    client:subscribe("row:" .. id)
    s.session:run(("insert into t%d (id, v) values (%d, %s)"):format(table_number, id, value))
    local _, event = client:expect("event")
    return event
  end

  local function check(i, id, what, value)
    local event = insert(i, id, value)
    local _, snapshot = other:subscribe("row:" .. id)
    same(what .. " in a snapshot", snapshot, "{data,0}", event, "{data,row}")
    for _, method in ipairs { "row", "written" } do
      other:send(('{"op":"call","id":1,"method":"%s","params":%d}'):format(method, id))
      local _, answer = other:expect("ok", 1)
      same(what .. " in a method's result", answer, "{data,0}", event, "{data,row}")
    end
    local answer = http.request(s.server, { path = "/row?id=" .. id, headers = {} })
    same(what .. " in a route's body", answer.body, "{0}", event, "{data,row}")
    other:subscribe("value:" .. id)
    for _, topic in ipairs { "row:", "value:" } do
      other:ask({ op = "unsubscribe", id = 2, topic = topic .. id }, "ok")
    end
    client:ask({ op = "unsubscribe", id = 2, topic = "row:" .. id }, "ok")
  end

  it("is in a row the same JSON as in the row's event, whatever its type", function()
    for i, case in ipairs(VALUES) do
      check(i, i * 1000, case[1] .. " null", "null")
      for j = 2, #case do
        check(i, i * 1000 + j, case[1] .. " " .. case[j], ("(%s)::%s"):format(literal(case[j]), case[1]))
      end
    end
  end)

  it("is the same, however the session that writes it, the database and the role are set", function()
    local settings = { TimeZone = "Asia/Kathmandu", DateStyle = "SQL, DMY", IntervalStyle = "iso_8601",
      bytea_output = "escape", extra_float_digits = "-5" }
    for name, value in pairs(settings) do s.session:run(("set %s = '%s'"):format(name, value)) end
    for i, case in ipairs(VALUES) do
      local value = ({ timestamptz = "2026-01-02 03:04:05.6+02", interval = "1 day 02:03:04", bytea = "\\x00ff",
        float8 = "0.1234567890123456", tstzrange = '["2026-01-02 03:04:05+02",)', ["timestamptz[]"] = "{now}",
        nested = "(,,,,2026-01-02,,0.1234567890123456,)" })[case[1]]
      if value then check(i, i * 1000 + 900, case[1] .. " as set", s.session:quote(value)) end
    end
    for name in pairs(settings) do s.session:run("reset " .. name) end
  end)

  it("has the types in Lua that the documentation promises", function()
    local types = client:ask({ op = "call", id = 1, method = "types", params = [[
      select 1::int2 i2, 1::int8 i8, 1::oid o, 1.5::float8 f, 'NaN'::float4 nan, 1.50 n, true b, null::int nothing,
        now() t, '{1}'::int[] a, '{}'::jsonb j, row(1,'x')::pair c, 'sad'::mood m, '[1,2)'::int4range r,
        '\x00'::bytea y,
        '1 day'::interval iv, (row(1))::shown sh]] }, "ok").data

    assert.same({ i2 = "integer", i8 = "integer", o = "integer", f = "float", nan = "float", n = "string",
      b = "boolean",
      t = "string", a = "table", j = "table", c = "table", m = "string", r = "string", y = "string", iv = "string",
      sh = "table" }, types)
  end)

  it("without a JSON form is still readable, as its text", function()
    for statement, text in pairs {
      ["select row(1, 'a b') as v"] = '(1,\\"a b\\")',
      ["select array[row(1, 'a')] as v"] = '{\\"(1,a)\\"}',
      [ [[select '"\u0000"'::json as v]] ] = [["v":"\u0000"]],
      [ [[select '["\ud800"]'::json as v]] ] = [["v":"[\"\\ud800\"]"]],
    } do
      client:send(('{"op":"call","id":1,"method":"eval","params":%s}')
        :format(s.session:value("select to_jsonb(" .. s.session:quote(statement) .. "::text)")))
      local _, answer = client:recv()
      assert.matches(text, answer, 1, true)
    end
  end)

  it("that is no JSON for Postgres does not end the transaction", function()
    s.session:run "create table pg_rows (t pg_type)"
    s.session:run "insert into pg_rows select t from pg_type t where typname = 'int4'"
    client:send('{"op":"call","id":1,"method":"eval","params":"select t from pg_rows"}')
    local _, answer = client:expect("ok", 1)
    assert.matches("int4", answer, 1, true)
  end)
end)
