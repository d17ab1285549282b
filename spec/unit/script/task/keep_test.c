/* Values that the host keeps. */
#include "script/task/keep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>

enum { MANY = 1000 };

typedef struct keeper {
    lua_State *L;
    leat_keep keep;
    int values[MANY];
} keeper;

static int set_up(void **state)
{
    static keeper k;
    k.L = luaL_newstate();
    leat_keep_init(&k.keep);
    *state = &k;
    return 0;
}

static int tear_down(void **state)
{
    keeper *k = *state;
    assert_int_equal(lua_gettop(k->L), 0);
    lua_close(k->L);
    leat_keep_close(&k->keep);
    return 0;
}

static int keep_number(keeper *k, int number)
{
    lua_pushinteger(k->L, number);
    return leat_keep_put(&k->keep, k->L);
}

static int number_of(keeper *k, int value)
{
    leat_keep_push(&k->keep, k->L, value);
    int number = (int)lua_tointeger(k->L, -1);
    lua_pop(k->L, 1);
    return number;
}

static void keep_many(keeper *k)
{
    for (int i = 0; i < MANY; i++)
        k->values[i] = keep_number(k, -i - 1);
}

static void each_value_has_a_number_of_its_own(void **state)
{
    keeper *k = *state;

    keep_many(k);

    for (int i = 0; i < MANY; i++) {
        assert_int_not_equal(k->values[i], LEAT_KEEP_NOTHING);
        assert_int_equal(number_of(k, k->values[i]), -i - 1);
    }
}

static void the_place_of_what_was_dropped_is_used_again(void **state)
{
    keeper *k = *state;
    keep_many(k);
    for (int i = 0; i < MANY; i += 2)
        leat_keep_drop(&k->keep, k->L, k->values[i]);
    lua_gc(k->L, LUA_GCSTOP);
    int before = lua_gc(k->L, LUA_GCCOUNT) * 1024 + lua_gc(k->L, LUA_GCCOUNTB);

    for (int i = 0; i < MANY; i += 2)
        k->values[i] = keep_number(k, i + 1);

    assert_int_equal(lua_gc(k->L, LUA_GCCOUNT) * 1024 + lua_gc(k->L, LUA_GCCOUNTB), before);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(number_of(k, k->values[i]), i % 2 == 0 ? i + 1 : -i - 1);
}

static void what_was_dropped_is_collected(void **state)
{
    keeper *k = *state;
    lua_newtable(k->L);
    luaL_loadstring(k->L, "local t = {...} weak = setmetatable({t[1]}, {__mode = 'v'})");
    luaL_openlibs(k->L);
    lua_pushvalue(k->L, 1);
    lua_call(k->L, 1, 0);
    int value = leat_keep_put(&k->keep, k->L);
    lua_gc(k->L, LUA_GCCOLLECT);
    assert_int_equal(luaL_dostring(k->L, "assert(weak[1])"), LUA_OK);

    leat_keep_drop(&k->keep, k->L, value);

    lua_gc(k->L, LUA_GCCOLLECT);
    assert_int_equal(luaL_dostring(k->L, "assert(not weak[1])"), LUA_OK);
}

static void nothing_is_nil(void **state)
{
    keeper *k = *state;

    leat_keep_push(&k->keep, k->L, LEAT_KEEP_NOTHING);
    leat_keep_drop(&k->keep, k->L, LEAT_KEEP_NOTHING);

    assert_true(lua_isnil(k->L, -1));
    lua_pop(k->L, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_value_has_a_number_of_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_place_of_what_was_dropped_is_used_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_was_dropped_is_collected, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_nil, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("keep", tests, NULL, NULL);
}
