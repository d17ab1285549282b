#include "script/value/lua_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>

static int make_state(void **state)
{
    lua_State *L = luaL_newstate();
    *(void **)lua_getextraspace(L) = NULL; /* no sandbox */
    luaL_openlibs(L);
    leat_lua_json_open(L);
    lua_newtable(L);
    leat_lua_json_functions(L);
    lua_setglobal(L, "leat");
    assert_int_equal(lua_gettop(L), 0);
    *state = L;
    return 0;
}

static int free_state(void **state)
{
    lua_close(*state);
    return 0;
}

/* Runs a chunk that returns one value, and leaves it on the stack. */
static void run(lua_State *L, const char *chunk)
{
    lua_settop(L, 0);
    if (luaL_loadstring(L, chunk) != LUA_OK || lua_pcall(L, 0, 1, 0) != LUA_OK)
        fail_msg("%s: %s", chunk, lua_tostring(L, -1));
}

struct encoding {
    int err;
    leat_buf out;
    char reason[200];
};

static struct encoding encode(lua_State *L, const char *chunk, size_t max_bytes)
{
    struct encoding e = {0, LEAT_BUF_INIT, ""};
    run(L, chunk);
    leat_buf_text(&e.out, "<");
    e.err = leat_lua_json_encode(L, -1, &e.out, max_bytes, e.reason, sizeof(e.reason));
    leat_buf_char(&e.out, '\0');
    assert_int_equal(lua_gettop(L), 1);
    return e;
}

/* expression: a Lua expression. */
static void assert_encodes(lua_State *L, const char *expression, const char *json)
{
    char chunk[1000];
    snprintf(chunk, sizeof(chunk), "return %s", expression);
    struct encoding e = encode(L, chunk, SIZE_MAX);
    assert_string_equal(e.reason, "");
    assert_int_equal(e.err, 0);
    assert_string_equal(e.out.at + 1, json);
    leat_buf_close(&e.out);
}

static void assert_refused(lua_State *L, const char *expression, const char *reason)
{
    char chunk[1000];
    snprintf(chunk, sizeof(chunk), "return %s", expression);
    struct encoding e = encode(L, chunk, SIZE_MAX);
    assert_string_equal(e.reason, reason);
    assert_int_equal(e.err, LEAT_EBADMSG);
    assert_string_equal(e.out.at, "<");
    leat_buf_close(&e.out);
}

static void encodes_scalars(void **state)
{
    lua_State *L = *state;
    assert_encodes(L, "nil", "null");
    assert_encodes(L, "leat.null", "null");
    assert_encodes(L, "true", "true");
    assert_encodes(L, "false", "false");
    assert_encodes(L, "0", "0");
    assert_encodes(L, "math.maxinteger", "9223372036854775807");
    assert_encodes(L, "math.mininteger", "-9223372036854775808");
    assert_encodes(L, "1.0", "1.0");
    assert_encodes(L, "-0.0", "-0.0");
    assert_encodes(L, "0.1", "0.1");
    assert_encodes(L, "1e300", "1e+300");
    assert_encodes(L, "'a\"b\\\\c\\n\\0\\x1f/'", "\"a\\\"b\\\\c\\n\\u0000\\u001f/\"");
    assert_encodes(L, "'\\u{1F600}é'", "\"\xf0\x9f\x98\x80\xc3\xa9\"");
    assert_encodes(L, "''", "\"\"");
}

