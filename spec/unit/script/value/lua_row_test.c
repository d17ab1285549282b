#include "script/value/lua_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>

#include "fake_pg_result.h"

static int make_state(void **state)
{
    lua_State *L = luaL_newstate();
    *(void **)lua_getextraspace(L) = NULL; /* no sandbox */
    luaL_openlibs(L);
    leat_lua_json_open(L);
    lua_newtable(L);
    leat_lua_json_functions(L);
    lua_setglobal(L, "leat");
    *state = L;
    return 0;
}

static int free_state(void **state)
{
    lua_close(*state);
    return 0;
}

/* The result as the global `rows`, its first row as `row`. */
static void set_rows(lua_State *L, const leat_pg_result *r)
{
    leat_lua_rows_push(L, r, NULL);
    assert_int_equal(lua_gettop(L), 1);
    lua_setglobal(L, "rows");
    if (r->rows > 0) {
        leat_lua_row_push(L, r, 0, NULL);
        assert_int_equal(lua_gettop(L), 1);
        lua_setglobal(L, "row");
    }
}

static void check(lua_State *L, const char *chunk)
{
    if (luaL_dostring(L, chunk) != LUA_OK)
        fail_msg("%s", lua_tostring(L, -1));
    lua_settop(L, 0);
}

static void assert_encodes(lua_State *L, const char *name, const char *json)
{
    char reason[200] = "";
    leat_buf out = LEAT_BUF_INIT;
    lua_getglobal(L, name);
    int err = leat_lua_json_encode(L, -1, &out, SIZE_MAX, reason, sizeof(reason));
    leat_buf_char(&out, '\0');
    assert_string_equal(reason, "");
    assert_int_equal(err, 0);
    assert_string_equal(out.at, json);
    leat_buf_close(&out);
    lua_settop(L, 0);
}

static void converts_by_type(void **state)
{
    lua_State *L = *state;
    static const char *const names[] = {"b",  "i8", "i2", "i4", "o", "f4",
                                        "f8", "js", "jb", "nu", "t", "nan"};
    static const uint32_t types[] = {16, 20, 21, 23, 26, 700, 701, 114, 3802, 1700, 25, 701};
    static const char *const values[] = {
        "t",      "9223372036854775807", "-32768", "42",   "4294967295", "1.5",
        "1e+300", "{\"z\": null}",       "[1]",    "1.10", "héllo",      "NaN"};
    leat_pg_result r = {1, 12, names, types, values};
    set_rows(L, &r);
    check(L, "assert(row.b == true)"
             "assert(row.i8 == math.maxinteger and row.i2 == -32768 and row.i4 == 42)"
             "assert(row.o == 4294967295 and math.type(row.o) == 'integer')"
             "assert(row.f4 == 1.5 and row.f8 == 1e300)"
             "assert(row.js.z == nil and row.jb[1] == 1)"
             "assert(row.nu == '1.10' and row.t == 'h\\u{e9}llo' and row.nan ~= row.nan)"
             "");
    assert_encodes(L, "row",
                   "{\"b\":true,\"i8\":9223372036854775807,\"i2\":-32768,\"i4\":42,"
                   "\"o\":\"4294967295\",\"f4\":1.5,\"f8\":1e+300,\"js\":{\"z\":null},\"jb\":[1],"
                   "\"nu\":1.10,\"t\":\"h\xc3\xa9llo\",\"nan\":\"NaN\"}");
}

static void keeps_columns_in_order_and_nulls(void **state)
{
    lua_State *L = *state;
    static const char *const names[] = {"z", "a", "m"};
    static const uint32_t types[] = {23, 25, 16};
    static const char *const values[] = {"1", NULL, "f", NULL, "x", NULL};
    leat_pg_result r = {2, 3, names, types, values};
    set_rows(L, &r);
    check(L, "assert(#rows == 2 and rows[1].a == nil and rows[1].m == false and rows[2].z == nil)"
             "assert(getmetatable(row) == 'leat.row' and getmetatable(rows) == 'leat.array')");
    assert_encodes(L, "rows",
                   "[{\"z\":1,\"a\":null,\"m\":false},{\"z\":null,\"a\":\"x\",\"m\":null}]");
    assert_encodes(L, "row", "{\"z\":1,\"a\":null,\"m\":false}");
    check(L, "row.z = nil row.extra = {} row.b = 1");
    assert_encodes(L, "row", "{\"z\":null,\"a\":null,\"m\":false,\"b\":1,\"extra\":{}}");
}

static void an_empty_result_is_an_empty_list(void **state)
{
    lua_State *L = *state;
    static const char *const names[] = {"id"};
    static const uint32_t types[] = {20};
    leat_pg_result r = {0, 1, names, types, NULL};
    set_rows(L, &r);
    assert_encodes(L, "rows", "[]");
}

static void rows_may_have_no_columns(void **state)
{
    lua_State *L = *state;
    leat_pg_result r = {2, 0, NULL, NULL, NULL};
    set_rows(L, &r);
    assert_encodes(L, "rows", "[{},{}]");
}

static void the_last_of_two_columns_of_a_name_counts(void **state)
{
    lua_State *L = *state;
    static const char *const names[] = {"id", "x", "id"};
    static const uint32_t types[] = {23, 23, 23};
    static const char *const values[] = {"1", "2", "3", "4", "5", NULL};
    leat_pg_result r = {2, 3, names, types, values};
    set_rows(L, &r);
    assert_encodes(L, "rows", "[{\"id\":3,\"x\":2},{\"id\":null,\"x\":5}]");
}

static void json_that_is_too_deep_passes_through(void **state)
{
    lua_State *L = *state;
    char deep[301];
    memset(deep, '[', 150);
    memset(deep + 150, ']', 150);
    deep[300] = '\0';
    static const char *const names[] = {"j"};
    static const uint32_t types[] = {114};
    const char *const values[] = {deep};
    leat_pg_result r = {1, 1, names, types, values};
    set_rows(L, &r);
    check(L, "assert(#tostring(row.j) == 300)");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_state, free_state)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(converts_by_type),
        TEST(keeps_columns_in_order_and_nulls),
        TEST(an_empty_result_is_an_empty_list),
        TEST(rows_may_have_no_columns),
        TEST(the_last_of_two_columns_of_a_name_counts),
        TEST(json_that_is_too_deep_passes_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