static void encodes_tables(void **state)
{
    lua_State *L = *state;
    assert_encodes(L, "{}", "{}");
    assert_encodes(L, "leat.array()", "[]");
    assert_encodes(L, "leat.array({})", "[]");
    assert_encodes(L, "{1, 2, 3}", "[1,2,3]");
    assert_encodes(L, "{'a', {}, {{}}, leat.null, false}", "[\"a\",{},[{}],null,false]");
    assert_encodes(L, "{b = 1, a = 2, ['a b'] = 3, [''] = 4, ab = 5}",
                   "{\"\":4,\"a\":2,\"a b\":3,\"ab\":5,\"b\":1}");
    assert_encodes(L, "{a = {b = {c = {}}}}", "{\"a\":{\"b\":{\"c\":{}}}}");
    assert_encodes(L, "leat.array({1, nil, 3})", "[1,null,3]");
    assert_encodes(L, "leat.array({[4] = 'x'})", "[null,null,null,\"x\"]");
    assert_encodes(L, "{n = leat.null}", "{\"n\":null}");
    assert_encodes(L, "(function() local t = {x = 1} return {t, t} end)()",
                   "[{\"x\":1},{\"x\":1}]");
}

static void calls_no_metamethods(void **state)
{
    lua_State *L = *state;
    assert_encodes(L,
                   "setmetatable({x = 1}, {__index = error, __pairs = error, __len = error, "
                   "__tostring = error, __name = error})",
                   "{\"x\":1}");
    assert_encodes(L, "setmetatable({1, 2}, {__index = error, __len = error})", "[1,2]");
}

static void refuses_what_has_no_json_form(void **state)
{
    lua_State *L = *state;
    assert_refused(L, "print", "a function has no JSON form");
    assert_refused(L, "coroutine.create(print)", "a coroutine has no JSON form");
    assert_refused(L, "io.stdout", "a userdata has no JSON form");
    assert_refused(L, "0/0", "NaN and infinity have no JSON form");
    assert_encodes(L, "{1/0, -1/0}", "[\"Infinity\",\"-Infinity\"]");
    assert_encodes(L, "{pcall(leat.encode, {x = {1, -1/0}})}",
                   "[false,\"leat.encode: x[2]: NaN and infinity have no JSON form\"]");
    assert_refused(L, "'\\xff'", "invalid UTF-8");
    assert_refused(L, "{messages = {{}, {}, {body = 'a\\xc3'}}}",
                   "messages[3].body: invalid UTF-8");
    assert_refused(L, "{['\\xff'] = 1}", "?: a key is invalid UTF-8");
    assert_refused(L, "{1, 2, x = 3}", "a table with both numbers and texts as keys");
    assert_refused(L, "{a = {[2] = 1}}", "a: a table whose keys are neither 1, 2, 3 ... nor texts");
    assert_refused(L, "{[1.5] = 1}", "a table whose keys are neither 1, 2, 3 ... nor texts");
    assert_refused(L, "{[true] = 1}", "a table whose keys are neither 1, 2, 3 ... nor texts");
    assert_refused(L, "{1, nil, 3}", "a list with holes (leat.array makes them null)");
    assert_refused(L, "leat.array({x = 1})", "a list with a key that is not a number from 1");
    assert_refused(L, "leat.array({[0] = 1})", "a list with a key that is not a number from 1");
    assert_refused(L, "leat.array({[1 << 40] = 1})", "the list has too many holes");
}

static void refuses_cycles(void **state)
{
    lua_State *L = *state;
    struct encoding e = encode(L, "local t = {} t.t = {t} return t", SIZE_MAX);
    assert_int_equal(e.err, LEAT_EBADMSG);
    assert_non_null(strstr(e.reason, "t[1].t[1]: nested too deeply, or contains itself"));
    leat_buf_close(&e.out);
    e = encode(L, "local t = 1 for i = 1, 100 do t = {t} end return t", SIZE_MAX);
    assert_int_equal(e.err, 0);
    leat_buf_close(&e.out);
    e = encode(L, "local t = 1 for i = 1, 101 do t = {t} end return t", SIZE_MAX);
    assert_int_equal(e.err, LEAT_EBADMSG);
    leat_buf_close(&e.out);
}

static void keeps_to_the_limit(void **state)
{
    lua_State *L = *state;
    struct encoding e = encode(L, "return {'1234567'}", 11);
    assert_int_equal(e.err, 0);
    assert_string_equal(e.out.at, "<[\"1234567\"]");
    leat_buf_close(&e.out);
    static const char *const over[] = {
        "return {'12345678'}",
        "return ('x'):rep(1000000)",
        "return {[('x'):rep(1000)] = 1}",
        "return leat.json('[' .. ('1,'):rep(100) .. '1]')",
        "return {1, 2, 3, 4, 5, 6}",
        "local t = {} for i = 1, 60 do t = {t, t} end return t",
    };
    for (size_t i = 0; i < sizeof(over) / sizeof(over[0]); i++) {
        e = encode(L, over[i], 11);
        assert_int_equal(e.err, LEAT_ETOOLARGE);
        assert_string_equal(e.out.at, "<");
        assert_non_null(strstr(e.reason, "larger than the limit"));
        leat_buf_close(&e.out);
    }
}

static void writes_many_members(void **state)
{
    lua_State *L = *state;
    run(L, "local t = {} for i = 1, 50000 do t['k' .. i] = i end "
           "local text = leat.encode(t) local back = leat.decode(text) "
           "for i = 1, 50000 do assert(back['k' .. i] == i) end "
           "assert(leat.encode(back) == text) back.zz = 1 back.a = 2 back.k1 = nil "
           "local again = leat.encode(back) assert(#again == #text - 7 + 13) "
           "assert(again:find('^{\"k10\":10,')) assert(again:find('\"a\":2,\"zz\":1}$')) "
           "return true");
}

/* --- decoding --- */

/* Decodes json as the global v, then evaluates the expression, which must be true. */
static void assert_decodes(lua_State *L, const char *json, const char *expression)
{
    char reason[200] = "";
    char chunk[1000];
    lua_settop(L, 0);
    int err = leat_lua_json_push(L, leat_slice_of(json), reason, sizeof(reason));
    assert_string_equal(reason, "");
    assert_int_equal(err, 0);
    assert_int_equal(lua_gettop(L), 1);
    lua_setglobal(L, "v");
    snprintf(chunk, sizeof(chunk), "return %s", expression);
    run(L, chunk);
    if (!lua_toboolean(L, -1))
        fail_msg("%s: not %s", json, expression);
}

static void decodes_values(void **state)
{
    lua_State *L = *state;
    assert_decodes(L, "null", "v == nil");
    assert_decodes(L, " true ", "v == true");
    assert_decodes(L, "\"a\\u00e9\\ud83d\\ude00\\n\"", "v == 'a\\u{e9}\\u{1F600}\\n'");
    assert_decodes(L, "[]", "next(v) == nil and getmetatable(v) == 'leat.array'");
    assert_decodes(L, "{}", "next(v) == nil and getmetatable(v) == 'leat.row'");
    assert_decodes(L, "[1,null,3]", "#v == 3 and v[2] == leat.null and v[3] == 3");
    assert_decodes(L, "{\"a\":{\"b\":[{\"c\":null}]}}", "v.a.b[1].c == nil and v.a.b[1] ~= nil");
    assert_decodes(L, "{\"a\":1,\"b\":2,\"a\":null}", "v.a == nil and v.b == 2");
    assert_decodes(L, "{\"__gc\":1,\"__index\":{\"x\":5},\"__mode\":\"k\"}",
                   "v.__gc == 1 and v.x == nil");
}

static void decodes_numbers_exactly(void **state)
{
    lua_State *L = *state;
    assert_decodes(L, "9007199254740993", "v == 9007199254740993 and math.type(v) == 'integer'");
    assert_decodes(L, "-9223372036854775808", "v == math.mininteger");
    assert_decodes(L, "0", "math.type(v) == 'integer'");
    assert_decodes(L, "-0", "math.type(v) == 'float' and 1 / v == -1 / 0");
    assert_decodes(L, "1.0", "v == 1.0 and math.type(v) == 'float'");
    assert_decodes(L, "1e3", "v == 1000.0 and math.type(v) == 'float'");
    assert_decodes(L, "0.1", "v == 0.1");
    assert_decodes(L, "0e5", "v == 0.0");
    assert_decodes(L, "123.4500", "v == 123.45");
    assert_decodes(L, "0.1000000000000000055511151231257827", "type(v) == 'userdata'");
    assert_decodes(L, "0.30000000000000004", "v == 0.1 + 0.2");
    assert_decodes(L, "0.3000000000000000444", "type(v) == 'userdata'");
    assert_decodes(L, "1.7976931348623157e308", "v == 1.7976931348623157e308");
    assert_decodes(L, "1e400", "type(v) == 'userdata' and tostring(v) == '1e400'");
    assert_decodes(L, "1e-400", "type(v) == 'userdata'");
    assert_decodes(L, "5e-324", "v == 5e-324");
    assert_decodes(L, "5.1e-324", "type(v) == 'userdata'");
    assert_decodes(L, "9223372036854775808", "v == 2.0^63 or tostring(v) == '9223372036854775808'");
    assert_decodes(L, "12345678901234567890", "tostring(v) == '12345678901234567890'");
    assert_decodes(L, "100000000000000000000", "v == 1e20");
    assert_decodes(L, "92233720368547e3", "tostring(v) == '92233720368547e3'");
    assert_decodes(L, "92233720368547e-3", "v == 92233720368.547");
    assert_decodes(L, "1E-2", "v == 0.01");
    assert_decodes(L, "0.00012300e2", "v == 0.0123");
}

static void what_was_decoded_is_encoded_alike(void **state)
{
    static const char *const texts[] = {
        "{\"z\":1,\"a\":null,\"m\":[],\"b\":{}}",
        "[null,{\"x\":null},[[]]]",
        "[12345678901234567890,1.5,-0.0,1e400,9007199254740993,0.1]",
        "{\"z\":{\"y\":{\"x\":null,\"w\":\"\"}},\"a\":false}",
        "{\"\":1,\"\\u0000\":2,\"\\\"\":3}",
        "[{\"a\":1,\"b\":2},{\"b\":1,\"a\":2},{\"a\":null,\"b\":2},{\"a\":1}]",
        "\"text\"",
        "null",
    };
    lua_State *L = *state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_decodes(L, texts[i], "true");
        assert_encodes(L, "v", texts[i]);
    }
    assert_decodes(L, "{\"a\":1,\"b\":2,\"a\":3}", "true");
    assert_encodes(L, "v", "{\"a\":3,\"b\":2}");
    assert_decodes(L, "{\"a\":1,\"b\":2,\"a\":null}", "true");
    assert_encodes(L, "v", "{\"a\":null,\"b\":2}");
}

static void changed_objects_keep_their_order(void **state)
{
    lua_State *L = *state;
    assert_decodes(L, "{\"z\":1,\"n\":null,\"a\":2}", "true");
    run(L, "v.new = true v.again = {} v.z = nil return v");
    assert_encodes(L, "v", "{\"n\":null,\"a\":2,\"again\":{},\"new\":true}");
    run(L, "v.n = 5 v.a = leat.null return v");
    assert_encodes(L, "v", "{\"n\":5,\"a\":null,\"again\":{},\"new\":true}");
    assert_decodes(L, "[1]", "true");
    run(L, "v[2] = 'x' v[4] = 'y' return v");
    assert_encodes(L, "v", "[1,\"x\",null,\"y\"]");
    assert_decodes(L, "{\"a\":1}", "true");
    assert_refused(L, "(function() v[1] = 2 return v end)()",
                   "a table whose keys are neither 1, 2, 3 ... nor texts");
}

static void metatables_are_out_of_reach(void **state)
{
    lua_State *L = *state;
    assert_decodes(L, "{\"a\":[]}", "getmetatable(v) == 'leat.row'");
    run(L, "assert(not pcall(setmetatable, v, {})) assert(not pcall(setmetatable, v.a, {})) "
           "assert(not pcall(leat.array, v)) "
           "assert(getmetatable(leat.json('1')) == 'leat.json') return true");
}

static void refuses_malformed_texts(void **state)
{
    lua_State *L = *state;
    static const char *const texts[] = {
        "",    " ",        "{",   "[1,]",    "{\"a\":1,}",  "nul", "01", "1 2",
        "'a'", "\"\xff\"", "[1}", "{\"a\"}", "\"\\ud800\"", "NaN", "-",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char reason[200] = "";
        lua_settop(L, 0);
        int err = leat_lua_json_push(L, leat_slice_of(texts[i]), reason, sizeof(reason));
        assert_int_equal(err, LEAT_EBADMSG);
        assert_int_equal(lua_gettop(L), 0);
        assert_non_null(strstr(reason, "(at byte "));
    }
}

static void depth_is_limited(void **state)
{
    lua_State *L = *state;
    run(L, "assert(leat.decode(('['):rep(100) .. (']'):rep(100))) "
           "local v, err = leat.decode(('['):rep(101) .. (']'):rep(101)) "
           "assert(v == nil and err:find('deep')) "
           "assert(leat.decode(('{\"a\":'):rep(100) .. '1' .. ('}'):rep(100))) "
           "assert(not leat.decode(('{\"a\":'):rep(101) .. '1' .. ('}'):rep(101))) return true");
}

static void an_absent_text_is_nil(void **state)
{
    lua_State *L = *state;
    char reason[10];
    assert_int_equal(leat_lua_json_push(L, (leat_slice){NULL, 0}, reason, sizeof(reason)), 0);
    assert_int_equal(lua_type(L, -1), LUA_TNIL);
}

static void there_are_more_shapes_than_are_kept(void **state)
{
    lua_State *L = *state;
    run(L, "for i = 1, 3000 do local text = '{\"k' .. i .. '\":1,\"a\":null}' "
           "assert(leat.encode(leat.decode(text)) == text) end return true");
}

/* --- the module's functions --- */

static void the_functions_of_the_module(void **state)
{
    lua_State *L = *state;
    assert_encodes(L, "leat.json('{\"a\": [1,  2]}')", "{\"a\": [1,  2]}");
    assert_encodes(L, "{x = leat.json(' 1 '), y = leat.json(leat.json('2'))}",
                   "{\"x\": 1 ,\"y\":2}");
    assert_encodes(L, "leat.encode({1, 'x'})", "\"[1,\\\"x\\\"]\"");
    assert_encodes(L, "tostring(leat.json('[1]'))", "\"[1]\"");
    run(L, "local t = {1} assert(leat.array(t) == t and leat.array(t) == t) "
           "local ok, err = pcall(leat.json, '[1') "
           "assert(err:find('is no JSON') and err:find('at byte')) "
           "assert(not pcall(leat.json)) assert(not pcall(leat.json, {})) "
           "assert(not pcall(leat.array, 1)) "
           "assert(not pcall(leat.array, setmetatable({}, {}))) "
           "ok, err = pcall(leat.encode, {x = print}) "
           "assert(err == 'leat.encode: x: a function has no JSON form') "
           "local v, why = leat.decode('[') assert(v == nil and type(why) == 'string') "
           "assert(leat.decode('null') == leat.null) assert(leat.decode('[1]')[1] == 1) "
           "return true");
}

/* --- parameters --- */

static void assert_param(lua_State *L, const char *expression, const char *text)
{
    char chunk[500];
    char reason[200] = "";
    leat_buf out = LEAT_BUF_INIT;
    bool is_null = false;
    snprintf(chunk, sizeof(chunk), "return %s", expression);
    run(L, chunk);
    int err = leat_lua_param(L, 1, &out, &is_null, reason, sizeof(reason));
    leat_buf_char(&out, '\0');
    assert_int_equal(lua_gettop(L), 1);
    if (err < 0)
        assert_string_equal(reason, text);
    else
        assert_string_equal(is_null ? "NULL" : out.at, text);
    leat_buf_close(&out);
}

static void binds_parameters(void **state)
{
    lua_State *L = *state;
    assert_param(L, "nil", "NULL");
    assert_param(L, "leat.null", "NULL");
    assert_param(L, "true", "true");
    assert_param(L, "false", "false");
    assert_param(L, "math.mininteger", "-9223372036854775808");
    assert_param(L, "1.5", "1.5");
    assert_param(L, "42.0", "42");
    assert_param(L, "1e300", "1e+300");
    assert_param(L, "0/0", "NaN");
    assert_param(L, "1/0", "Infinity");
    assert_param(L, "-1/0", "-Infinity");
    assert_param(L, "'it\\'s'", "it's");
    assert_param(L, "''", "");
    assert_param(L, "{1, 2}", "[1,2]");
    assert_param(L, "{}", "{}");
    assert_param(L, "leat.json('{\"a\": 1}')", "{\"a\": 1}");
    assert_param(L, "print", "a function cannot be a parameter");
    assert_param(L, "coroutine.create(print)", "a thread cannot be a parameter");
    assert_param(L, "io.stdout", "a userdata has no JSON form");
    assert_param(L, "'a\\0b'", "it contains a zero byte, which no text of Postgres can have");
    assert_param(L, "{x = {print}}", "x[1]: a function has no JSON form");
}

/* --- memory --- */

struct meter {
    size_t used;
    size_t max;
};

static void *on_alloc(void *arg, void *at, size_t old_size, size_t new_size)
{
    struct meter *m = arg;
    size_t old = at == NULL ? 0 : old_size;
    if (new_size > old && m->used + new_size - old > m->max)
        return NULL;
    m->used = m->used - old + new_size;
    if (new_size == 0) {
        free(at);
        return NULL;
    }
    return realloc(at, new_size);
}

static int decode_and_encode(lua_State *L)
{
    char reason[100];
    leat_buf *out = lua_touserdata(L, 1);
    const char *text = "{\"a\":[1,2,{\"b\":null,\"c\":\"dddddddddddddddddddddddddddddddddd\"}],"
                       "\"e\":12345678901234567890,\"\\u0041\":\"\\n\"}";
    assert_int_equal(leat_lua_json_push(L, leat_slice_of(text), reason, sizeof(reason)), 0);
    int err = leat_lua_json_encode(L, -1, out, SIZE_MAX, reason, sizeof(reason));
    lua_pushinteger(L, err);
    return 1;
}

/* With a little more memory each time: it raises, or does its work, and loses nothing. */
static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    struct meter m = {0, SIZE_MAX};
    lua_State *L = lua_newstate(on_alloc, &m);
    *(void **)lua_getextraspace(L) = NULL;
    leat_lua_json_open(L);
    lua_gc(L, LUA_GCSTOP);
    int status = LUA_ERRMEM;
    int failures = 0;
    for (size_t more = 0; status != LUA_OK; more += 16) {
        leat_buf out = LEAT_BUF_INIT;
        lua_settop(L, 0);
        lua_gc(L, LUA_GCCOLLECT);
        m.max = m.used + more;
        lua_pushcfunction(L, decode_and_encode);
        lua_pushlightuserdata(L, &out);
        status = lua_pcall(L, 1, 1, 0);
        failures += status != LUA_OK;
        m.max = SIZE_MAX;
        leat_buf_close(&out);
    }
    assert_true(failures > 10);
    assert_int_equal(lua_tointeger(L, -1), 0);
    lua_close(L);
    assert_int_equal(m.used, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_state, free_state)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(encodes_scalars),
        TEST(encodes_tables),
        TEST(calls_no_metamethods),
        TEST(refuses_what_has_no_json_form),
        TEST(refuses_cycles),
        TEST(keeps_to_the_limit),
        TEST(writes_many_members),
        TEST(decodes_values),
        TEST(decodes_numbers_exactly),
        TEST(what_was_decoded_is_encoded_alike),
        TEST(changed_objects_keep_their_order),
        TEST(metatables_are_out_of_reach),
        TEST(refuses_malformed_texts),
        TEST(depth_is_limited),
        TEST(an_absent_text_is_nil),
        TEST(there_are_more_shapes_than_are_kept),
        TEST(the_functions_of_the_module),
        TEST(binds_parameters),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
